import type { ChartSpec } from './render.ts';
import { palette } from './theme.ts';

export type Bar = { readonly label: string; readonly value: number; readonly text: string; readonly highlight?: boolean };

/** Named amounts as lying bars, the amount written at the end of each. */
export function barsChart({
  bars,
  title,
  width = 420,
}: {
  readonly bars: readonly Bar[];
  readonly title?: string;
  readonly width?: number;
}): ChartSpec {
  const values = bars.map((bar) => ({ ...bar, colour: bar.highlight === false ? palette.orangeLight : palette.blue }));
  const y = {
    field: 'label',
    type: 'nominal',
    sort: bars.map((bar) => bar.label),
    title: null,
    axis: { labelColor: palette.ink, labelLimit: 320, labelPadding: 10, domain: false, ticks: false },
    scale: { paddingInner: 0.3 },
  };
  const most = Math.max(...bars.map((bar) => bar.value), Number.MIN_VALUE);
  const x = { field: 'value', type: 'quantitative', axis: null, scale: { domain: [0, most * 1.2], nice: false } };
  return {
    ...(title ? { title } : {}),
    data: { values },
    width,
    height: { step: 28 },
    layer: [
      { mark: { type: 'bar', cornerRadiusEnd: 2 }, encoding: { y, x, color: { field: 'colour', scale: null } } },
      { mark: { type: 'text', align: 'left', dx: 7 }, encoding: { y, x, text: { field: 'text' } } },
    ],
  } as unknown as ChartSpec;
}
