// Seeded random streams. A stream is named by keys (seed, facility, record, draw...), so that what one record draws never
// depends on how many others were drawn before it, nor on the thread that drew it.

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export type Random = {
  /** Uniform in [0, 1). */
  readonly float: () => number;
  /** Uniform whole number in [low, high], both included. */
  readonly integer: (low: number, high: number) => number;
  /** One of the items, all equally likely. */
  readonly pick: <T>(items: readonly T[]) => T;
  /** Index drawn with probability weight / sum of weights. */
  readonly weighted: (weights: readonly number[]) => number;
  /** A shuffled copy. */
  readonly shuffle: <T>(items: readonly T[]) => T[];
};

/**
 * A random stream of its own for these keys: the same keys always give the same draws.
 *
 * @example random(42, 'facility', 3).integer(1, 6)
 */
export function random(...keys: readonly (number | string)[]): Random {
  const generator = xoroshiro128plus(hash32(keys.join('\u001f')));
  const float = () => uniformFloat64(generator);
  const integer = (low: number, high: number) => uniformInt(generator, low, high);
  return {
    float,
    integer,
    pick: (items) => items[integer(0, items.length - 1)]!,
    weighted: (weights) => {
      let left = float() * weights.reduce((sum, weight) => sum + weight, 0);
      const found = weights.findIndex((weight) => (left -= weight) < 0);
      return found < 0 ? weights.length - 1 : found;
    },
    shuffle: (items) => {
      const copy = [...items];
      for (let i = copy.length - 1; i > 0; i--) {
        const j = integer(0, i);
        [copy[i], copy[j]] = [copy[j]!, copy[i]!];
      }
      return copy;
    },
  };
}

/** FNV-1a with a final mix, 32 bits. Source: Fowler, Noll, Vo; mix from MurmurHash3. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
