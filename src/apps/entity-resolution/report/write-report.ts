import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Progress } from '../../../base/progress.ts';
import { fontFaceCss, renderPng, renderSvg } from '../../../charts/render.ts';
import { type CollectOptions, collectReport } from './collect.ts';
import type { ReportData } from './data.ts';
import { figureNames, reportFigures } from './figures.ts';
import { renderReport } from './page.ts';
import type { Drawn } from './sections-truth.ts';

/** Files and folders a report consists of. */
export const reportOutputs = ['report.html', 'figures'];

/**
 * Writes `report.html` (one self-contained page) and `figures/*.svg` and `*.png` into the folder `out`, which must exist.
 *
 * @returns the data the page was made of
 */
export async function writeReport({
  out,
  progress,
  ...options
}: CollectOptions & { readonly out: string; readonly progress: Progress }): Promise<ReportData> {
  const step = progress.step('report');
  const data = await collectReport(options);
  const specs = reportFigures(data);
  const drawn: Drawn = {};
  mkdirSync(join(out, 'figures'), { recursive: true });
  for (const name of figureNames) {
    const spec = specs[name];
    if (!spec) continue;
    const svg = await renderSvg(spec, { id: name });
    drawn[name] = svg;
    writeFileSync(join(out, 'figures', `${name}.svg`), svg);
    writeFileSync(join(out, 'figures', `${name}.png`), await renderPng(svg));
  }
  writeFileSync(join(out, 'report.html'), renderReport({ data, figures: drawn, fontCss: fontFaceCss() }));
  step.finish();
  return data;
}
