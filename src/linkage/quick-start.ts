// What the codes of a pair settle, for up to eight comparisons at once.
//
// Idea: most comparisons of most pairs are different and present on both sides, and one word a record is enough to see it: three bits of a hash of each
// code, and a bit that says it is missing. Where two words differ in any of a code's three bits, so do the codes; the sum of what all those comparisons say
// is looked up. Only the others (equal, missing, or one in eight that the hash confuses) are looked at one by one.
//
//   word     hash bit 0 of codes 0..n-1 | bit 1 | bit 2 | missing,   n bits each
//   x = left ^ right;   differ = x | x >> n | x >> 2n;   to look at = not differ, or missing on either side
//
// Worked case: ssn, city, zip with hashes 5, 3, 1 here and 5, 3, 4 there: zip differs; ssn and city are equal or confused, so their codes are compared.
// Cost: one look at a record's word, about two codes a pair instead of all.

import type { Rows } from './kernel.ts';

/** Most codes of a word. */
export const wordCodes = 8;

/** Hash of a code in three bits. */
const hash = (code: number) => Math.imul(code, 0x9e3779b1) >>> 29;

/** Writes the words of some records. */
export function wordsIn(
  { numbers, width, at }: { readonly numbers: Int32Array; readonly width: number; readonly at: number },
  columns: readonly Int32Array[],
): (from: number, until: number) => void {
  const n = columns.length;
  return (from, until) => {
    for (let record = from; record < until; record++) {
      let word = 0;
      for (let i = 0; i < n; i++) {
        const code = columns[i]![record]!;
        const bits = hash(code);
        word |= (code < 0 ? 1 << (3 * n) : (bits & 1) | ((bits & 2) << (n - 1)) | ((bits & 4) << (2 * n - 2))) << i;
      }
      numbers[record * width + at] = word;
    }
  };
}

/** What a comparison says where codes settle it. */
export type QuickWeights = {
  readonly nullLevel: number;
  readonly exactLevel: number;
  /** Level of different codes: `open` where they do not settle it. */
  readonly different: number;
  readonly missingWeight: number;
  readonly equalWeight: number;
  readonly differentWeight: number;
  /** What a shared value's rarity adds, by code. */
  readonly bits?: Float64Array | undefined;
};

/**
 * Sets levels and sums of a batch from nothing.
 *
 * @param base what every sum begins with
 * @param quick by code of the word; none where no comparison asks
 */
export function quickStart(
  { numbers, width, wordAt, wordColumns, codeAt }: Rows,
  base: number,
  quick: readonly (QuickWeights | undefined)[],
): (left: Int32Array, right: Int32Array, count: number, levels: readonly (Uint8Array | undefined)[], sums: Float64Array) => void {
  const n = wordColumns.length;
  const places = wordColumns.map((column) => codeAt[column]!);
  const asked = quick.reduce((mask, one, i) => (one ? mask | (1 << i) : mask), 0);
  const [missing, equal, different] = (['missingWeight', 'equalWeight', 'differentWeight'] as const).map((weight) =>
    Float64Array.from({ length: n }, (_, i) => quick[i]?.[weight] ?? 0),
  ) as [Float64Array, Float64Array, Float64Array];
  const bitsOf = quick.map((one) => one?.bits);
  // What is said by all that need no look, by which those are that do.
  const settled = Float64Array.from({ length: 2 ** n }, (_, look) =>
    different.reduce((sum, weight, i) => ((look >> i) & 1 ? sum : sum + weight), base),
  );
  return (left, right, count, levels, sums) => {
    for (let i = 0; i < n; i++) levels[i]?.fill(quick[i]!.different, 0, count);
    let [record, x, wordX] = [-1, 0, 0];
    for (let k = 0; k < count; k++) {
      if (left[k] !== record) {
        record = left[k]!;
        x = record * width;
        wordX = numbers[x + wordAt]!;
      }
      const y = right[k]! * width;
      const wordY = numbers[y + wordAt]!;
      const differ = wordX ^ wordY;
      let look = (~(differ | (differ >>> n) | (differ >>> (2 * n))) | ((wordX | wordY) >>> (3 * n))) & asked;
      let sum = settled[look]!;
      while (look !== 0) {
        const i = 31 - Math.clz32(look & -look);
        look &= look - 1;
        const codeX = numbers[x + places[i]!]!;
        const codeY = numbers[y + places[i]!]!;
        if ((codeX | codeY) < 0) {
          levels[i]![k] = quick[i]!.nullLevel;
          sum += missing[i]!;
        } else if (codeX === codeY) {
          const bits = bitsOf[i];
          levels[i]![k] = quick[i]!.exactLevel;
          sum += bits === undefined ? equal[i]! : equal[i]! + bits[codeX]!;
        } else sum += different[i]!;
      }
      sums[k] = sum;
    }
  };
}
