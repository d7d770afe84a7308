// NF4, the 4-bit form of QLoRA: every block of 64 neighbours is divided by its largest absolute value, and each quotient becomes the
// nearest of 16 fixed numbers, quantiles of a normal distribution scaled to [-1, 1].
//
//   absmax = max |x|      x' = x * (1 / absmax)      q = number of midpoints of the code below x'      x ~ code[q] * absmax
//
// The bytes must be those of bitsandbytes, so its arithmetic is kept: float32 throughout, the reciprocal rounded first (a last, short
// block divides instead), a midpoint itself goes to the lower code. Worked case: the block 2, -1, 0, 0... has absmax 2, quotients
// 1, -0.5, 0: codes 15, 2, 7, so the bytes f2 77 77...
// Time O(n), no search, no branch. A quotient times 2^28 is a whole number wherever a midpoint is near (none lies within 2^-5 of 0), so
// quotients are compared as integers; and [-1, 1] is cut into 64 cells, narrower than any two midpoints, so a cell holds at most one:
// the code is the number of midpoints below the cell, plus the sign bit of the distance to the one inside.
// Sources: Dettmers et al., "QLoRA", 2023, appendix E (the code); bitsandbytes, its reference kernel and saved state.

import { UserError } from '../base/errors.ts';
import type { Nf4Tensor } from './stored-tensor.ts';

/** The 16 values a nibble stands for. */
export const nf4Code = Float32Array.of(
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
);

const unit = 2 ** 28;
const cellBits = 23;
/** Below -1 a cell for quotients rounded past it; the last one begins at 1. */
const firstCell = -unit - 2 ** cellBits;
const cells = 66;
/** Midpoints below each cell, and the one inside it (or nothing: out of reach). */
const below = new Uint8Array(cells);
const inside = new Int32Array(cells).fill(2 * unit);
for (let i = 0; i < 15; i++) {
  const midpoint = (Math.fround(nf4Code[i]! + nf4Code[i + 1]!) / 2) * unit;
  const cell = (midpoint - firstCell) >> cellBits;
  inside[cell] = midpoint;
  below.fill(i + 1, cell + 1);
}

const smallest = Math.fround(1e-38);

/**
 * Quantises a float32 array of any shape, blocks running over its flattened values.
 *
 * @param blockSize neighbours that share an absmax; even
 * @throws UserError `nf4.not-finite` for a block that holds NaN or infinity
 */
export function quantizeNf4(values: Float32Array, { shape, blockSize = 64 }: { shape: readonly number[]; blockSize?: number }): Nf4Tensor {
  const count = values.length;
  const words = new Int32Array(values.buffer, values.byteOffset, count);
  const absmax = new Float32Array(Math.ceil(count / blockSize));
  const absmaxWords = new Int32Array(absmax.buffer);
  const packed = new Uint8Array((count + 1) >> 1);
  for (let block = 0; block < absmax.length; block++) {
    const start = block * blockSize;
    const end = Math.min(start + blockSize, count);
    // Absolute floats order as their bits do, and NaN and infinity above all.
    let largest = 0;
    for (let i = start; i < end; i++) {
      const size = words[i]! & 0x7fffffff;
      largest = Math.max(size, largest);
    }
    if (largest >= 0x7f800000) {
      throw new UserError('nf4.not-finite', `nf4: value is not finite: among ${start} to ${end - 1}; the weights are damaged`);
    }
    absmaxWords[block] = largest;
    const divisor = Math.max(absmax[block]!, smallest);
    if (end - start === blockSize) packBlock(values, { packed, start, end, factor: Math.fround(1 / divisor) });
    else {
      absmax[block] = divisor;
      packBlock(
        values.slice(start, end).map((value) => value / divisor),
        { packed: packed.subarray(start >> 1), start: 0, end: end - start, factor: 1 },
      );
    }
  }
  return { format: 'nf4', shape, packed, absmax, blockSize };
}

type PackTarget = { packed: Uint8Array; start: number; end: number; factor: number };

function packBlock(values: Float32Array, { packed, start, end, factor }: PackTarget): void {
  const paired = end - ((end - start) & 1);
  let at = start >> 1;
  for (let i = start; i < paired; i += 2) {
    const a = (Math.fround(values[i]! * factor) * unit) | 0;
    const b = (Math.fround(values[i + 1]! * factor) * unit) | 0;
    const cellA = (a - firstCell) >> cellBits;
    const cellB = (b - firstCell) >> cellBits;
    const codeA = below[cellA]! + ((inside[cellA]! - a) >>> 31);
    const codeB = below[cellB]! + ((inside[cellB]! - b) >>> 31);
    packed[at++] = (codeA << 4) | codeB;
  }
  if (paired === end) return;
  const last = (Math.fround(values[paired]! * factor) * unit) | 0;
  const cell = (last - firstCell) >> cellBits;
  packed[at] = ((below[cell]! + ((inside[cell]! - last) >>> 31)) << 4) | 7;
}

/** Values `from` to `to` of the flattened tensor. */
export function expandNf4(
  { packed, absmax, blockSize }: Nf4Tensor,
  { from, to, target }: { from: number; to: number; target: Float32Array },
): void {
  for (let i = from; i < to; ) {
    const scale = absmax[Math.floor(i / blockSize)]!;
    const end = Math.min(to, i - (i % blockSize) + blockSize);
    for (; i < end; i++) {
      const byte = packed[i >> 1]!;
      target[i - from] = nf4Code[i & 1 ? byte & 15 : byte >> 4]! * scale;
    }
  }
}
