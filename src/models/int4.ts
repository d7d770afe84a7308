// Four-bit blocks of a GGUF file as the runtime's own four-bit product takes them. That product knows one scale a block and a zero of 8,
// while most blocks have a minimum, so the minimum is taken out of the product:
//
//   q s + m = (q - 8) s + (m + 8 s)        x W' = nibbles(x, q, s) + sums(x) offsets'
//
// with sums(x) [rows, in / block] the sums of x over each block and offsets = m + 8 s [out, in / block]: a product 32 times smaller than the
// dense one. Nothing is rounded: it is the same arithmetic in another order.

import { type Tensor, tensor } from '../graph/tensor.ts';
import type { BlockTensor } from './stored-tensor.ts';
import type { WeightForm } from './weight.ts';

/** The form that the four-bit product takes, of a matrix kept in another with `inner` columns; nothing where it takes none. */
export function int4Form(form: WeightForm, inner: number): Extract<WeightForm, { readonly kind: 'int4' }> | undefined {
  if (form.kind !== 'blocks' || form.values !== 'uint4') return undefined;
  const { blockSize } = form;
  const isTaken = blockSize >= 16 && (blockSize & (blockSize - 1)) === 0 && inner % blockSize === 0;
  return isTaken ? { kind: 'int4', blockSize } : undefined;
}

/** What the graph of an `int4` form asks for. */
export function int4Tensors(name: string, { shape, values, blockSize, scales, minimums }: BlockTensor): Readonly<Record<string, Tensor>> {
  const [rows, columns] = shape as readonly [number, number];
  const blocks = columns / blockSize;
  const offsets = Float32Array.from(scales, (scale, i) => (minimums?.[i] ?? 0) + 8 * scale);
  return {
    [name]: tensor('uint8', [rows, blocks, blockSize / 2], byNeighbours(values.q as Uint8Array, { rows, columns })),
    [`${name}.scales`]: tensor('float32', [rows * blocks], scales),
    [`${name}.offsets`]: tensor('float32', [rows, blocks], offsets),
  };
}

/** Bytes of the rows r and r + rows / 2 become bytes of neighbours in a row. */
function byNeighbours(q: Uint8Array, { rows, columns }: { readonly rows: number; readonly columns: number }): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array((rows * columns) / 2);
  const half = packed.length / 2;
  for (let i = 0; i < half; i++) {
    const [first, second] = [q[2 * i]!, q[2 * i + 1]!];
    packed[i] = (first & 15) | ((second & 15) << 4);
    packed[half + i] = (first >> 4) | (second & 240);
  }
  return packed;
}
