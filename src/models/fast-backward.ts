// The fast mode of training: the gradient of a frozen layer's input, dX = dY W, is computed on 8-bit numbers. Each row of dY (one token)
// gets a scale of its own, as does each column of W; the forward pass and the adapters' own gradients stay exact. The products run
// about three times as fast where the processor has 8-bit dot products; the gradient's error is that of bfloat16 (docs/experiments.md).
//
//   dY[t, o] ~ a[t] (q[t, o] - 128),  W[o, i] ~ b[i] p[o, i]:   dX[t, i] = a[t] b[i] sum over o of (q - 128) p

import { gradients, type Rule } from '../graph/gradients.ts';
import { abs, add, apply, cast, constant, input, mul, reciprocal, reduceMax, round, scalar } from '../graph/node.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import type { Node, Value } from '../graph/value.ts';
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

function product({ label, inputs: [x] }: Node, g: Value): Value {
  const [out, inner] = [g.shape.at(-1)!, x!.shape.at(-1)!];
  const packed = input(`${label}.int8`, 'int8', [out, inner]);
  const scales = input(`${label}.int8.scales`, 'float32', [inner]);
  // A row of zeros must not be divided by zero.
  const rowScale = add(mul(reduceMax(abs(g), [1]), scalar(1 / 127)), scalar(1e-37));
  const q = cast(add(round(mul(g, reciprocal(rowScale))), scalar(128)), 'uint8');
  const zero = constant(tensor('uint8', [], Uint8Array.of(128)));
  return mul(apply('MatMulIntegerToFloat', [q, packed, scalar(1), scales, zero], { label: `${label}.int8` })[0]!, rowScale);
}

/**
 * The 8-bit copy of a matrix [out, in] that the fast backward pass takes, with one scale per column.
 *
 * @param options.largest 127, or 63 on processors whose 8-bit products saturate
 */
export function int8Tensors(
  name: string,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
  { largest }: { readonly largest: number },
): Readonly<Record<string, Tensor>> {
  const [out, inner] = shape as readonly [number, number];
  const scales = new Float32Array(inner);
  for (let row = 0, at = 0; row < out; row++) {
    for (let column = 0; column < inner; column++, at++) {
      const size = Math.abs(data[at]!);
      if (size > scales[column]!) scales[column] = size;
    }
  }
  const factors = scales.map((size) => (size > 0 ? largest / size : 0));
  const q = new Int8Array(out * inner);
  for (let row = 0, at = 0; row < out; row++) {
    for (let column = 0; column < inner; column++, at++) q[at] = Math.round(data[at]! * factors[column]!);
  }
  return {
    [`${name}.int8`]: tensor('int8', [out, inner], q),
    [`${name}.int8.scales`]: tensor(
      'float32',
      [inner],
      scales.map((size) => size / largest),
    ),
  };
}
