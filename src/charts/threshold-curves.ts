import type { ChartSpec } from './render.ts';
import { palette, percentLabel, titleOver } from './theme.ts';
import { probabilityLayers, weightTicks } from './weight.ts';

export type ThresholdPoint = {
  /** Pairs of at least this match weight are accepted. */
  readonly weight: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
};

const width = 560;
const height = 280;
const lines = [
  { field: 'precision', name: 'precision: accepted pairs that are right', color: palette.orange, dash: [7, 3] },
  { field: 'recall', name: 'recall: true pairs that are accepted', color: palette.blue, dash: [2, 3] },
  { field: 'f1', name: 'F1, their harmonic mean', color: palette.ink, dash: [1, 0] },
] as const;

/** Precision, recall and F1 for every match weight that pairs can be accepted from. The best F1 is marked: it has seen the truth, so it is no result. */
export function thresholdChart({ points, source }: { readonly points: readonly ThresholdPoint[]; readonly source: string }): ChartSpec {
  const weights = points.map(({ weight }) => weight);
  const domain = [Math.min(0, ...weights), Math.max(1, ...weights)] as const;
  const x = {
    field: 'weight',
    type: 'quantitative',
    scale: { domain, nice: false },
    axis: { values: weightTicks(...domain) },
    title: 'match weight from which pairs are accepted, in bits',
  };
  const y = (field: string) => ({
    field,
    type: 'quantitative',
    scale: { domain: [0, 1] },
    axis: { values: [0, 0.25, 0.5, 0.75, 1], labelExpr: percentLabel },
    title: null,
  });
  const best = points.reduce<ThresholdPoint | undefined>((top, point) => (top === undefined || point.f1 > top.f1 ? point : top), undefined);
  const values = lines.flatMap(({ field, name }) => points.map((point) => ({ weight: point.weight, value: point[field], name })));
  const names = lines.map(({ name }) => name);
  const colours = { domain: names, range: lines.map(({ color }) => color) };
  return {
    ...titleOver('Where to cut: precision and recall by match weight', source, width),
    width,
    height,
    layer: [
      {
        data: { values },
        mark: { type: 'line' },
        encoding: {
          x,
          y: y('value'),
          color: {
            field: 'name',
            scale: colours,
            legend: {
              orient: 'bottom',
              columns: 1,
              symbolType: 'stroke',
              symbolStrokeWidth: 3,
              symbolSize: 700,
              labelLimit: 0,
              offset: 10,
            },
          },
          strokeDash: { field: 'name', scale: { domain: names, range: lines.map(({ dash }) => dash) } },
        },
      },
      ...(best ? bestLayers(best, x, y('f1'), best.weight > (domain[0] + domain[1]) / 2) : []),
      ...probabilityLayers(domain, width),
    ],
  } as unknown as ChartSpec;
}

/** The best point, and a line down to where its figures stand clear of the curves. */
function bestLayers(best: ThresholdPoint, x: object, y: object, isRight: boolean): object[] {
  const said = `best F1: ${(100 * best.f1).toFixed(1)} %, from ${best.weight.toFixed(1)} up`;
  const text = { type: 'text', text: said, align: isRight ? 'right' : 'left', dx: isRight ? -6 : 6, fontWeight: 600 };
  const data = { values: [best] };
  const foot = { x, y: { value: height - 12 } };
  return [
    { data, mark: { type: 'rule', color: palette.ink, strokeDash: [2, 2] }, encoding: { x, y, y2: { value: height } } },
    { data, mark: { type: 'point', color: palette.ink, stroke: 'white', strokeWidth: 1.5, size: 110 }, encoding: { x, y } },
    { data, mark: { ...text, color: 'white', stroke: 'white', strokeWidth: 4 }, encoding: foot },
    { data, mark: { ...text, color: palette.ink }, encoding: foot },
  ];
}
