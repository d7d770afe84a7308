import { extname } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { writeJson, writeText } from '../../base/files.ts';
import { learningCurvesChart, mostCurves, type NamedCurve } from '../../charts/learning-curves.ts';
import { lossCurveChart } from '../../charts/loss-curve.ts';
import { type ChartSpec, chartFile, renderPng, renderSvg } from '../../charts/render.ts';
import { spanOf, terminalPlot } from '../../charts/terminal-plot.ts';
import { curvesOf, lossCurveOf, type RunRecord } from '../../training/tracking.ts';

export type Panel = { readonly metric: string; readonly curves: readonly NamedCurve[] };

/**
 * The curves to draw: of the metrics asked for, else of the loss and what was evaluated of it, else of whatever there is.
 *
 * @throws UserError `plot.metric` naming those there are, `plot.runs`
 */
export function panelsOf(runs: readonly RunRecord[], asked: readonly string[] = []): Panel[] {
  if (runs.length === 0) throw new UserError('plot.runs', 'plot: no run; name one, by its folder, name or id');
  if (runs.length > mostCurves) throw new UserError('plot.runs', `plot: ${runs.length} runs; name at most ${mostCurves}`);
  const curves = runs.map((run) => ({ name: nameIn(run, runs), byKey: curvesOf(run.metrics) }));
  const known = [...new Set(curves.flatMap(({ byKey }) => [...byKey.keys()]))];
  const unknown = asked.find((metric) => !known.includes(metric));
  if (unknown !== undefined) {
    throw new UserError('plot.metric', `plot: no metric: ${unknown}; there is: ${known.join(', ') || 'none'}`);
  }
  const usual = ['loss', 'eval_loss'].filter((metric) => known.includes(metric));
  const metrics = asked.length > 0 ? asked : usual.length > 0 ? usual : known;
  if (metrics.length === 0) throw new UserError('plot.metric', 'plot: no figures in these runs yet');
  return metrics.map((metric) => ({
    metric,
    curves: curves.flatMap(({ name, byKey }) => (byKey.has(metric) ? [{ name, points: byKey.get(metric)! }] : [])),
  }));
}

/**
 * Draws runs as a picture: one run as its course with the learning rate, several, or metrics asked for, as curves beside each other.
 *
 * @throws UserError `plot.format`, those of `panelsOf`, `output.*`
 */
export async function plotRuns(
  runs: readonly RunRecord[],
  { metrics = [], out }: { readonly metrics?: readonly string[]; readonly out: string },
) {
  const write = writers[extname(out).toLowerCase()];
  if (!write) throw new UserError('plot.format', `plot: unknown kind of picture: ${out}; name a .svg, .png or .json file`);
  const [run] = runs;
  const source = runs.map(({ name, experiment }) => `${experiment}/${name}`).join(', ');
  const panels = panelsOf(runs, metrics);
  const isCourse = runs.length === 1 && metrics.length === 0 && panels[0]!.metric === 'loss';
  await write(out, isCourse ? lossCurveChart({ curve: lossCurveOf(run!.metrics), source }) : learningCurvesChart({ panels, source }));
}

const writers: Readonly<Record<string, (out: string, spec: ChartSpec) => Promise<void>>> = {
  '.svg': async (out, spec) => writeText(out, await renderSvg(spec)),
  '.png': async (out, spec) => writeText(out, await renderPng(await renderSvg(spec))),
  '.json': (out, spec) => writeJson(out, chartFile(spec)),
};

/** The same curves in characters: those of one metric share their axes. */
export function plotText(panels: readonly Panel[], { width }: { readonly width: number }): string {
  const plots = panels.flatMap(({ metric, curves }) => {
    const span = spanOf(curves.map(({ points }) => points));
    const height = curves.length > 1 ? 6 : 10;
    return curves.map(({ name, points }) => {
      const last = points.at(-1)!;
      return `${metric}, ${name}: ${last.value.toPrecision(4)} at step ${last.step}\n${terminalPlot(points, { ...span, width, height })}`;
    });
  });
  return plots.join('\n\n');
}

/** Its name, with its id where another run is named alike. */
function nameIn(run: RunRecord, runs: readonly RunRecord[]): string {
  const isAlone = runs.filter(({ name }) => name === run.name).length === 1;
  return isAlone ? run.name : `${run.name} ${run.id.slice(0, 8)}`;
}
