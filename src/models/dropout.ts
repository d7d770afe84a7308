// Which inputs of an adapter are dropped in one step: a stream of its own for every (seed, step, layer, module), so that a resumed run
// drops the same ones. Generator: xoshiro128** (Blackman and Vigna, 2018), whose 32 bits decide two places each.

import { hash32 } from '../base/random.ts';

/**
 * A mask of 1 (kept) and 0 (dropped).
 *
 * @param options.share dropped share, held to 1/65536
 * @param options.keys name of the stream
 */
export function dropoutMask(
  size: number,
  { share, keys }: { readonly share: number; readonly keys: readonly (number | string)[] },
): Uint8Array {
  const mask = new Uint8Array(size + (size & 1));
  const threshold = Math.round(share * 65536);
  const name = keys.join('\u001f');
  let [a, b, c, d] = [0, 1, 2, 3].map((part) => hash32(`${name}\u001f${part}`)) as [number, number, number, number];
  for (let i = 0; i < size; i += 2) {
    const scrambled = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    mask[i] = Number((scrambled & 0xffff) >= threshold);
    mask[i + 1] = Number(scrambled >>> 16 >= threshold);
  }
  return mask.subarray(0, size);
}

const rotateLeft = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));
