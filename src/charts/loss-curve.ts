// How training went: the loss of each step (thin), its running mean (thick), the evaluations (dashed, the lowest ringed), and below in a
// small panel the learning rate. Last values stand at the right, so that no legend is needed; ends of epochs are faint lines.

import { rangeOf, runningMean, thin } from './curve-points.ts';
import type { ChartSpec } from './render.ts';
import { palette, titleOver } from './theme.ts';

export type LossCurve = {
  /** Every step in order. */
  readonly steps: readonly { readonly step: number; readonly loss: number; readonly learningRate: number }[];
  readonly evaluations: readonly { readonly step: number; readonly loss: number }[];
  /** Last step of each epoch. */
  readonly epochEnds?: readonly number[];
};

const width = 560;
const heights = { loss: 280, rate: 56 };
/** More marks than this touch each other. */
const mostMarks = 40;

/** Loss and learning rate over the steps of a run; of one that was stopped before its first step, an empty picture. */
export function lossCurveChart({ curve, source }: { readonly curve: LossCurve; readonly source: string }): ChartSpec {
  const { steps, evaluations, epochEnds = [] } = curve;
  const mean = runningMean(steps.map(({ loss }) => loss));
  const smoothed = steps.map(({ step }, at) => ({ step, loss: mean[at]! }));
  const best = evaluations.reduce<(typeof evaluations)[number] | undefined>(
    (low, one) => (low && low.loss <= one.loss ? low : one),
    undefined,
  );
  const [bottom, top] = rangeOf(
    steps.map(({ loss }) => loss),
    [...mean, ...evaluations.map(({ loss }) => loss)],
  );
  const cut = steps.filter(({ loss }) => loss > top).length;
  const note = [
    'Thin: loss of each step; thick: its running mean.',
    ...(evaluations.length > 0 ? ['Dashed: loss on held-out data, the lowest ringed.'] : []),
    ...(cut > 0 ? [`${cut} ${cut === 1 ? 'step' : 'steps'} above the picture.`] : []),
    source,
  ];
  const last = Math.max(1, steps.at(-1)?.step ?? 0, evaluations.at(-1)?.step ?? 0);
  const x = (isLast: boolean) => ({
    field: 'step',
    type: 'quantitative',
    scale: { domain: [0, last], nice: false },
    axis: isLast ? { format: ',d', tickMinStep: 1, tickCount: 6 } : { labels: false, ticks: false, domain: false, values: [] },
    title: isLast ? 'step' : null,
  });
  const y = { field: 'loss', type: 'quantitative', scale: { domain: [bottom, top], zero: false, nice: false }, title: 'loss' };
  const at = { x: x(false), y };
  const order = { field: 'step' };
  return {
    ...titleOver('How training went', note.join(' '), width),
    vconcat: [
      {
        width,
        height: heights.loss,
        layer: [
          ...epochLayers(
            epochEnds.filter((step) => step < last),
            x(false),
          ),
          line(thin(steps), { color: palette.blueLight, strokeWidth: 1 }, { ...at, order }),
          line(thin(smoothed), { color: palette.blue, strokeWidth: 2.4 }, { ...at, order }),
          ...(evaluations.length > 0 ? evaluationLayers(evaluations, best, { ...at, order }) : []),
          ...endLabels(
            [
              ...smoothed.slice(-1).map(({ loss }) => ({ said: 'training', loss, color: palette.blue })),
              ...evaluations.slice(-1).map(({ loss }) => ({ said: 'held out', loss, color: palette.orange })),
            ],
            (13 / heights.loss) * (top - bottom),
          ).map((label) => ({
            data: { values: [label] },
            mark: { type: 'text', align: 'left', dx: 14, fontWeight: 600, color: label.color },
            encoding: { x: { value: width }, y: { ...y, field: 'at' }, text: { field: 'text' } },
          })),
        ],
      },
      {
        width,
        height: heights.rate,
        data: { values: thin(steps) },
        mark: { type: 'line', color: palette.muted, strokeWidth: 1.6 },
        encoding: {
          x: x(true),
          y: {
            field: 'learningRate',
            type: 'quantitative',
            axis: { tickCount: 2, labelExpr: "datum.value === 0 ? '0' : format(datum.value, '.1~e')" },
            title: ['learning', 'rate'],
          },
          order,
        },
      },
    ],
    spacing: 26,
    bounds: 'flush',
  } as unknown as ChartSpec;
}

function line(values: readonly object[], look: object, encoding: object): object {
  return { data: { values }, mark: { type: 'line', clip: true, ...look }, encoding };
}

function evaluationLayers(evaluations: LossCurve['evaluations'], best: object | undefined, encoding: object): object[] {
  const point = { type: 'point', color: palette.orange, size: 60 };
  return [
    line(thin(evaluations), { color: palette.orange, strokeWidth: 1.2, strokeDash: [4, 3] }, encoding),
    ...(evaluations.length <= mostMarks ? [{ data: { values: evaluations }, mark: point, encoding }] : []),
    { data: { values: [best] }, mark: { ...point, filled: false, size: 190, strokeWidth: 1.6 }, encoding },
  ];
}

/** Names of epochs stand above the panel as long as there is room. */
function epochLayers(ends: readonly number[], x: object): object[] {
  if (ends.length === 0 || ends.length > mostMarks) return [];
  const values = ends.map((step, at) => ({ step, text: `epoch ${at + 1}` }));
  const rule = {
    data: { values },
    mark: { type: 'rule', color: palette.grid },
    encoding: { x, y: { value: 0 }, y2: { value: heights.loss } },
  };
  if (ends.length > 8) return [rule];
  const text = { type: 'text', align: 'right', dx: -4, fontSize: 11, color: palette.muted };
  return [rule, { data: { values }, mark: text, encoding: { x, y: { value: 6 }, text: { field: 'text' } } }];
}

/** `training 1.234`, moved apart where two would touch. */
function endLabels<T extends { readonly said: string; readonly loss: number }>(labels: readonly T[], least: number) {
  const placed = [...labels]
    .sort((a, b) => a.loss - b.loss)
    .map((label) => ({ ...label, text: `${label.said} ${label.loss.toPrecision(4)}`, at: label.loss }));
  const [low, high] = placed;
  if (low && high && high.at - low.at < least) {
    const missing = (least - (high.at - low.at)) / 2;
    low.at -= missing;
    high.at += missing;
  }
  return placed;
}
