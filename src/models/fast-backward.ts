// The fast mode of training: the gradient of a frozen layer's input, dX = dY W, is computed on 8-bit numbers; the forward pass and the
// adapters' own gradients stay exact. The products run about three times as fast where the processor has 8-bit dot products.
//
//   H (W / r) [p, i] ~ c[i] v[p, i],  (r dY) H [t, p] ~ s[t] u[t, p]:   dX[t, i] = s[t] c[i] sum over p of u v
//
// with a scale c per column and s per token, v and u whole numbers of 8 bits. H is a Hadamard matrix in blocks: all its entries are
// +-1 / sqrt(block), and H H = 1, so that it changes nothing but the rounding. A gradient far above its token's others would make the step
// too coarse for those; turned by H it is spread evenly over its block. r, the root of each row's largest weight, does the same for rows
// that meet gradients far larger than others'. Worked case, a block of 2: (8, 0.1) H = (5.73, 5.59), no longer 80 to 1.
// Source of the idea: Ashkboos et al., "QuaRot", 2024. Measured beside bfloat16: docs/experiments.md.

import { gradients, type Rule } from '../graph/gradients.ts';
import { abs, add, apply, constant, gemm, input, mul, quantizeRows, reduceMax, reshape, scalar } from '../graph/node.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { fixed, type Node, type Value } from '../graph/value.ts';
import { linearNames } from './decoder-layer.ts';

/** The gradient table with 8-bit products for the frozen linear layers of a decoder layer, known by their labels. */
export const fastGradients: typeof gradients = {
  ...gradients,
  Gemm: frozen(gradients.Gemm),
  MatMulBnb4: frozen(gradients.MatMulBnb4),
};

function frozen(exact: Rule): Rule {
  return (node, g) => {
    if (!(linearNames as readonly string[]).includes(node.label)) return exact(node, g);
    const [, weight, c] = exact(node, g);
    return [product(node, g), weight, c];
  };
}

/** Outputs that are turned together: larger blocks round a little better and take longer. */
const blockOf = (out: number): number => Math.min(32, out & -out);

function product({ label, inputs: [x] }: Node, gradient: Value): Value {
  const [tokens, out] = fixed(gradient.shape) as [number, number];
  const inner = x!.shape.at(-1)!;
  const packed = input(`${label}.int8`, 'int8', [out, inner]);
  const columns = input(`${label}.int8.columns`, 'float32', [inner]);
  const zero = constant(tensor('uint8', [], Uint8Array.of(128)));

  const scaled = mul(gradient, input(`${label}.int8.rows`, 'float32', [out]));
  const block = blockOf(out);
  const turned = reshape(gemm(reshape(scaled, [(tokens * out) / block, block]), constant(hadamard(block))), [tokens, out]);
  // A row of zeros must not be divided by zero.
  const step = add(mul(reduceMax(abs(turned), [1]), scalar(1 / 127)), scalar(1e-37));
  const q = quantizeRows(turned, reshape(step, [tokens]));
  return mul(apply('MatMulIntegerToFloat', [q, packed, scalar(1), columns, zero], { label: `${label}.int8` })[0]!, step);
}

/** Entry (i, j) is -1 for each bit that i and j share, times 1 / size: its inverse is that of `turnRows`. */
function hadamard(size: number): Tensor<'float32'> {
  const sign = (bits: number): number => (bits === 0 ? 1 : -sign(bits & (bits - 1)));
  const data = Float32Array.from({ length: size * size }, (_, at) => sign(Math.floor(at / size) & (at % size)) / size);
  return tensor('float32', [size, size], data);
}

/** Each block of rows times a Hadamard matrix of ones and minus ones, in place: sums and differences over ever larger distances. */
function turnRows(data: Float32Array, { rows, width }: { readonly rows: number; readonly width: number }): void {
  for (let distance = 1; distance < blockOf(rows); distance *= 2) {
    for (let row = 0; row < rows; row++) {
      if (row & distance) continue;
      for (let a = row * width, b = a + distance * width, end = a + width; a < end; a++, b++) {
        const [upper, lower] = [data[a]!, data[b]!];
        data[a] = upper + lower;
        data[b] = upper - lower;
      }
    }
  }
}

/**
 * The 8-bit copy of a matrix [out, in] that the fast backward pass takes: its rows scaled and turned, with a scale for every column.
 *
 * @param options.largest 127, or 63 on processors whose 8-bit products saturate
 */
export function int8Tensors(
  name: string,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
  { largest }: { readonly largest: number },
): Readonly<Record<string, Tensor>> {
  const [out, inner] = shape as readonly [number, number];
  const turned = data.slice();
  const rows = new Float32Array(out);
  for (let row = 0; row < out; row++) {
    const values = turned.subarray(row * inner, (row + 1) * inner);
    let most = 0;
    for (const value of values) most = Math.max(most, Math.abs(value));
    rows[row] = Math.sqrt(most) || 1;
    for (let i = 0; i < inner; i++) values[i]! /= rows[row]!;
  }
  turnRows(turned, { rows: out, width: inner });
  const columns = new Float32Array(inner);
  for (let at = 0; at < turned.length; at++) columns[at % inner] = Math.max(columns[at % inner]!, Math.abs(turned[at]!));
  const factors = columns.map((size) => (size > 0 ? largest / size : 0));
  const q = new Int8Array(out * inner);
  for (let row = 0, at = 0; row < out; row++) {
    for (let column = 0; column < inner; column++, at++) q[at] = Math.round(turned[at]! * factors[column]!);
  }
  return {
    [`${name}.int8`]: tensor('int8', [out, inner], q),
    [`${name}.int8.rows`]: tensor('float32', [out], rows),
    [`${name}.int8.columns`]: tensor(
      'float32',
      [inner],
      columns.map((size) => size / largest),
    ),
  };
}
