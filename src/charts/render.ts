// The only file that knows vega, vega-lite and resvg. Everything else makes specs: plain values, the same on every machine.
// The three are loaded on first use: they take longer to load than most verbs take to run.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TopLevelSpec } from 'vega-lite';

import { textWidth } from './text-width.ts';
import { theme } from './theme.ts';

/** A Vega-Lite 6 chart as a value. */
export type ChartSpec = TopLevelSpec;

/**
 * Draws a chart as SVG text, in the project's theme. The spec is copied first: vega writes its own marks into the data it is given.
 *
 * @param options.id name of the figure, put before the ids inside the SVG: figures on one page must not share ids
 */
export async function renderSvg(spec: ChartSpec, { id = 'chart' }: { readonly id?: string } = {}): Promise<string> {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  // Vega asks a canvas for text widths and guesses wildly without one; our own measure is the same with and without.
  const { textMetrics } = vega as unknown as { textMetrics: object };
  Object.assign(textMetrics, {
    width: (item: { fontSize?: number; fontWeight?: string | number; limit?: number }, text: unknown) => {
      const width = textWidth(String(text ?? ''), item.fontSize ?? 11, item.fontWeight === 'bold' || Number(item.fontWeight) >= 600);
      return item.limit ? Math.min(item.limit, width) : width;
    },
  });
  const view = new vega.View(vega.parse(compile(structuredClone(spec), { config: theme }).spec), { renderer: 'none' });
  try {
    return ownIds(await view.toSVG(), id);
  } finally {
    view.finalize();
  }
}

/** A chart as a file that Vega-Lite's own tools open, in the project's theme. */
export function chartFile(spec: ChartSpec): object {
  return { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', ...spec, config: theme };
}

/** Vega numbers clip paths on through the life of the process; here they are numbered from 0 within the figure. */
function ownIds(svg: string, id: string): string {
  const numbers = new Map<string, number>();
  return svg.replace(/(id="|url\(#)(clip\d+)/g, (_, before: string, name: string) => {
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return `${before}${id}-${numbers.get(name)}`;
  });
}

/**
 * Draws SVG text as a PNG, text included, on any machine: the font travels with the package.
 *
 * @param options.scale pixels per unit; 2 is sharp on paper and on dense screens
 */
export async function renderPng(svg: string, { scale = 2 }: { readonly scale?: number } = {}): Promise<Uint8Array> {
  const { Resvg } = await import('@resvg/resvg-js');
  const font = { loadSystemFonts: false, fontFiles: fontFiles('ttf'), defaultFontFamily: 'Inter', sansSerifFamily: 'Inter' };
  return new Resvg(svg, { font, fitTo: { mode: 'zoom', value: scale } }).render().asPng();
}

/** The bundled font as CSS, for pages that must look alike everywhere. */
export function fontFaceCss(): string {
  const [regular, semiBold] = fontFiles('woff2').map((file) => readFileSync(file).toString('base64'));
  const face = (weight: string, data: string) =>
    `@font-face{font-family:Inter;font-weight:${weight};src:url(data:font/woff2;base64,${data}) format('woff2')}`;
  return `${face('400', regular!)}\n${face('600 700', semiBold!)}`;
}

function fontFiles(kind: 'ttf' | 'woff2'): string[] {
  return ['Regular', 'SemiBold'].map((weight) => fileURLToPath(new URL(`../../assets/fonts/Inter-${weight}.${kind}`, import.meta.url)));
}
