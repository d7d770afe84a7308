// Which pairs of values certainly stay below a Jaro (or Jaro-Winkler) similarity, from three numbers a value and no text.
//
//   jaro-winkler >= t > 0.7 with p equal bytes at the start needs jaro >= (t - 0.1 p) / (1 - 0.1 p), so at least
//   (3 jaro - 1) / (1/|a| + 1/|b|) shared bytes; a table by both lengths and p holds that number
//
// The letter signatures (bounds.ts) say how many bytes can be shared at most, the first four bytes how long the shared start is.
//
// Worked case: t = 0.8, six bytes each, p = 0: jaro >= 0.8, so 5 of 6 bytes must be shared; with p = 4 jaro > 0.7 does, and 4 are enough.
// Cost: about 15 ns a pair; most need one count of bits.

import { bitCount, longestBounded } from './bounds.ts';
import type { Dictionary } from './kernel.ts';
import type { ByteTable } from './strings.ts';

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
