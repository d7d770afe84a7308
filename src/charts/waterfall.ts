import type { ChartSpec } from './render.ts';
import { palette } from './theme.ts';

export type WaterfallStep = {
  readonly label: string;
  /** What this step adds; in whatever unit the chart's title names. */
  readonly value: number;
  /** `total` bars stand on zero and show the sum so far. */
  readonly kind: 'start' | 'step' | 'total';
};

/** How a sum comes about, step by step from left to right, top to bottom. */
export function waterfallChart({ steps, unit }: { readonly steps: readonly WaterfallStep[]; readonly unit: string }): ChartSpec {
  let sum = 0;
  const values = steps.map((step, i) => {
    const from = step.kind === 'step' ? sum : 0;
    sum = step.kind === 'total' ? sum : from + step.value;
    const colour =
      step.kind === 'total' ? palette.ink : step.kind === 'start' ? palette.muted : step.value >= 0 ? palette.blue : palette.orange;
    const shown = step.kind === 'total' ? sum : step.value;
    return { ...step, i, from, to: sum, colour, text: signed(shown), edge: Math.max(from, sum) };
  });
  const order = values.map((row) => row.label);
  const y = {
    field: 'label',
    type: 'nominal',
    sort: order,
    title: null,
    axis: { labelColor: palette.ink, labelLimit: 260, labelPadding: 10 },
    scale: { paddingInner: 0.3 },
  };
  const low = Math.min(0, ...values.map((row) => Math.min(row.from, row.to)));
  const high = Math.max(0, ...values.map((row) => row.edge));
  const scale = { domain: [low - (high - low) * 0.03, high + (high - low) * 0.1], nice: false };
  const x = (field: string) => ({ field, type: 'quantitative', scale, title: unit, axis: { grid: true, tickCount: 7 } });
  const label = { type: 'text', align: 'left', dx: 6, fontSize: 11.5 };
  return {
    data: { values },
    width: 460,
    height: { step: 26 },
    layer: [
      {
        mark: { type: 'bar', cornerRadius: 1 },
        encoding: { y, x: x('from'), x2: { field: 'to' }, color: { field: 'colour', scale: null } },
      },
      { data: { values: [{ zero: 0 }] }, mark: { type: 'rule', color: palette.muted, strokeWidth: 1 }, encoding: { x: x('zero') } },
      // The same text in white, thick, underneath: figures stay readable where a line crosses them.
      { mark: { ...label, color: 'white', stroke: 'white', strokeWidth: 4 }, encoding: { y, x: x('edge'), text: { field: 'text' } } },
      { mark: label, encoding: { y, x: x('edge'), text: { field: 'text' }, color: { field: 'colour', scale: null } } },
    ],
  } as unknown as ChartSpec;
}

function signed(value: number): string {
  const rounded = Math.round(Math.abs(value) * 10) / 10;
  return rounded === 0 ? '0' : `${value > 0 ? '+' : '−'}${rounded.toFixed(1)}`;
}
