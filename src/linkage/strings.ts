// Distances and shares of bytes, equal to DuckDB's to the last bit; Jaro has its own file.
//
// Idea: values are compared as UTF-8 bytes that lie one after another in one array, so no text is made per pair.
// Levenshtein counts inserted, deleted, replaced bytes; Damerau-Levenshtein also swaps of neighbours, unrestricted (ca, abc = 2).
// Jaccard counts different bytes: shared / (of a + of b - shared), from one set of 256 bits per value.
//
// Worked case: smith, smyth: equal ends cut off, i against y remains: 1 edit. aab, ba have the bytes a, b both: Jaccard 1.
// Cost: O(|a||b|) after equal ends are cut off; Jaccard 8 counts of bits. Sources: Levenshtein 1966; Lowrance and Wagner 1975.

import { bitCount } from './bounds.ts';

/** Values as bytes: value v is `bytes[offsets[v] .. offsets[v + 1])`. */
export type ByteTable = { readonly bytes: Uint8Array; readonly offsets: Uint32Array };

/** What lies between the equal ends of the two values looked at last: where it begins in both, and how many bytes of each. */
const between = { from: 0, otherFrom: 0, rows: 0, columns: 0 };

function cutEqualEnds({ bytes, offsets }: ByteTable, a: number, b: number): void {
  let from = offsets[a]!;
  let until = offsets[a + 1]!;
  let otherFrom = offsets[b]!;
  let otherUntil = offsets[b + 1]!;
  while (from < until && otherFrom < otherUntil && bytes[from] === bytes[otherFrom]) {
    from += 1;
    otherFrom += 1;
  }
  while (from < until && otherFrom < otherUntil && bytes[until - 1] === bytes[otherUntil - 1]) {
    until -= 1;
    otherUntil -= 1;
  }
  between.from = from;
  between.otherFrom = otherFrom;
  between.rows = until - from;
  between.columns = otherUntil - otherFrom;
}

let rowBefore = new Int32Array(64);
let row = new Int32Array(64);

/** Fewest inserted, deleted or replaced bytes. */
export function levenshtein(values: ByteTable, a: number, b: number): number {
  cutEqualEnds(values, a, b);
  const { bytes } = values;
  const { from, otherFrom, rows, columns } = between;
  if (rows === 0 || columns === 0) return rows + columns;
  if (row.length <= columns) [rowBefore, row] = [new Int32Array(2 * columns), new Int32Array(2 * columns)];
  for (let j = 0; j <= columns; j++) rowBefore[j] = j;
  for (let i = 1; i <= rows; i++) {
    row[0] = i;
    const byte = bytes[from + i - 1];
    for (let j = 1; j <= columns; j++) {
      const replaced = rowBefore[j - 1]! + (byte === bytes[otherFrom + j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, rowBefore[j]! + 1, row[j - 1]! + 1);
    }
    [rowBefore, row] = [row, rowBefore];
  }
  return rowBefore[columns]!;
}

/** Whether one inserted, deleted or replaced byte (or, with `swaps`, one swap of neighbours) is enough: what lies between equal ends tells. */
export function withinOneEdit(values: ByteTable, a: number, b: number, swaps: boolean): boolean {
  const { bytes, offsets } = values;
  const longer = offsets[a + 1]! - offsets[a]! - (offsets[b + 1]! - offsets[b]!);
  if (longer > 1 || longer < -1) return false;
  cutEqualEnds(values, a, b);
  const { from, otherFrom, rows, columns } = between;
  if (rows <= 1 && columns <= 1) return true;
  return swaps && rows === 2 && columns === 2 && bytes[from] === bytes[otherFrom + 1] && bytes[from + 1] === bytes[otherFrom];
}

let table = new Int32Array(64 * 64);
const lastRow = new Int32Array(256);

/** Fewest inserted, deleted, replaced bytes or swaps of neighbours; a swapped pair may be edited further. */
export function damerauLevenshtein(values: ByteTable, a: number, b: number): number {
  cutEqualEnds(values, a, b);
  const { bytes } = values;
  const { from, otherFrom, rows, columns } = between;
  if (rows === 0 || columns === 0) return rows + columns;
  // Row and column 0 hold `far`, row and column 1 the empty starts, so that a swap with nothing before it never wins.
  const width = columns + 2;
  const far = rows + columns;
  if (table.length < (rows + 2) * width) table = new Int32Array(2 * (rows + 2) * width);
  table[0] = far;
  for (let j = 0; j <= columns; j++) {
    table[j + 1] = far;
    table[width + j + 1] = j;
  }
  for (let i = 1; i <= rows; i++) {
    const byte = bytes[from + i - 1]!;
    const at = (i + 1) * width;
    table[at] = far;
    table[at + 1] = i;
    let lastColumn = 0;
    for (let j = 1; j <= columns; j++) {
      const other = bytes[otherFrom + j - 1]!;
      const swapRow = lastRow[other]!;
      const swapColumn = lastColumn;
      let cost = 1;
      if (byte === other) {
        cost = 0;
        lastColumn = j;
      }
      table[at + j + 1] = Math.min(
        table[at - width + j]! + cost,
        table[at + j]! + 1,
        table[at - width + j + 1]! + 1,
        table[swapRow * width + swapColumn]! + (i - swapRow - 1) + 1 + (j - swapColumn - 1),
      );
    }
    lastRow[byte] = i;
  }
  for (let i = 0; i < rows; i++) lastRow[bytes[from + i]!] = 0;
  return table[(rows + 1) * width + columns + 1]!;
}

/** The different bytes of values: value v has `words[width * v]` of them, a bit for each in the words after that. */
export type LetterSets = { readonly words: Int32Array; readonly width: number };

/** The different bytes of every value, for `jaccard`; words for bytes that no value has are left out (plain English needs three). */
export function letterSets({ bytes, offsets }: ByteTable): LetterSets {
  const count = offsets.length - 1;
  const places = new Int32Array(8);
  for (let i = 0; i < offsets[count]!; i++) places[bytes[i]! >> 5] = 1;
  let width = 1;
  for (let group = 0; group < 8; group++) if (places[group] === 1) places[group] = width++;
  const words = new Int32Array(new SharedArrayBuffer(4 * width * count));
  for (let value = 0; value < count; value++) {
    const at = width * value;
    for (let i = offsets[value]!; i < offsets[value + 1]!; i++) words[at + places[bytes[i]! >> 5]!]! |= 1 << (bytes[i]! & 31);
    for (let word = 1; word < width; word++) words[at]! += bitCount(words[at + word]!);
  }
  return { words, width };
}

/** Jaccard similarity of two values, 0 to 1: shared different bytes by all different bytes. DuckDB refuses empty text; here it shares nothing. */
export function jaccard({ words, width }: LetterSets, a: number, b: number): number {
  const x = width * a;
  const y = width * b;
  let shared = 0;
  for (let word = 1; word < width; word++) shared += bitCount(words[x + word]! & words[y + word]!);
  return shared === 0 ? 0 : shared / (words[x]! + words[y]! - shared);
}

/** Jaccard similarity at most, from how many different bytes the two values have. */
export function jaccardBound({ words, width }: LetterSets, a: number, b: number): number {
  const x = words[width * a]!;
  const y = words[width * b]!;
  return x === 0 || y === 0 ? 0 : Math.min(x, y) / Math.max(x, y);
}
