import { thousands } from '../base/text.ts';
import type { ChartComparison } from './match-weights.ts';
import { outlineHeight, outlineLayers, outlineOf, outlineRows } from './outline.ts';
import type { ChartSpec } from './render.ts';
import { palette, percentLabel, titleOver } from './theme.ts';

const width = 250;

/** How often a level is met: by pairs that match (m, left), by pairs that do not (u, right). Missing values are left out. */
export function mAndUChart({
  comparisons,
  source,
}: {
  readonly comparisons: readonly ChartComparison[];
  readonly source: string;
}): ChartSpec {
  const outline = outlineOf(
    comparisons.map(({ name, levels }) => ({
      name,
      entries: levels
        .filter(({ isNull }) => !isNull)
        .map(({ label, m, u }) => ({ label, m: m ?? 0, u: u ?? 0, mText: shareText(m), uText: shareText(u) })),
    })),
  );
  const y = outlineRows(outline);
  const panel = (field: 'm' | 'u', title: string, color: string) => {
    const x = {
      field,
      type: 'quantitative',
      // Room for the figure behind a bar of 100 %.
      scale: { domain: [0, 1.3], nice: false },
      axis: { orient: 'top', labelExpr: percentLabel, values: [0, 0.25, 0.5, 0.75, 1], grid: true },
      title,
    };
    return {
      width,
      height: outlineHeight,
      layer: [
        { mark: { type: 'bar', color, cornerRadiusEnd: 1 }, encoding: { x, y } },
        { mark: { type: 'text', align: 'left', dx: 6, fontSize: 11.5 }, encoding: { x, y, text: { field: `${field}Text` } } },
        ...(field === 'm' ? outlineLayers(outline, 2 * width + spacing) : []),
      ],
    };
  };
  return {
    ...titleOver('How often a comparison level is met', source, outline.gutter + 2 * width + spacing),
    data: { values: outline.entries },
    hconcat: [
      panel('m', 'm: share of the pairs that match', palette.blue),
      panel('u', 'u: share of the pairs that do not', palette.orange),
    ],
    spacing,
    bounds: 'flush',
  } as unknown as ChartSpec;
}

const spacing = 28;

/** `93.4 %`, `0.52 %`, `1 in 12,345`. */
function shareText(share: number | undefined): string {
  if (share === undefined) return 'not trained';
  if (share === 0) return 'never';
  if (share >= 0.1) return `${(100 * share).toFixed(1)} %`;
  if (share >= 0.001) return `${(100 * share).toPrecision(2)} %`;
  return share < 1e-9 ? 'under 1 in a billion' : `1 in ${thousands(Math.round(1 / share))}`;
}
