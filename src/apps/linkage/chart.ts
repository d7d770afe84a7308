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

/** What a kind of chart is drawn from. */
export type ChartInputs = {
  readonly 'match-weights': { readonly model: string };
  readonly 'm-u': { readonly model: string };
  /** What `link train --json` printed. */
  readonly 'em-history': { readonly report: string };
  readonly histogram: { readonly pairs: string };
  readonly waterfall: {
    readonly pairs: string;
    readonly left: string;
    readonly right: string;
    readonly id: string;
    readonly source?: string | undefined;
  };
  readonly blocking: { readonly in: readonly string[]; readonly settings: string };
  readonly completeness: { readonly in: readonly string[]; readonly source?: string | undefined };
  readonly thresholds: {
    readonly pairs: string;
    readonly in: readonly string[];
    readonly labels: string;
    readonly id: string;
    readonly source?: string | undefined;
    readonly linkOnly?: boolean | undefined;
  };
};

export type ChartKind = keyof ChartInputs;

const charts: { readonly [K in ChartKind]: (inputs: ChartInputs[K], stage: StageOptions) => Promise<ChartSpec> } = {
  'match-weights': async ({ model }) => matchWeightsChart(modelOf(model)),
  'm-u': async ({ model }) => mAndUChart(modelOf(model)),
  'em-history': async ({ report }) => historyOf(report),
  histogram: histogramOf,
  waterfall: waterfallOf,
  blocking: blockingOf,
  completeness: completenessOf,
  thresholds: thresholdsOf,
};

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
  await write(await charts[kind](inputs, stage), out);
}
