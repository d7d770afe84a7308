// String measures on bytes, equal to DuckDB's to the last bit.
//
// Idea: values are compared as UTF-8 bytes that lie one after another in one array, so no text is made per pair. Jaro marks
// shared characters inside a window: the marks are bits of a word (of several beyond 32 bytes) and a character is looked up as
// a bit pattern of its places, not by a scan.
//
//   jaro = (c/|a| + c/|b| + (c - t)/c) / 3    c shared within max(|a|,|b|)/2 - 1 places, t = floor(out of order / 2)
//   jaroWinkler = jaro + 0.1 min(prefix, 4) (1 - jaro)    where jaro > 0.7, else jaro
//
// Worked case: martha, marhta share 6, one swap: (1 + 1 + 5/6)/3 = 0.944; prefix 3: 0.944 + 0.3 * 0.056 = 0.961.
// Levenshtein counts inserted, deleted, replaced bytes; Damerau-Levenshtein also swaps of neighbours, unrestricted (ca, abc = 2).
// Jaccard counts different bytes: shared / (of a + of b - shared), from one set of 256 bits per value.
// Cost: Jaro O(|a| + |b|) up to 32 bytes, then O(|a| + |b||a| / 32); distances O(|a||b|) after equal ends are cut off.
// Sources: Jaro 1989; Winkler 1990; Lowrance and Wagner 1975; bit marks as in Hyyrö's bit-parallel work, 2003.

import { bitCount } from './bounds.ts';

/** Values as bytes: value v is `bytes[offsets[v] .. offsets[v + 1])`. */
export type ByteTable = { readonly bytes: Uint8Array; readonly offsets: Uint32Array };

const places = new Int32Array(256);

/** Jaro similarity of two values, 0 to 1. */
export function jaro(left: ByteTable, a: number, right: ByteTable, b: number): number {
  const aFrom = left.offsets[a]!;
  const bFrom = right.offsets[b]!;
  const aLength = left.offsets[a + 1]! - aFrom;
  const bLength = right.offsets[b + 1]! - bFrom;
  if (aLength === 0 || bLength === 0) return 0;
  return aLength <= 32 && bLength <= 32
    ? jaroShort(left.bytes, aFrom, aLength, right.bytes, bFrom, bLength)
    : jaroLong(left.bytes, aFrom, aLength, right.bytes, bFrom, bLength);
}

/** Jaro-Winkler similarity of two values, 0 to 1: Jaro raised by a shared start. */
export function jaroWinkler(left: ByteTable, a: number, right: ByteTable, b: number): number {
  const plain = jaro(left, a, right, b);
  if (plain <= 0.7) return plain;
  return plain + sharedStart(left, a, right, b) * 0.1 * (1 - plain);
}

/** Equal bytes at the start, at most 4. */
export function sharedStart(left: ByteTable, a: number, right: ByteTable, b: number): number {
  const aFrom = left.offsets[a]!;
  const bFrom = right.offsets[b]!;
  const most = Math.min(4, left.offsets[a + 1]! - aFrom, right.offsets[b + 1]! - bFrom);
  let shared = 0;
  while (shared < most && left.bytes[aFrom + shared] === right.bytes[bFrom + shared]) shared += 1;
  return shared;
}

function jaroShort(a: Uint8Array, aFrom: number, aLength: number, b: Uint8Array, bFrom: number, bLength: number): number {
  const bound = Math.max(0, (Math.max(aLength, bLength) >> 1) - 1);
  for (let i = 0; i < aLength; i++) places[a[aFrom + i]!]! |= 1 << i;
  let inA = 0;
  let inB = 0;
  let shared = 0;
  // The window of places in `a` that place j of `b` may meet: it grows while j <= bound, then slides.
  let window = bound >= 31 ? -1 : (1 << (bound + 1)) - 1;
  for (let j = 0; j < bLength; j++) {
    const free = places[b[bFrom + j]!]! & window & ~inA;
    if (free !== 0) {
      inA |= free & -free;
      inB |= 1 << j;
      shared += 1;
    }
    window = j < bound ? (window << 1) | 1 : window << 1;
  }
  let moved = 0;
  for (let restA = inA, restB = inB; restB !== 0; restB &= restB - 1) {
    const place = restA & -restA;
    if ((places[b[bFrom + 31 - Math.clz32(restB & -restB)]!]! & place) === 0) moved += 1;
    restA ^= place;
  }
  for (let i = 0; i < aLength; i++) places[a[aFrom + i]!] = 0;
  return combine(shared, moved, aLength, bLength);
}

/** Bit i % 32 of word i / 32 of a byte's words says that the first value holds the byte at place i. */
let longPlaces = new Int32Array(256 * 4);
let longTaken = new Int32Array(4);
let longShared = new Uint8Array(128);

/** As `jaroShort`, over as many words as the first value needs. */
function jaroLong(a: Uint8Array, aFrom: number, aLength: number, b: Uint8Array, bFrom: number, bLength: number): number {
  const bound = Math.max(0, (Math.max(aLength, bLength) >> 1) - 1);
  const words = (aLength + 31) >> 5;
  if (longTaken.length < words) {
    longPlaces = new Int32Array(256 * 2 * words);
    longTaken = new Int32Array(2 * words);
  }
  if (longShared.length < bLength) longShared = new Uint8Array(2 * bLength);
  for (let i = 0; i < aLength; i++) longPlaces[a[aFrom + i]! * words + (i >> 5)]! |= 1 << (i & 31);
  longTaken.fill(0, 0, words);
  let shared = 0;
  for (let j = 0; j < bLength; j++) {
    const byte = b[bFrom + j]!;
    const first = Math.max(0, j - bound);
    const last = Math.min(aLength - 1, j + bound);
    for (let word = first >> 5; word <= last >> 5; word++) {
      let free = longPlaces[byte * words + word]! & ~longTaken[word]!;
      if (word === first >> 5) free &= -1 << (first & 31);
      if (word === last >> 5) free &= -1 >>> (31 - (last & 31));
      if (free === 0) continue;
      longTaken[word]! |= free & -free;
      longShared[shared++] = byte;
      break;
    }
  }
  let moved = 0;
  for (let word = 0, k = 0; word < words; word++) {
    for (let rest = longTaken[word]!; rest !== 0; rest &= rest - 1) {
      if (a[aFrom + 32 * word + 31 - Math.clz32(rest & -rest)] !== longShared[k++]) moved += 1;
    }
  }
  for (let i = 0; i < aLength; i++) longPlaces[a[aFrom + i]! * words + (i >> 5)] = 0;
  return combine(shared, moved, aLength, bLength);
}

function combine(shared: number, moved: number, aLength: number, bLength: number): number {
  if (shared === 0) return 0;
  return (shared / aLength + shared / bLength + (shared - (moved >> 1)) / shared) / 3;
}

let rowBefore = new Int32Array(64);
let row = new Int32Array(64);

/** Fewest inserted, deleted or replaced bytes. */
export function levenshtein(left: ByteTable, a: number, right: ByteTable, b: number): number {
  const { bytes: x } = left;
  const { bytes: y } = right;
  let from = left.offsets[a]!;
  let until = left.offsets[a + 1]!;
  let otherFrom = right.offsets[b]!;
  let otherUntil = right.offsets[b + 1]!;
  while (from < until && otherFrom < otherUntil && x[from] === y[otherFrom]) {
    from += 1;
    otherFrom += 1;
  }
  while (from < until && otherFrom < otherUntil && x[until - 1] === y[otherUntil - 1]) {
    until -= 1;
    otherUntil -= 1;
  }
  const rows = until - from;
  const columns = otherUntil - otherFrom;
  if (rows === 0 || columns === 0) return rows + columns;
  if (row.length <= columns) [rowBefore, row] = [new Int32Array(2 * columns), new Int32Array(2 * columns)];
  for (let j = 0; j <= columns; j++) rowBefore[j] = j;
  for (let i = 1; i <= rows; i++) {
    row[0] = i;
    const byte = x[from + i - 1];
    for (let j = 1; j <= columns; j++) {
      const replaced = rowBefore[j - 1]! + (byte === y[otherFrom + j - 1] ? 0 : 1);
      row[j] = Math.min(replaced, rowBefore[j]! + 1, row[j - 1]! + 1);
    }
    [rowBefore, row] = [row, rowBefore];
  }
  return rowBefore[columns]!;
}

/** Whether one inserted, deleted or replaced byte (or, with `swaps`, one swap of neighbours) is enough: what lies between equal ends tells. */
export function withinOneEdit({ bytes, offsets }: ByteTable, a: number, b: number, swaps: boolean): boolean {
  let from = offsets[a]!;
  let until = offsets[a + 1]!;
  let otherFrom = offsets[b]!;
  let otherUntil = offsets[b + 1]!;
  const longer = until - from - (otherUntil - otherFrom);
  if (longer > 1 || longer < -1) return false;
  while (from < until && otherFrom < otherUntil && bytes[from] === bytes[otherFrom]) {
    from += 1;
    otherFrom += 1;
  }
  while (from < until && otherFrom < otherUntil && bytes[until - 1] === bytes[otherUntil - 1]) {
    until -= 1;
    otherUntil -= 1;
  }
  const [rows, columns] = [until - from, otherUntil - otherFrom];
  if (rows <= 1 && columns <= 1) return true;
  return swaps && rows === 2 && columns === 2 && bytes[from] === bytes[otherFrom + 1] && bytes[from + 1] === bytes[otherFrom];
}

let table = new Int32Array(64 * 64);
const lastRow = new Int32Array(256);

/** Fewest inserted, deleted, replaced bytes or swaps of neighbours; a swapped pair may be edited further. */
export function damerauLevenshtein(left: ByteTable, a: number, right: ByteTable, b: number): number {
  const { bytes: x } = left;
  const { bytes: y } = right;
  let from = left.offsets[a]!;
  let until = left.offsets[a + 1]!;
  let otherFrom = right.offsets[b]!;
  let otherUntil = right.offsets[b + 1]!;
  while (from < until && otherFrom < otherUntil && x[from] === y[otherFrom]) {
    from += 1;
    otherFrom += 1;
  }
  while (from < until && otherFrom < otherUntil && x[until - 1] === y[otherUntil - 1]) {
    until -= 1;
    otherUntil -= 1;
  }
  const rows = until - from;
  const columns = otherUntil - otherFrom;
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
    const byte = x[from + i - 1]!;
    const at = (i + 1) * width;
    table[at] = far;
    table[at + 1] = i;
    let lastColumn = 0;
    for (let j = 1; j <= columns; j++) {
      const other = y[otherFrom + j - 1]!;
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
  for (let i = 0; i < rows; i++) lastRow[x[from + i]!] = 0;
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
