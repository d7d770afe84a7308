// A matrix cut across its rows, so that a product with it can be taken part by part while both lie in the processor's cache.

import { type Tensor, tensor } from '../graph/tensor.ts';
import type { StoredTensor } from './stored-tensor.ts';

/** Views of `size` rows each, the last with what is left; whole where the form does not keep rows apart. */
export function rowParts(stored: StoredTensor, size: number): readonly StoredTensor[] {
  const [rows, columns] = stored.shape as readonly [number, number];
  const cut = rowCut(stored, columns);
  if (!cut) return [stored];
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => cut(i * size, Math.min(rows, (i + 1) * size)));
}

function rowCut(stored: StoredTensor, columns: number): ((from: number, to: number) => StoredTensor) | undefined {
  switch (stored.format) {
    case 'f32':
      return (from, to) => ({ ...stored, shape: [to - from, columns], data: stored.data.subarray(from * columns, to * columns) });
    case 'f16':
    case 'bf16':
      return (from, to) => ({ ...stored, shape: [to - from, columns], data: stored.data.subarray(from * columns, to * columns) });
    case 'blocks': {
      const { values, scales, minimums, blockSize } = stored;
      // Two rows far apart share their bytes.
      if (values.kind === 'uint4') return undefined;
      const blocks = columns / blockSize;
      return (from, to) => ({
        ...stored,
        shape: [to - from, columns],
        values: { ...values, q: values.q.subarray(from * columns, to * columns) } as typeof values,
        scales: scales.subarray(from * blocks, to * blocks),
        ...(minimums && { minimums: minimums.subarray(from * blocks, to * blocks) }),
      });
    }
    case 'nf4':
      return undefined;
  }
}

/** The mean of a matrix's rows, [1, columns]. */
export function meanRow(values: Float32Array, width: number): Tensor<'float32'> {
  const sums = new Float64Array(width);
  for (let i = 0; i < values.length; i++) sums[i % width]! += values[i]!;
  return tensor(
    'float32',
    [1, width],
    Float32Array.from(sums, (sum) => (sum * width) / values.length),
  );
}
