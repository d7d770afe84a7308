import { extname } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { writeJson, writeText } from '../../base/files.ts';
import { mAndUChart } from '../../charts/m-and-u.ts';
import { matchWeightsChart } from '../../charts/match-weights.ts';
import { type ChartSpec, chartFile, renderPng, renderSvg } from '../../charts/render.ts';
import { historyOf, modelOf } from './chart-model.ts';
import { histogramOf, thresholdsOf, waterfallOf } from './chart-pairs.ts';
import { blockingOf, completenessOf } from './chart-records.ts';
import { refuseSamePlace } from './input.ts';
import type { StageOptions } from './session.ts';

const charts = {
  'match-weights': async ({ model }: { readonly model: string }) => matchWeightsChart(modelOf(model)),
  'm-u': async ({ model }: { readonly model: string }) => mAndUChart(modelOf(model)),
  /** What `link train --json` printed. */
  'em-history': async ({ report }: { readonly report: string }) => historyOf(report),
  histogram: histogramOf,
  waterfall: waterfallOf,
  blocking: blockingOf,
  completeness: completenessOf,
  thresholds: thresholdsOf,
};

export type ChartKind = keyof typeof charts;
/** What a kind of chart is drawn from. */
export type ChartInputs = { readonly [K in ChartKind]: Parameters<(typeof charts)[K]>[0] };

const formats: Readonly<Record<string, (spec: ChartSpec, out: string) => Promise<void>>> = {
  '.svg': async (spec, out) => writeText(out, await renderSvg(spec)),
  '.png': async (spec, out) => writeText(out, await renderPng(await renderSvg(spec))),
  '.json': (spec, out) => writeJson(out, chartFile(spec)),
};

/**
 * Draws a chart to an SVG or PNG file, or writes it as Vega-Lite JSON, as the file's name says.
 *
 * @throws UserError `chart.format`, `chart.columns`, `chart.pair`, `chart.report`, and what reading the inputs throws
 */
export async function drawChart<K extends ChartKind>(kind: K, inputs: ChartInputs[K], out: string, stage: StageOptions): Promise<void> {
  const write = formats[extname(out).toLowerCase()];
  if (write === undefined) throw new UserError('chart.format', `chart: unknown kind of picture: ${out}; name a .svg, .png or .json file`);
  const { in: files = [], ...named } = inputs as { readonly in?: readonly string[]; readonly [key: string]: unknown };
  refuseSamePlace([...files, ...[named.model, named.report, named.pairs, named.settings].filter((one) => typeof one === 'string')], [out]);
  const draw = charts[kind] as (inputs: ChartInputs[K], stage: StageOptions) => Promise<ChartSpec>;
  await write(await draw(inputs, stage), out);
}
