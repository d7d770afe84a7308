import type { ChartSpec } from './render.ts';
import { textWidth } from './text-width.ts';
import { palette } from './theme.ts';

/** How often each true class (rows) was given each label (columns): counts, or shares of the row. */
export function confusionChart({
  pairs,
  title,
  xLabel,
  yLabel,
  normalized = false,
}: {
  readonly pairs: readonly { readonly actual: string; readonly predicted: string }[];
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly normalized?: boolean;
}): ChartSpec {
  const classes = [...new Set(pairs.flatMap(({ actual, predicted }) => [actual, predicted]))].sort();
  const count = (actual: string, predicted: string) =>
    pairs.filter((pair) => pair.actual === actual && pair.predicted === predicted).length;
  const values = classes.flatMap((actual) => {
    const row = pairs.filter((pair) => pair.actual === actual).length;
    return classes.map((predicted) => {
      const cell = count(actual, predicted);
      const share = row === 0 ? 0 : cell / row;
      return { actual, predicted, value: normalized ? share : cell, text: normalized ? `${Math.round(100 * share)} %` : String(cell) };
    });
  });
  const most = Math.max(...values.map(({ value }) => value), Number.MIN_VALUE);
  const axis = { labelColor: palette.ink, labelLimit: 140, domain: false, ticks: false, grid: false };
  const y = { field: 'actual', type: 'nominal', sort: classes, title: yLabel, axis };
  const step = Math.max(34, Math.min(72, 520 / Math.max(classes.length, 1)));
  const slanted = Math.max(0, ...classes.map((name) => textWidth(name, 12))) > step - 6;
  const above = { ...axis, orient: 'top', ...(slanted ? { labelAngle: -35, labelAlign: 'left' } : {}) };
  const x = { field: 'predicted', type: 'nominal', sort: classes, title: xLabel, axis: above };
  return {
    title,
    data: { values },
    width: { step },
    height: { step },
    layer: [
      {
        mark: { type: 'rect', stroke: palette.paper, strokeWidth: 2 },
        encoding: {
          x,
          y,
          color: { field: 'value', type: 'quantitative', scale: { domain: [0, most], range: [palette.grid, palette.blue] }, legend: null },
        },
      },
      {
        mark: { type: 'text' },
        encoding: {
          x,
          y,
          text: { field: 'text' },
          color: { condition: { test: `datum.value > ${most * 0.55}`, value: palette.paper }, value: palette.ink },
        },
      },
    ],
  } as unknown as ChartSpec;
}
