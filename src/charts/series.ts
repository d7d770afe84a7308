import type { ChartSpec } from './render.ts';
import { palette } from './theme.ts';

export type SeriesChart = {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly { readonly x: number | string; readonly y: number | string }[];
  }[];
};

/** Told apart by lightness and by dashes or shapes as well as by colour. */
const colours = [palette.blue, palette.orange, palette.muted, '#5aa469', '#8c5fa8', palette.faint];
const dashes = [
  [1, 0],
  [6, 3],
  [2, 2],
  [8, 3, 2, 3],
  [4, 2],
  [1, 3],
];
const shapes = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down'];
/** With few points each is marked. */
const mostMarks = 40;

/** Series over a common x, as lines or, where `points`, as points; names stand beside the ends only where there are several. */
export function seriesChart(
  { title, xLabel, yLabel, series }: SeriesChart,
  { points = false, width = 460, height = 260 }: { readonly points?: boolean; readonly width?: number; readonly height?: number } = {},
): ChartSpec {
  const values = series.flatMap(({ name, points: given }) => given.map(({ x, y }, order) => ({ name, x, y, order })));
  const axisOf = (axis: 'x' | 'y', label: string) => {
    const written = values.map((value) => value[axis]);
    if (!written.every((value) => typeof value === 'number')) {
      return { field: axis, title: label, type: 'nominal', sort: null, axis: { labelLimit: 120 } };
    }
    // Steps and epochs are counted: no tick between two of them.
    const isCounted = axis === 'x' && written.every(Number.isInteger);
    const ticks = axis === 'x' ? { tickCount: 8, ...(isCounted ? { tickMinStep: 1, format: 'd' } : {}) } : { tickCount: 6 };
    const scale = { zero: false, nice: !isCounted, ...(points ? { padding: 10 } : {}) };
    return { field: axis, title: label, type: 'quantitative', scale, axis: ticks };
  };
  const names = series.map(({ name }) => name);
  const several = names.length > 1;
  const legend = several
    ? { orient: 'bottom', direction: 'vertical', labelLimit: width, ...(points ? {} : { symbolType: 'stroke', symbolSize: 500 }) }
    : null;
  const byName = (range: readonly unknown[]) => ({
    field: 'name',
    type: 'nominal',
    scale: { domain: names, range: names.map((_, at) => range[at % range.length]) },
    legend,
  });
  const encoding = { x: axisOf('x', xLabel), y: axisOf('y', yLabel), color: byName(colours) };
  const most = Math.max(0, ...series.map((one) => one.points.length));
  const line = {
    mark: { type: 'line' },
    encoding: { ...encoding, strokeDash: byName(dashes), order: { field: 'order', type: 'quantitative' } },
  };
  const dots = { mark: { type: 'point', size: 34 }, encoding };
  const cloud = {
    mark: { type: 'point', size: 46, opacity: 0.75 },
    encoding: { ...encoding, ...(several ? { shape: byName(shapes) } : {}) },
  };
  return {
    title,
    data: { values },
    width,
    height,
    layer: points ? [cloud] : most <= mostMarks ? [line, dots] : [line],
  } as unknown as ChartSpec;
}
