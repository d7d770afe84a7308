import type { ChartSpec } from './render.ts';
import { palette } from './theme.ts';

export type SplitBar = { readonly label: string; readonly patients: number; readonly split: number; readonly share: number };

export type SplitSeries = { readonly name: string; readonly rows: readonly SplitBar[] };

/** Share of patients split per class, one bar per series; counts stand over the bars, class sizes under them. */
export function splitBarsChart({
  series,
  xTitle,
  width = 300,
}: {
  readonly series: readonly SplitSeries[];
  readonly xTitle: string;
  readonly width?: number;
}): ChartSpec {
  const values = series.flatMap(({ name, rows }) => rows.map((row) => ({ ...row, name, count: row.split === 0 ? '0' : `${row.split}` })));
  const order = series[0]?.rows.map((row) => row.label) ?? [];
  const names = series.map(({ name }) => name);
  const most = Math.max(0.01, ...values.map((row) => row.share));
  const x = { field: 'label', type: 'nominal', sort: order, title: xTitle, scale: { paddingInner: 0.28 }, axis: { labelFlush: false } };
  const offset = { field: 'name', sort: names };
  const y = {
    field: 'share',
    type: 'quantitative',
    title: 'patients split',
    scale: { domain: [0, most * 1.12] },
    axis: { format: most < 0.05 ? '.1%' : '.0%', tickCount: 5 },
  };
  return {
    data: { values },
    width,
    height: 230,
    layer: [
      {
        mark: { type: 'bar', cornerRadiusEnd: 2 },
        encoding: {
          x,
          y,
          xOffset: offset,
          color: {
            field: 'name',
            scale: { domain: names, range: names.length > 1 ? [palette.orangeLight, palette.blue] : [palette.blue] },
            legend: names.length > 1 ? { orient: 'top', direction: 'vertical', offset: 8, labelLimit: 320 } : null,
          },
        },
      },
      {
        mark: { type: 'text', dy: -8, fontSize: 11, color: palette.muted },
        encoding: { x, y, xOffset: offset, text: { field: 'count' } },
      },
    ],
  } as unknown as ChartSpec;
}
