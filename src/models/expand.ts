// Stored weights spelled out as float32: whole, or some rows of a matrix (for embeddings).

import { product } from '../graph/shapes.ts';
import { fromBfloat16, fromHalf } from './half.ts';
import { expandNf4 } from './nf4.ts';
import type { BlockTensor, FloatTensor, StoredTensor } from './stored-tensor.ts';

/** The tensor's values, row-major. An `f32` tensor's own array is given, not a copy. */
export function toFloat32(stored: StoredTensor): Float32Array {
  switch (stored.format) {
    case 'f32':
      return stored.data;
    case 'f16':
      return fromHalf(stored.data);
    case 'bf16':
      return fromBfloat16(stored.data);
    case 'nf4': {
      const target = new Float32Array(sizeOf(stored.shape));
      expandNf4(stored, { from: 0, to: target.length, target });
      return target;
    }
    case 'blocks':
      return expandBlocks(stored);
  }
}

/** The same tensor spelt out. */
export const dense = (stored: StoredTensor): FloatTensor => ({ format: 'f32', shape: stored.shape, data: toFloat32(stored) });

/** Rows of a matrix, in the order asked for: [rows.length, columns]. */
export function expandRows(stored: StoredTensor, rows: Int32Array): Float32Array {
  const columns = stored.shape[1] ?? 1;
  const all = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    const target = all.subarray(i * columns, (i + 1) * columns);
    const [from, to] = [row * columns, (row + 1) * columns];
    switch (stored.format) {
      case 'f32':
        target.set(stored.data.subarray(from, to));
        break;
      case 'f16':
        fromHalf(stored.data.subarray(from, to), target);
        break;
      case 'bf16':
        fromBfloat16(stored.data.subarray(from, to), target);
        break;
      case 'nf4':
        expandNf4(stored, { from, to, target });
        break;
      case 'blocks':
        expandBlockRow(stored, row, target);
    }
  });
  return all;
}

/** Numbers in a tensor of this shape. */
export const sizeOf = product;

function expandBlocks(stored: BlockTensor): Float32Array {
  const [rows, columns] = stored.shape as readonly [number, number];
  const all = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) expandBlockRow(stored, row, all.subarray(row * columns, (row + 1) * columns));
  return all;
}

function expandBlockRow({ shape, values, blockSize, scales, minimums }: BlockTensor, row: number, target: Float32Array): void {
  const [rows, columns] = shape as readonly [number, number];
  const blocks = columns / blockSize;
  const upper = values.kind === 'uint4' && row >= rows / 2;
  const from = (upper ? row - rows / 2 : row) * columns;
  const { q } = values;
  const shift = upper ? 4 : 0;
  const mask = values.kind === 'uint4' ? 15 : -1;
  for (let block = 0; block < blocks; block++) {
    const scale = scales[row * blocks + block]!;
    const minimum = minimums === undefined ? 0 : minimums[row * blocks + block]!;
    const end = (block + 1) * blockSize;
    for (let i = block * blockSize; i < end; i++) target[i] = ((q[from + i]! >> shift) & mask) * scale + minimum;
  }
}
