// A linear layer with, or without, a low-rank adapter: y = x W' + scale (dropout(x) A') B', W frozen, A [rank, in] and B [out, rank]
// trained. DoRA also trains the length of each row of W + scale B A:  y = magnitude / length * (x W' + scale (x A') B').
// Sources: Hu et al., "LoRA", 2021; Liu et al., "DoRA", 2024, whose length is held constant in the backward pass (section 4.3).

import { add, detach, div, gemm, input, mul, reduceSum, reshape, scalar, sqrt, sub, where } from '../graph/node.ts';
import type { Value } from '../graph/value.ts';
import { type WeightForm, weight } from './weight.ts';

/** The shape of an adapter; its numbers are inputs of the graph. */
export type AdapterShape = {
  readonly rank: number;
  /** alpha / rank, or alpha / sqrt(rank) with rsLoRA. */
  readonly scale: number;
  /** Share of inputs dropped before A; 0 for none, and always 0 outside training. */
  readonly dropout: number;
  readonly dora: boolean;
};

export type LinearShape = {
  /** Within its layer: `self_attn.q_proj`. */
  readonly name: string;
  readonly out: number;
  readonly inner: number;
  readonly form: WeightForm;
  readonly adapter?: AdapterShape;
};

/** The trained inputs of one linear layer, by their names within the layer: `self_attn.q_proj.lora_A`. */
export type Trained = Map<string, Value>;

/**
 * Builds the layer on x [rows, in].
 *
 * @param options.residual added to the result: [rows, out]
 * @param options.trained receives the adapter's inputs
 */
export function linear(
  { name, out, inner, form, adapter }: LinearShape,
  x: Value,
  { residual, trained }: { readonly residual?: Value; readonly trained: Trained },
): Value {
  const base = weight(name, form, [out, inner]);
  if (!adapter) return base.times(x, residual);

  const train = (part: string, shape: readonly number[]): Value => {
    const value = input(`${name}.${part}`, 'float32', shape);
    trained.set(`${name}.${part}`, value);
    return value;
  };
  const { rank, scale, dropout, dora } = adapter;
  const a = train('lora_A', [rank, inner]);
  const b = train('lora_B', [out, rank]);
  const dropped = dropout > 0 ? drop(x, name, dropout) : x;
  const thin = gemm(dropped, a, { transB: true });
  const low = (c?: Value) => gemm(thin, b, { transB: true, alpha: scale, ...(c && { c }) });
  if (!dora) return low(base.times(x, residual));

  const merged = gemm(b, a, { alpha: scale, c: base.dense });
  const length = sqrt(reduceSum(mul(merged, merged), [1]));
  const factor = div(train('lora_magnitude_vector', [out]), detach(reshape(length, [out])));
  if (dropout === 0) {
    const scaled = mul(low(base.times(x)), factor);
    return residual ? add(scaled, residual) : scaled;
  }
  // With dropout PEFT leaves the plain product whole and scales only what differs from it.
  const extra = add(mul(base.times(dropped), sub(factor, scalar(1))), mul(low(), factor));
  return add(base.times(x, residual), extra);
}

/** Zero where the mask is zero, else x / (1 - share). */
function drop(x: Value, name: string, share: number): Value {
  const kept = input(`${name}.dropout`, 'bool', x.shape);
  return where(kept, mul(x, scalar(1 / (1 - share))), scalar(0));
}
