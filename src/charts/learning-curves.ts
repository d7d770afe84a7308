// Runs beside each other: a panel for each metric, in it a line for each run. Runs are told apart by colour and dash, and by their names at
// the ends of their lines. A curve of many steps is drawn as its running mean, as thick bands of noise hide each other.

import { rangeOf, runningMean, thin } from './curve-points.ts';
import type { ChartSpec } from './render.ts';
import { shorten } from './text-width.ts';
import { palette, titleOver } from './theme.ts';

export type NamedCurve = { readonly name: string; readonly points: readonly { readonly step: number; readonly value: number }[] };

const width = 520;
const height = 200;
/** Curves with more points than this are smoothed. */
const fewPoints = 40;
const lineHeight = 15;
const widestLabel = 220;

const looks = [
  { color: palette.blue, dash: [1, 0] },
  { color: palette.orange, dash: [1, 0] },
  { color: palette.ink, dash: [5, 3] },
  { color: palette.blue, dash: [2, 3] },
  { color: palette.orange, dash: [5, 3] },
  { color: palette.muted, dash: [1, 0] },
  { color: palette.ink, dash: [2, 3] },
  { color: palette.muted, dash: [5, 3] },
] as const;

/** As many runs as can be told apart. */
export const mostCurves = looks.length;

/** One or more metrics of one or more runs over their steps. A run that lacks a metric is not in its panel. */
export function learningCurvesChart({
  panels,
  source,
}: {
  readonly panels: readonly { readonly metric: string; readonly curves: readonly NamedCurve[] }[];
  readonly source: string;
}): ChartSpec {
  const names = [...new Set(panels.flatMap(({ curves }) => curves.map(({ name }) => name)))];
  const last = Math.max(1, ...panels.flatMap(({ curves }) => curves.map(({ points }) => points.at(-1)?.step ?? 0)));
  const isSmoothed = panels.some(({ curves }) => curves.some(({ points }) => points.length > fewPoints));
  const note = [...(isSmoothed ? ['Curves of many steps are running means.'] : []), source].join(' ');
  const drawn = panels.map((panel, at) =>
    panelOf(panel, { looks: new Map(names.map((name, i) => [name, looks[i % looks.length]!])), last, isLast: at === panels.length - 1 }),
  );
  return {
    ...titleOver('Learning curves', note, width + 120),
    vconcat: drawn,
    spacing: 30,
    bounds: 'flush',
  } as unknown as ChartSpec;
}

function panelOf(
  { metric, curves }: { readonly metric: string; readonly curves: readonly NamedCurve[] },
  {
    looks: lookOf,
    last,
    isLast,
  }: { readonly looks: ReadonlyMap<string, (typeof looks)[number]>; readonly last: number; readonly isLast: boolean },
): object {
  const smoothed = curves.map(({ name, points }) => ({ name, look: lookOf.get(name)!, points: smooth(points) }));
  const [bottom, top] = rangeOf(
    smoothed.flatMap(({ points }) => points.map(({ value }) => value)),
    smoothed.flatMap(({ points }) => points.slice(points.length <= fewPoints ? 0 : -1).map(({ value }) => value)),
  );
  const x = {
    field: 'step',
    type: 'quantitative',
    scale: { domain: [0, last], nice: false },
    axis: isLast ? { format: ',d', tickMinStep: 1, tickCount: 6 } : { labels: false, ticks: false },
    title: isLast ? 'step' : null,
  };
  const y = {
    field: 'value',
    type: 'quantitative',
    scale: { domain: [bottom, top], zero: false, nice: false },
    axis: { tickCount: 5 },
    title: metric,
  };
  const ends = spread(
    smoothed.flatMap(({ name, look, points }) => {
      const end = points.at(-1);
      return end ? [{ text: `${shorten(name, widestLabel, 12, true)} ${end.value.toPrecision(4)}`, color: look.color, at: end.value }] : [];
    }),
    (lineHeight / height) * (top - bottom),
  );
  return {
    width,
    height,
    layer: [
      ...smoothed.flatMap(({ look, points }) => [
        {
          data: { values: thin(points) },
          mark: { type: 'line', clip: true, color: look.color, strokeWidth: 2, strokeDash: look.dash },
          encoding: { x, y, order: { field: 'step' } },
        },
        ...(points.length <= fewPoints
          ? [{ data: { values: points }, mark: { type: 'point', color: look.color, size: 28 }, encoding: { x, y } }]
          : []),
      ]),
      ...ends.map((end) => ({
        data: { values: [end] },
        mark: { type: 'text', align: 'left', dx: 12, fontWeight: 600, color: end.color },
        encoding: { x: { value: width }, y: { ...y, field: 'at' }, text: { field: 'text' } },
      })),
    ],
  };
}

function smooth(points: NamedCurve['points']): NamedCurve['points'] {
  const finite = points.filter(({ value }) => Number.isFinite(value));
  if (finite.length <= fewPoints) return finite;
  const mean = runningMean(finite.map(({ value }) => value));
  return finite.map(({ step }, at) => ({ step, value: mean[at]! }));
}

/** Moves labels apart until `least` lies between any two, keeping their order. */
function spread<T extends { readonly at: number }>(labels: readonly T[], least: number): T[] {
  const placed = labels.map((label) => ({ ...label })).sort((a, b) => a.at - b.at);
  for (let round = 0; round < 50; round++) {
    for (const [i, high] of placed.entries()) {
      const low = placed[i - 1];
      const missing = low ? least - (high.at - low.at) : 0;
      if (!low || missing <= 0) continue;
      Object.assign(high, { at: high.at + missing / 2 });
      Object.assign(low, { at: low.at - missing / 2 });
    }
  }
  return placed;
}
