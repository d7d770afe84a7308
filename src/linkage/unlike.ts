// Which pairs of values certainly stay below a Jaro (or Jaro-Winkler) similarity, from three numbers a value and no text.
//
//   jaro-winkler >= t > 0.7 with p equal bytes at the start needs jaro >= (t - 0.1 p) / (1 - 0.1 p), so at least
//   (3 jaro - 1) / (1/|a| + 1/|b|) shared bytes; a table by both lengths and p holds that number
//
// The letter signatures (bounds.ts) say how many bytes can be shared at most, the first four bytes how long the shared start is.
//
// Worked case: t = 0.8, six bytes each, p = 0: jaro >= 0.8, so 5 of 6 bytes must be shared; with p = 4 jaro > 0.7 does, and 4 are enough.
// Cost: about 10 ns a pair; most need one count of bits.

import { bitCount, longestBounded } from './bounds.ts';
import type { Rows } from './kernel.ts';

/** Jaro similarity that a Jaro-Winkler limit needs when that many bytes at the start are equal. */
export function neededJaro(kind: 'jaro' | 'jaroWinkler', limit: number, start: number): number {
  return kind === 'jaro' || limit <= 0.7 ? limit : Math.max(0.7, (limit - 0.1 * start) / (1 - 0.1 * start));
}

const longestTabled = 40;

type Unlike = {
  readonly kind: 'jaro' | 'jaroWinkler';
  readonly limit: number;
  readonly from: number;
  readonly to: number;
  readonly fall?: number;
};

/**
 * Sets `levels[k]` from `from` to `to` for the pairs whose values in a code column certainly stay below a similarity, and adds `fall` to their sums.
 *
 * @param limit at least this Jaro (or Jaro-Winkler) similarity
 */
export function settleUnlike(
  { numbers, width, signsAt }: Rows,
  column: number,
  { kind, limit, from, to, fall = 0 }: Unlike,
): (left: Int32Array, right: Int32Array, count: number, levels: Uint8Array, sums?: Float64Array) => void {
  const at = signsAt[column]!;
  // Rounding may lift the true value by a last bit.
  const neededShared = (a: number, b: number, start: number) =>
    Math.max(0, Math.ceil((3 * neededJaro(kind, limit, start) - 1) / (1 / a + 1 / b) - 1e-9));
  const side = longestTabled + 1;
  const tabled = new Uint8Array(side * side * 8);
  for (let a = 1; a <= longestTabled; a++)
    for (let b = 1; b <= longestTabled; b++)
      for (let start = 0; start <= 4; start++) tabled[(a * side + b) * 8 + start] = neededShared(a, b, start);
  return (left, right, count, levels, sums) => {
    let [record, presenceX, repeatsX, lengthX, startX] = [-1, 0, 0, 0, 0];
    for (let k = 0; k < count; k++) {
      if (levels[k] !== from) continue;
      if (left[k] !== record) {
        record = left[k]!;
        const x = record * width + at;
        presenceX = numbers[x]!;
        repeatsX = numbers[x + 1]!;
        lengthX = repeatsX & 255;
        startX = numbers[x + 2]!;
      }
      const y = right[k]! * width + at;
      const presenceY = numbers[y]!;
      const repeatsY = numbers[y + 1]!;
      const lengthY = repeatsY & 255;
      if (lengthX > longestBounded || lengthY > longestBounded || lengthX === 0 || lengthY === 0) continue;
      // Equal bytes at the start are leading zeros of the difference.
      const start = Math.clz32(startX ^ numbers[y + 2]!) >> 3;
      const needed =
        lengthX <= longestTabled && lengthY <= longestTabled
          ? tabled[(lengthX * side + lengthY) * 8 + start]!
          : neededShared(lengthX, lengthY, start);
      const shareX = lengthX - bitCount(presenceX & ~presenceY);
      if (shareX >= needed) {
        const shareY = lengthY - bitCount(presenceY & ~presenceX);
        if (
          shareY >= needed &&
          shareX - bitCount((repeatsX & ~repeatsY) >>> 8) >= needed &&
          shareY - bitCount((repeatsY & ~repeatsX) >>> 8) >= needed
        )
          continue;
      }
      levels[k] = to;
      if (sums) sums[k]! += fall;
    }
  };
}
