// How much the rarity of a shared value counts: weight x log2(u / max(share of left, share of right, minimum)).
// Source: Splink's term frequency adjustments, after Newcombe 1959 and Winkler 1989.

import type { KernelData } from './kernel.ts';

/** log2 of the u that the frequency of a shared value is measured against, and the share of the difference that counts. */
export type Rarity = { readonly log2U: number; readonly weight: number; readonly minimumU: number };

/** Rarity by comparison and level; undefined where it does not count. */
export type RarityTable = readonly (readonly (Rarity | undefined)[])[];

/** Where the rarity of a shared value shifts a pair's weight: the values' codes, and bits by code. */
export type RarityShift = {
  readonly codes: Int32Array;
  /** Bits that a value adds when both sides hold it, or the other side one that is no more frequent. */
  readonly bits: Float64Array;
  readonly share: Float64Array;
  /** The most any value adds, at least 0. */
  readonly most: number;
};

/** The shifts of each comparison's levels. */
export function rarityShifts(data: KernelData, rarity: RarityTable): readonly (readonly (RarityShift | undefined)[])[] {
  return data.comparisons.map(({ frequencies }, c) =>
    frequencies.map((frequency, level) => {
      const measured = rarity[c]?.[level];
      if (!frequency || !measured) return undefined;
      const { share } = frequency;
      const { log2U, weight, minimumU } = measured;
      const bits = share.map((one) => weight * (log2U - Math.log2(Math.max(one, minimumU))));
      const most = bits.reduce((largest, one, code) => (share[code]! > 0 && one > largest ? one : largest), 0);
      return { codes: data.codes[frequency.column]!, bits, share, most };
    }),
  );
}

/** Bits that rarity adds to a pair: those of the more frequent of its two values; nothing when both are missing. */
export function shiftOf({ codes, bits, share }: RarityShift, left: number, right: number): number {
  const x = codes[left]!;
  const y = codes[right]!;
  if (x === y) return x < 0 ? 0 : bits[x]!;
  if (x < 0) return bits[y]!;
  if (y < 0) return bits[x]!;
  return share[x]! >= share[y]! ? bits[x]! : bits[y]!;
}
