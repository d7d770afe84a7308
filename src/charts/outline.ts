// Rows under headings, as in a printed table: the names stand left of the bars, one line each, so that twenty comparisons of six levels stay readable.

import { shorten, textWidth } from './text-width.ts';
import { palette } from './theme.ts';

/** A group of rows; without a name it gets no heading. */
export type OutlineGroup<T> = { readonly name?: string; readonly entries: readonly T[] };

type Text = { readonly row: number; readonly text: string };

/** Groups lined up row by row, and how wide their names are. */
export type Outline<T> = {
  readonly count: number;
  readonly gutter: number;
  readonly headings: readonly Text[];
  readonly names: readonly Text[];
  readonly entries: readonly (T & { readonly row: number })[];
};

/** Height of a row, and the widest a name may be, in pixels. */
const step = 20;
const widestName = 340;
const gap = 10;

/** Gives every heading and entry its row. Names too long for the gutter are cut. */
export function outlineOf<T extends { readonly label: string }>(groups: readonly OutlineGroup<T>[]): Outline<T> {
  const headings: Text[] = [];
  const entries: (T & { readonly row: number })[] = [];
  let row = 0;
  for (const { name, entries: members } of groups) {
    if (name !== undefined) headings.push({ row: row++, text: shorten(name, widestName, 12, true) });
    for (const entry of members) entries.push({ ...entry, row: row++ });
  }
  const names = entries.map(({ row: at, label }) => ({ row: at, text: shorten(label, widestName, 12) }));
  const widest = Math.max(0, ...names.map(({ text }) => textWidth(text, 12)), ...headings.map(({ text }) => textWidth(text, 12, true)));
  return { count: row, gutter: Math.ceil(widest) + gap, headings, names, entries };
}

/** The rows as a y channel, for every layer beside the names. */
export function outlineRows({ count }: Pick<Outline<unknown>, 'count'>) {
  return {
    field: 'row',
    type: 'ordinal',
    axis: null,
    scale: { domain: Array.from({ length: count }, (_, row) => row), paddingInner: 0.25, paddingOuter: 0.15 },
  } as const;
}

/** Height of a view whose rows are an outline's. */
export const outlineHeight = { step } as const;

/** Names, headings and a thin line over each heading, `width` being that of the bars. */
export function outlineLayers(outline: Outline<unknown>, width: number): object[] {
  const y = outlineRows(outline);
  const text = { type: 'text', align: 'right', fontSize: 12 };
  const encoding = { x: { value: -gap }, y, text: { field: 'text' } };
  return [
    {
      data: { values: outline.headings.filter(({ row }) => row > 0) },
      mark: { type: 'rule', color: palette.grid },
      encoding: { x: { value: -outline.gutter }, x2: { value: width }, y: { ...y, bandPosition: 0 } },
    },
    { data: { values: outline.headings }, mark: { ...text, fontWeight: 600 }, encoding },
    { data: { values: outline.names }, mark: { ...text, color: palette.muted }, encoding },
  ];
}
