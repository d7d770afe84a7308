// The fast mode of training: the gradient of a frozen layer's input, dX = dY W, is computed on 8-bit numbers; the forward pass and the
// adapters' own gradients stay exact. The products run about three times as fast where the processor has 8-bit dot products.
//
//   W[o, i] ~ r[o] c[i] p[o, i],  r[o] dY[t, o] ~ s[t] q[t, o]:   dX[t, i] = s[t] c[i] sum over o of q p
//
// r is the root of each row's largest weight: some rows of a trained model meet gradients far larger than others', so rows must be
// about equally fine (without it the worst gradient is four times as far off). Where gradients have outliers, q has a second term of
// 8 bits for what the first leaves. Measured beside bfloat16: docs/experiments.md.

import { gradients, type Rule } from '../graph/gradients.ts';
import { abs, add, apply, constant, dequantizeRows, input, mul, quantizeRows, reduceMax, reshape, scalar, sub } from '../graph/node.ts';
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

/** Layers whose arriving gradients vary most within a token; found by making one after the other exact. */
const twoTerms: readonly string[] = ['mlp.up_proj', 'mlp.down_proj'];

function product({ label, inputs: [x] }: Node, gradient: Value): Value {
  const [out, inner] = [gradient.shape.at(-1)!, x!.shape.at(-1)!];
  const packed = input(`${label}.int8`, 'int8', [out, inner]);
  const columns = input(`${label}.int8.columns`, 'float32', [inner]);
  const zero = constant(tensor('uint8', [], Uint8Array.of(128)));
  const multiply = (q: Value, scale: number): Value =>
    apply('MatMulIntegerToFloat', [q, packed, scalar(scale), columns, zero], { label: `${label}.int8` })[0]!;

  const g = mul(gradient, input(`${label}.int8.rows`, 'float32', [out]));
  // A row of zeros must not be divided by zero.
  const step = add(mul(reduceMax(abs(g), [1]), scalar(1 / 127)), scalar(1e-37));
  const steps = reshape(step, [fixed(g.shape)[0]!]);
  const first = quantizeRows(g, steps);
  if (!twoTerms.includes(label)) return mul(multiply(first, 1), step);
  const second = quantizeRows(sub(g, dequantizeRows(first, steps)), mul(steps, scalar(1 / 254)));
  return mul(add(multiply(first, 1), multiply(second, 1 / 254)), step);
}

/**
 * The 8-bit copy of a matrix [out, in] that the fast backward pass takes, with a scale for every row and every column.
 *
 * @param options.largest 127, or 63 on processors whose 8-bit products saturate
 */
export function int8Tensors(
  name: string,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
  { largest }: { readonly largest: number },
): Readonly<Record<string, Tensor>> {
  const [out, inner] = shape as readonly [number, number];
  const rows = new Float32Array(out);
  const columns = new Float32Array(inner);
  for (let row = 0; row < out; row++) {
    const [from, to] = [row * inner, (row + 1) * inner];
    let most = 0;
    for (let at = from; at < to; at++) most = Math.max(most, Math.abs(data[at]!));
    rows[row] = Math.sqrt(most) || 1;
    for (let at = from; at < to; at++) columns[at - from] = Math.max(columns[at - from]!, Math.abs(data[at]!) / rows[row]!);
  }
  const factors = columns.map((size) => (size > 0 ? largest / size : 0));
  const q = new Int8Array(out * inner);
  for (let row = 0, at = 0; row < out; row++) {
    for (let column = 0; column < inner; column++, at++) q[at] = Math.round((data[at]! / rows[row]!) * factors[column]!);
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
