// Jaro similarity of one value with many, on bytes, equal to DuckDB's to the last bit.
//
//   jaro = (c/|a| + c/|b| + (c - t)/c) / 3    c shared within max(|a|,|b|)/2 - 1 places, t = floor(out of order / 2)
//   jaroWinkler = jaro + 0.1 min(prefix, 4) (1 - jaro)    where jaro > 0.7, else jaro
//
// Idea: the first value is laid out once: bit i of a byte's words says that it holds the byte at place i. Each byte of another value then finds the
// places it may meet by a few bit operations, not by a scan. Pairs come with the same left record many times in a row, so laying out is paid once
// for all of them. Up to 32 bytes one word does; beyond, as many as are needed.
//
// Worked case: martha, marhta share 6, one swap: (1 + 1 + 5/6)/3 = 0.944; prefix 3: 0.944 + 0.3 * 0.056 = 0.961.
// Cost: O(|b|) up to 32 bytes, then O(|b| |a| / 32). Sources: Jaro 1989; Winkler 1990; bit marks as in Hyyrö's bit-parallel work, 2003.

import type { ByteTable } from './strings.ts';

/** One value laid out, for others to be met with. */
export type JaroRow = {
  readonly layOut: (value: number) => void;
  /** The similarity, or 0 where it is certain to be below `least`. */
  readonly with: (value: number, least: number) => number;
};

/** One table's values against each other. */
export function jaroRow({ bytes, offsets }: ByteTable): JaroRow {
  let words = 1;
  // Word w of byte b is places[b * words + w].
  let places = new Int32Array(256);
  let taken = new Int32Array(1);
  let met = new Uint8Array(64);
  let from = 0;
  let length = 0;

  /** Both values of at most 32 bytes. */
  const short = (otherFrom: number, otherLength: number, least: number): number => {
    const bound = Math.max(0, (Math.max(length, otherLength) >> 1) - 1);
    let inA = 0;
    let inB = 0;
    let shared = 0;
    // The window of places that place j of the other may meet: it grows while j <= bound, then slides.
    let window = bound >= 31 ? -1 : (1 << (bound + 1)) - 1;
    for (let j = 0; j < otherLength; j++) {
      const free = places[bytes[otherFrom + j]!]! & window & ~inA;
      if (free !== 0) {
        inA |= free & -free;
        inB |= 1 << j;
        shared += 1;
      }
      window = j < bound ? (window << 1) | 1 : window << 1;
    }
    if (atMost(shared, otherLength) < least) return 0;
    let moved = 0;
    for (let restA = inA, restB = inB; restB !== 0; restB &= restB - 1) {
      const place = restA & -restA;
      if ((places[bytes[otherFrom + 31 - Math.clz32(restB & -restB)]!]! & place) === 0) moved += 1;
      restA ^= place;
    }
    return combine(shared, moved, otherLength);
  };

  const long = (otherFrom: number, otherLength: number, least: number): number => {
    const bound = Math.max(0, (Math.max(length, otherLength) >> 1) - 1);
    if (met.length < otherLength) met = new Uint8Array(2 * otherLength);
    taken.fill(0, 0, words);
    let shared = 0;
    for (let j = 0; j < otherLength; j++) {
      const byte = bytes[otherFrom + j]!;
      const first = Math.max(0, j - bound);
      const last = Math.min(length - 1, j + bound);
      for (let word = first >> 5; word <= last >> 5; word++) {
        let free = places[byte * words + word]! & ~taken[word]!;
        if (word === first >> 5) free &= -1 << (first & 31);
        if (word === last >> 5) free &= -1 >>> (31 - (last & 31));
        if (free === 0) continue;
        taken[word]! |= free & -free;
        met[shared++] = byte;
        break;
      }
    }
    if (atMost(shared, otherLength) < least) return 0;
    let moved = 0;
    for (let word = 0, k = 0; word < words; word++) {
      for (let rest = taken[word]!; rest !== 0; rest &= rest - 1) {
        if (bytes[from + 32 * word + 31 - Math.clz32(rest & -rest)] !== met[k++]) moved += 1;
      }
    }
    return combine(shared, moved, otherLength);
  };

  const combine = (shared: number, moved: number, otherLength: number): number =>
    shared === 0 ? 0 : (shared / length + shared / otherLength + (shared - (moved >> 1)) / shared) / 3;
  /** With everything in order; rounding may lift the true value by a last bit above this sum. */
  const atMost = (shared: number, otherLength: number): number => (shared / length + shared / otherLength + 1) / 3 + 1e-12;

  return {
    layOut: (value) => {
      for (let i = 0; i < length; i++) places[bytes[from + i]! * words + (i >> 5)] = 0;
      from = offsets[value]!;
      length = offsets[value + 1]! - from;
      words = Math.max(1, (length + 31) >> 5);
      if (taken.length < words) {
        places = new Int32Array(256 * 2 * words);
        taken = new Int32Array(2 * words);
      }
      for (let i = 0; i < length; i++) places[bytes[from + i]! * words + (i >> 5)]! |= 1 << (i & 31);
    },
    with: (other, least) => {
      const otherFrom = offsets[other]!;
      const otherLength = offsets[other + 1]! - otherFrom;
      if (length === 0 || otherLength === 0) return 0;
      return length <= 32 && otherLength <= 32 ? short(otherFrom, otherLength, least) : long(otherFrom, otherLength, least);
    },
  };
}

/** Jaro-Winkler from Jaro: raised by up to four equal bytes at the start where it is above 0.7. */
export function raisedByStart({ bytes, offsets }: ByteTable, plain: number, a: number, b: number): number {
  if (plain <= 0.7) return plain;
  const [from, otherFrom] = [offsets[a]!, offsets[b]!];
  const most = Math.min(4, offsets[a + 1]! - from, offsets[b + 1]! - otherFrom);
  let start = 0;
  while (start < most && bytes[from + start] === bytes[otherFrom + start]) start += 1;
  return plain + start * 0.1 * (1 - plain);
}

/** Jaro or Jaro-Winkler of two values of a table. */
export function jaroSimilarity(table: ByteTable, kind: 'jaro' | 'jaroWinkler'): (a: number, b: number) => number {
  const row = jaroRow(table);
  let laidOut = -1;
  return (a, b) => {
    if (a !== laidOut) row.layOut((laidOut = a));
    const plain = row.with(b, 0);
    return kind === 'jaro' ? plain : raisedByStart(table, plain, a, b);
  };
}
