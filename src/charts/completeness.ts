import { outlineHeight, outlineLayers, outlineOf, outlineRows } from './outline.ts';
import type { ChartSpec } from './render.ts';
import { shorten } from './text-width.ts';
import { palette, titleOver } from './theme.ts';

export type ColumnCompleteness = {
  readonly column: string;
  /** Values that are there, by source, in the order of `sources`. */
  readonly present: readonly number[];
};

export type CompletenessSource = { readonly name: string; readonly records: number };

const gap = 14;
/** Sources side by side before the next row of panels begins. */
const perRow = 8;

/** Share of values that are there, by column and source. Columns stand from least to most complete. */
export function completenessChart({
  sources,
  columns,
  source,
}: {
  readonly sources: readonly CompletenessSource[];
  readonly columns: readonly ColumnCompleteness[];
  readonly source: string;
}): ChartSpec {
  const all = Math.max(
    1,
    sources.reduce((sum, { records }) => sum + records, 0),
  );
  const whole = ({ present }: ColumnCompleteness) => present.reduce((sum, count) => sum + count, 0) / all;
  const sorted = columns.map((column, i) => ({ column, i })).sort((a, b) => whole(a.column) - whole(b.column) || a.i - b.i);
  const outline = outlineOf([{ entries: sorted.map(({ column: { column, present } }) => ({ label: column, present })) }]);
  const across = Math.min(perRow, Math.max(1, sources.length));
  const width = Math.max(72, Math.min(320, Math.floor(640 / across)));
  const panel = ({ name, records }: CompletenessSource, s: number) => {
    const values = outline.entries.map(({ row, present }) => {
      const share = records === 0 ? 0 : present[s]! / records;
      return { row, share, text: records === 0 ? 'no records' : percentText(share) };
    });
    const y = outlineRows(outline);
    const text = { type: 'text', align: 'left', fontSize: 11.5 };
    return {
      title: { text: shorten(name, width, 12, true), subtitle: `${records.toLocaleString('en-US')} records`, fontSize: 12, offset: 8 },
      width,
      height: outlineHeight,
      data: { values },
      layer: [
        { mark: { type: 'bar', color: palette.grid }, encoding: { x: { value: 0 }, x2: { value: width }, y } },
        {
          mark: { type: 'bar', color: palette.blueLight },
          encoding: { x: { field: 'share', type: 'quantitative', scale: { domain: [0, 1], nice: false }, axis: null }, y },
        },
        { mark: text, encoding: { x: { value: 6 }, y, text: { field: 'text' } } },
        ...(s % perRow === 0 ? outlineLayers(outline, width) : []),
      ],
    };
  };
  return {
    ...titleOver('How complete each column is', source, outline.gutter + across * (width + gap)),
    concat: sources.map(panel),
    columns: perRow,
    spacing: { row: 64, column: gap },
    bounds: 'flush',
  } as unknown as ChartSpec;
}

/** Whole percents, but never 100 % or 0 % where that is not exact. */
function percentText(share: number): string {
  if (share === 0 || share === 1) return `${100 * share} %`;
  if (share > 0.99) return share > 0.999 ? '> 99.9 %' : `${(100 * share).toFixed(1)} %`;
  return share < 0.01 ? '< 1 %' : `${Math.round(100 * share)} %`;
}
