// How alike two values can be at best, seen from three whole numbers per value, without touching their bytes.
//
// Idea: each byte falls into one of 32 buckets. Word 1 says which buckets a value uses at all, word 2 which it uses at least
// twice (24 buckets; its low 8 bits hold the length). A bucket used by one value and not by the other stands for a byte that
// cannot be shared, so with ua such bytes in a and ub in b:
//
//   shared(a, b) <= min(|a| - ua, |b| - ub)           jaro <= (s/|a| + s/|b| + 1)/3
//   every distance >= max(ua, ub, ||a| - |b||)         an edit mends at most one such byte on each side; a swap none
//
// Worked case: anna, anton: a uses {a n}, twice {a n}; b uses {a n t o}, twice {n}. ua = 1 (second a), ub = 2 (t, o): s <= 3.
// Cost: two words and four bit counts per pair. Buckets that several bytes share only loosen the bound.

/** Longest value the length field tells apart; longer ones get no bound. */
export const longestBounded = 254;

/** Letters by how rare they are in names, either case, then digits: each its own bucket as far as buckets go, the rarest letters share one. */
const bucketOf = Uint8Array.from({ length: 256 }, (_, byte) => byte & 31);
[...'qxzjkvwfbpygmhcudlotrsniea'].forEach((letter, i) => {
  bucketOf[letter.charCodeAt(0)] = bucketOf[letter.toUpperCase().charCodeAt(0)] = Math.max(0, i - 4);
});
[...'0123456789'].forEach((digit, i) => {
  bucketOf[digit.charCodeAt(0)] = 22 + i;
});

/** Which of 32 buckets the bytes use. */
export function presence(bytes: Uint8Array, from: number, until: number): number {
  let word = 0;
  for (let i = from; i < until; i++) word |= 1 << bucketOf[bytes[i]!]!;
  return word;
}

/** Which of the first 24 buckets are used at least twice, shifted by 8, and the length (255 for more than `longestBounded`). */
export function repeats(bytes: Uint8Array, from: number, until: number): number {
  let once = 0;
  let twice = 0;
  for (let i = from; i < until; i++) {
    const bit = 1 << bucketOf[bytes[i]!]!;
    twice |= once & bit;
    once |= bit;
  }
  return (twice << 8) | Math.min(until - from, longestBounded + 1);
}

/** Bits set in a 32-bit word. */
export function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Bytes of the first value that the second cannot share, at least: from both values' two words. */
export function unshared(presenceA: number, repeatsA: number, presenceB: number, repeatsB: number): number {
  return bitCount(presenceA & ~presenceB) + bitCount((repeatsA & ~repeatsB) >>> 8);
}

/** Jaro similarity at most. */
export function jaroBound(presenceA: number, repeatsA: number, presenceB: number, repeatsB: number): number {
  const aLength = repeatsA & 255;
  const bLength = repeatsB & 255;
  if (aLength > longestBounded || bLength > longestBounded) return 1;
  const shared = Math.min(
    aLength - unshared(presenceA, repeatsA, presenceB, repeatsB),
    bLength - unshared(presenceB, repeatsB, presenceA, repeatsA),
  );
  if (shared <= 0) return 0;
  // Rounding may lift the true value by a last bit above this sum.
  return (shared / aLength + shared / bLength + 1) / 3 + 1e-12;
}

/** Jaro-Winkler similarity at most, with `start` equal bytes at the start (4 when not known). */
export function jaroWinklerBound(jaroAtMost: number, start: number): number {
  return jaroAtMost > 0.7 ? jaroAtMost + start * 0.1 * (1 - jaroAtMost) + 1e-12 : jaroAtMost;
}

/** Levenshtein and Damerau-Levenshtein distance at least. */
export function distanceBound(presenceA: number, repeatsA: number, presenceB: number, repeatsB: number): number {
  const aLength = repeatsA & 255;
  const bLength = repeatsB & 255;
  if (aLength > longestBounded || bLength > longestBounded) return 0;
  return Math.max(
    Math.abs(aLength - bLength),
    unshared(presenceA, repeatsA, presenceB, repeatsB),
    unshared(presenceB, repeatsB, presenceA, repeatsA),
  );
}
