// Jaro similarity of one value with many: the first is laid out once, then each of the others is looked up in it.
//
// Idea: bit i of `places[byte]` says that the first value holds the byte at place i. Within a batch the left record stays the same for many
// pairs, so laying it out (and clearing it again) is paid once for all of them. Same greedy matching and the same sums as `jaro` in strings.ts,
// which takes over beyond 64 bytes.
//
// Before that, two whole numbers a value (bounds.ts) and the first four bytes say whether the lowest limit can be reached at all:
//
//   jaro-winkler >= t > 0.7 with p equal bytes at the start needs jaro >= (t - 0.1 p) / (1 - 0.1 p), so at least
//   (3 jaro - 1) / (1/|a| + 1/|b|) shared bytes; a table by both lengths and p holds that number
//
// Worked case: t = 0.8, six bytes each, p = 0: jaro >= 0.8, so 5 of 6 bytes must be shared; with p = 4 jaro > 0.7 does, and 4 are enough.

import { bitCount, longestBounded } from './bounds.ts';
import type { Dictionary } from './kernel.ts';
import { type ByteTable, jaro, sharedStart } from './strings.ts';

/** Similarity of the value laid out last with another. */
export type JaroRow = {
  readonly layOut: (value: number) => void;
  /** The similarity, or 0 where it is certain to be below `least`. */
  readonly with: (value: number, least: number) => number;
};

/** One table's values against each other. A row holds what was laid out until the next. */
export function jaroRow({ bytes, offsets }: ByteTable): JaroRow {
  const whole: ByteTable = { bytes, offsets };
  // Places 0 to 31 and 32 to 63 of each byte.
  const low = new Int32Array(256);
  const high = new Int32Array(256);
  let value = -1;
  let from = 0;
  let length = 0;

  const short = (otherFrom: number, otherLength: number, least: number): number => {
    const bound = Math.max(0, (Math.max(length, otherLength) >> 1) - 1);
    let taken = 0;
    let shared = 0;
    let moved = 0;
    let matched = 0;
    // The window of places that place j of the other may meet: it grows while j <= bound, then slides.
    let window = bound >= 31 ? -1 : (1 << (bound + 1)) - 1;
    for (let j = 0; j < otherLength; j++) {
      const free = low[bytes[otherFrom + j]!]! & window & ~taken;
      if (free !== 0) {
        taken |= free & -free;
        matched |= 1 << j;
        shared += 1;
      }
      window = j < bound ? (window << 1) | 1 : window << 1;
    }
    if (shared === 0 || (shared / length + shared / otherLength + 1) / 3 < least - 1e-12) return 0;
    for (let restA = taken, restB = matched; restB !== 0; restB &= restB - 1) {
      const place = restA & -restA;
      if ((low[bytes[otherFrom + 31 - Math.clz32(restB & -restB)]!]! & place) === 0) moved += 1;
      restA ^= place;
    }
    return (shared / length + shared / otherLength + (shared - (moved >> 1)) / shared) / 3;
  };

  /** The same on two words of places. */
  const middling = (otherFrom: number, otherLength: number, least: number): number => {
    const bound = Math.max(0, (Math.max(length, otherLength) >> 1) - 1);
    let takenLow = 0;
    let takenHigh = 0;
    let shared = 0;
    for (let j = 0; j < otherLength; j++) {
      const byte = bytes[otherFrom + j]!;
      const first = Math.max(0, j - bound);
      const last = Math.min(63, j + bound);
      const freeLow = low[byte]! & ~takenLow & (first < 32 ? -1 << first : 0) & (last >= 31 ? -1 : (1 << (last + 1)) - 1);
      const freeHigh =
        freeLow !== 0 || last < 32
          ? 0
          : high[byte]! & ~takenHigh & (first <= 32 ? -1 : -1 << (first - 32)) & (last >= 63 ? -1 : (1 << (last - 31)) - 1);
      if (freeLow !== 0) takenLow |= freeLow & -freeLow;
      else if (freeHigh !== 0) takenHigh |= freeHigh & -freeHigh;
      else continue;
      met[shared++] = byte;
    }
    if (shared === 0 || (shared / length + shared / otherLength + 1) / 3 < least - 1e-12) return 0;
    let moved = 0;
    let k = 0;
    for (let rest = takenLow; rest !== 0; rest &= rest - 1) if ((low[met[k++]!]! & rest & -rest) === 0) moved += 1;
    for (let rest = takenHigh; rest !== 0; rest &= rest - 1) if ((high[met[k++]!]! & rest & -rest) === 0) moved += 1;
    return (shared / length + shared / otherLength + (shared - (moved >> 1)) / shared) / 3;
  };
  const met = new Uint8Array(64);

  return {
    layOut: (next) => {
      if (length <= 64) {
        for (let i = 0; i < length; i++) low[bytes[from + i]!] = high[bytes[from + i]!] = 0;
      }
      value = next;
      from = offsets[next]!;
      length = offsets[next + 1]! - from;
      if (length > 64) return;
      for (let i = 0; i < Math.min(32, length); i++) low[bytes[from + i]!]! |= 1 << i;
      for (let i = 32; i < length; i++) high[bytes[from + i]!]! |= 1 << (i - 32);
    },
    with: (other, least) => {
      const otherFrom = offsets[other]!;
      const otherLength = offsets[other + 1]! - otherFrom;
      if (length === 0 || otherLength === 0) return 0;
      if (length <= 32 && otherLength <= 32) return short(otherFrom, otherLength, least);
      if (length <= 64 && otherLength <= 64) return middling(otherFrom, otherLength, least);
      return jaro(whole, value, whole, other);
    },
  };
}

/** Jaro similarity that a Jaro-Winkler limit needs when that many bytes at the start are equal. */
export function neededJaro(kind: 'jaro' | 'jaroWinkler', limit: number, start: number): number {
  return kind === 'jaro' || limit <= 0.7 ? limit : Math.max(0.7, (limit - 0.1 * start) / (1 - 0.1 * start));
}

const longestTabled = 40;

/**
 * Sets `levels[k]` from `from` to `to` for the pairs whose values certainly stay below a similarity.
 *
 * @param limit at least this Jaro (or Jaro-Winkler) similarity
 */
export function settleUnlike(
  { table, presence, repeats }: Exclude<Dictionary, undefined>,
  codes: Int32Array,
  { kind, limit, from, to }: { readonly kind: 'jaro' | 'jaroWinkler'; readonly limit: number; readonly from: number; readonly to: number },
): (left: Int32Array, right: Int32Array, count: number, levels: Uint8Array) => void {
  // Three numbers a value side by side: which bytes, which of them twice and the length, the first four.
  const signs = new Int32Array(4 * presence.length);
  for (let value = 0; value < presence.length; value++) {
    signs[4 * value] = presence[value]!;
    signs[4 * value + 1] = repeats[value]!;
    signs[4 * value + 2] = firstBytes(table, value);
  }
  // Rounding may lift the true value by a last bit.
  const neededShared = (a: number, b: number, start: number) =>
    Math.max(0, Math.ceil((3 * neededJaro(kind, limit, start) - 1) / (1 / a + 1 / b) - 1e-9));
  const width = longestTabled + 1;
  const tabled = new Uint8Array(width * width * 8);
  for (let a = 1; a <= longestTabled; a++)
    for (let b = 1; b <= longestTabled; b++)
      for (let start = 0; start <= 4; start++) tabled[(a * width + b) * 8 + start] = neededShared(a, b, start);
  return (left, right, count, levels) => {
    let [laidOut, presenceX, repeatsX, lengthX, startX] = [-1, 0, 0, 0, 0];
    for (let k = 0; k < count; k++) {
      if (levels[k] !== from) continue;
      const x = codes[left[k]!]!;
      if (x !== laidOut) {
        laidOut = x;
        presenceX = signs[4 * x]!;
        repeatsX = signs[4 * x + 1]!;
        lengthX = repeatsX & 255;
        startX = signs[4 * x + 2]!;
      }
      const y = 4 * codes[right[k]!]!;
      const presenceY = signs[y]!;
      const repeatsY = signs[y + 1]!;
      const lengthY = repeatsY & 255;
      if (lengthX > longestBounded || lengthY > longestBounded || lengthX === 0 || lengthY === 0) continue;
      // Four bytes, the first one highest: equal ones at the start are leading zeros of the difference.
      const start = Math.clz32(startX ^ signs[y + 2]!) >> 3;
      const needed =
        lengthX <= longestTabled && lengthY <= longestTabled
          ? tabled[(lengthX * width + lengthY) * 8 + start]!
          : neededShared(lengthX, lengthY, start);
      const shareX = lengthX - bitCount(presenceX & ~presenceY);
      if (shareX < needed) levels[k] = to;
      else {
        const shareY = lengthY - bitCount(presenceY & ~presenceX);
        if (
          shareY < needed ||
          shareX - bitCount((repeatsX & ~repeatsY) >>> 8) < needed ||
          shareY - bitCount((repeatsY & ~repeatsX) >>> 8) < needed
        )
          levels[k] = to;
      }
    }
  };
}

/** The first four bytes of a value as one number; a short one ends in zeros, which at most makes a shared start look longer. */
function firstBytes({ bytes, offsets }: ByteTable, value: number): number {
  const from = offsets[value]!;
  const length = offsets[value + 1]! - from;
  let word = 0;
  for (let i = 0; i < 4; i++) word = (word << 8) | (i < length ? bytes[from + i]! : 0);
  return word;
}

/** Jaro-Winkler from Jaro: raised by up to four equal bytes at the start where it is above 0.7. */
export function raisedByStart(table: ByteTable, plain: number, x: number, y: number): number {
  return plain > 0.7 ? plain + sharedStart(table, x, table, y) * 0.1 * (1 - plain) : plain;
}
