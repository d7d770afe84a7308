import type { ChartSpec } from './render.ts';
import { shorten } from './text-width.ts';
import { palette, titleOver } from './theme.ts';
import { clipWeight, signed, signedWeight } from './weight.ts';

export type WaterfallStep = {
  readonly label: string;
  /** What this step adds; in whatever unit the chart's title names. */
  readonly value: number;
  /** `total` bars stand on zero and show the sum so far. */
  readonly kind: 'start' | 'step' | 'total';
};

const widestLabel = 320;

/** How a sum comes about, step by step from left to right, top to bottom. A step without limit is drawn as far as weights are. */
export function waterfallChart({
  steps,
  unit,
  title,
}: {
  readonly steps: readonly WaterfallStep[];
  readonly unit: string;
  readonly title?: { readonly text: string; readonly source: string };
}): ChartSpec {
  let sum = 0;
  let end = 0;
  const values = steps.map((step, i) => {
    const from = step.kind === 'step' ? end : 0;
    if (step.kind !== 'total') {
      sum = (step.kind === 'step' ? sum : 0) + step.value;
      end = from + (Number.isFinite(step.value) ? step.value : clipWeight(step.value));
    }
    const colour =
      step.kind === 'total' ? palette.ink : step.kind === 'start' ? palette.muted : step.value >= 0 ? palette.blue : palette.orange;
    const shown = step.kind === 'total' ? sum : step.value;
    return {
      kind: step.kind,
      i,
      from,
      to: end,
      colour,
      text: Number.isFinite(shown) ? signed(shown) : signedWeight(shown),
      edge: Math.max(from, end),
    };
  });
  const y = {
    field: 'i',
    type: 'ordinal',
    title: null,
    axis: {
      labelColor: palette.ink,
      labelExpr: `${JSON.stringify(steps.map(({ label }) => shorten(label, widestLabel, 12)))}[datum.value]`,
      labelLimit: 0,
      labelPadding: 10,
    },
    scale: { paddingInner: 0.3 },
  };
  const low = Math.min(0, ...values.map((row) => Math.min(row.from, row.to)));
  const high = Math.max(0, ...values.map((row) => row.edge));
  const scale = { domain: [low - (high - low) * 0.03, high + (high - low) * 0.1], nice: false };
  const x = (field: string) => ({ field, type: 'quantitative', scale, title: unit, axis: { grid: true, tickCount: 7 } });
  const label = { type: 'text', align: 'left', dx: 6, fontSize: 11.5 };
  return {
    ...(title ? titleOver(title.text, title.source, 600) : {}),
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
