// A frozen matrix [out, in] inside a graph: the inputs it comes as, how to spell it out, and how to multiply by it. Quantised forms are
// spelt out by ordinary operators each time they are used, so only the packed bytes stay in memory.

import { unpackNf4 } from '../graph/gradients.ts';
import { add, apply, cast, concat, constant, gemm, input, mul, reduceSum, reshape } from '../graph/node.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import type { Value } from '../graph/value.ts';
import type { StoredTensor } from './stored-tensor.ts';

/** How a matrix is stored; equal forms of equal shape share a graph. */
export type WeightForm =
  | { readonly kind: 'f32' | 'f16' }
  | { readonly kind: 'nf4'; readonly blockSize: number }
  /** For generation only: `int4Tensors` (int4.ts) says what is given for it. */
  | { readonly kind: 'int4'; readonly blockSize: number }
  | {
      readonly kind: 'blocks';
      readonly values: 'int8' | 'uint8' | 'uint4';
      readonly blockSize: number;
      readonly hasMinimums: boolean;
    };

/** A matrix as a graph sees it. */
export type Weight = {
  /** Spelt out: float32 [out, in]. */
  readonly dense: Value;
  /** x [rows, in] times its transpose, plus `c`. */
  readonly times: (x: Value, c?: Value) => Value;
};

export function formOf(stored: StoredTensor): WeightForm {
  switch (stored.format) {
    case 'f32':
    case 'f16':
      return { kind: stored.format };
    case 'bf16':
      throw new Error('weight: bfloat16 is spelt out on loading, the runtime does not take it');
    case 'nf4':
      return { kind: 'nf4', blockSize: stored.blockSize };
    case 'blocks':
      return {
        kind: 'blocks',
        values: stored.values.kind,
        blockSize: stored.blockSize,
        hasMinimums: stored.minimums !== undefined,
      };
  }
}

/** What a run is given for a matrix called `name`: views of its memory, nothing copied. */
export function weightTensors(name: string, stored: StoredTensor): Readonly<Record<string, Tensor>> {
  const [rows, columns] = stored.shape as readonly [number, number];
  switch (stored.format) {
    case 'f32':
      return { [name]: tensor('float32', stored.shape, stored.data) };
    case 'f16':
      return { [name]: tensor('float16', stored.shape, stored.data) };
    case 'bf16':
      throw new Error('weight: bfloat16 is spelt out on loading, the runtime does not take it');
    case 'nf4':
      return {
        [name]: tensor('uint8', [stored.packed.length], stored.packed),
        [`${name}.absmax`]: tensor('float32', [stored.absmax.length], stored.absmax),
      };
    case 'blocks': {
      const { kind, q } = stored.values;
      const values =
        kind === 'int8' ? tensor('int8', [rows, columns], q) : tensor('uint8', kind === 'uint4' ? [rows / 2, columns] : [rows, columns], q);
      const scales = { [`${name}.scales`]: tensor('float32', [stored.scales.length, 1], stored.scales) };
      const minimums = stored.minimums ? { [`${name}.minimums`]: tensor('float32', [stored.minimums.length, 1], stored.minimums) } : {};
      return { [name]: values, ...scales, ...minimums };
    }
  }
}

/** The matrix of shape [out, in] called `name`, for use in a graph. */
export function weight(name: string, form: WeightForm, [out, inner]: readonly [number, number]): Weight {
  if (form.kind === 'nf4') return nf4Weight(name, form.blockSize, [out, inner]);
  if (form.kind === 'int4') return int4Weight(name, form.blockSize, [out, inner]);
  const dense =
    form.kind === 'blocks'
      ? blockWeight(name, form, [out, inner])
      : cast(input(name, form.kind === 'f16' ? 'float16' : 'float32', [out, inner]), 'float32');
  return { dense, times: (x, c) => gemm(x, dense, { transB: true, label: name, ...(c && { c }) }) };
}

function nf4Weight(name: string, blockSize: number, [out, inner]: readonly [number, number]): Weight {
  const packed = input(name, 'uint8', [(out * inner) / 2]);
  const absmax = input(`${name}.absmax`, 'float32', [Math.ceil((out * inner) / blockSize)]);
  const attributes = { K: inner, N: out, block_size: blockSize, quant_type: 1 };
  return {
    dense: unpackNf4({ packed, absmax, attributes }),
    times: (x, c) => {
      const product = apply('MatMulBnb4', [x, packed, absmax], { attributes, label: name })[0]!;
      return c ? add(product, c) : product;
    },
  };
}

function int4Weight(name: string, blockSize: number, [out, inner]: readonly [number, number]): Weight {
  const blocks = inner / blockSize;
  const packed = input(name, 'uint8', [out, blocks, blockSize / 2]);
  const scales = input(`${name}.scales`, 'float32', [out * blocks]);
  const offsets = input(`${name}.offsets`, 'float32', [out, blocks]);
  const attributes = { K: inner, N: out, bits: 4, block_size: blockSize, accuracy_level: 1 };
  return {
    get dense(): Value {
      throw new Error(`weight: ${name} is only multiplied by, never spelt out`);
    },
    times: (x, c) => {
      const sums = reshape(reduceSum(reshape(x, [x.shape[0]!, blocks, blockSize]), [2]), [x.shape[0]!, blocks]);
      const rest = gemm(sums, offsets, { transB: true, ...(c && { c }) });
      return add(apply('MatMulNBits', [x, packed, scales], { attributes, label: name })[0]!, rest);
    },
  };
}

/** value = q * scale + minimum, block by block. The two nibbles of a byte come from the upper and the lower half of the rows. */
function blockWeight(
  name: string,
  { values, blockSize, hasMinimums }: Extract<WeightForm, { readonly kind: 'blocks' }>,
  [out, inner]: readonly [number, number],
): Value {
  const blocks = (out * inner) / blockSize;
  const packed = input(name, values === 'int8' ? 'int8' : 'uint8', values === 'uint4' ? [out / 2, inner] : [out, inner]);
  const q = values === 'uint4' ? concat([apply('BitwiseAnd', [packed, byte(15)])[0]!, shiftRight(packed, 4)], 0) : packed;
  const scaled = mul(reshape(cast(q, 'float32'), [blocks, blockSize]), input(`${name}.scales`, 'float32', [blocks, 1]));
  return reshape(hasMinimums ? add(scaled, input(`${name}.minimums`, 'float32', [blocks, 1])) : scaled, [out, inner]);
}

const byte = (value: number): Value => constant(tensor('uint8', [], Uint8Array.of(value)));

const shiftRight = (x: Value, bits: number): Value => apply('BitShift', [x, byte(bits)], { attributes: { direction: 'RIGHT' } })[0]!;
