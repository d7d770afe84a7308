// A linear layer with, or without, a low-rank adapter: y = x W' + scale (dropout(x) A') B', W frozen, A [rank, in] and B [out, rank]
// trained. DoRA also trains the length of each row of W + scale B A:  y = magnitude / length * (x W' + scale (x A') B').
// Sources: Hu et al., "LoRA", 2021; Liu et al., "DoRA", 2024, whose length is held constant in the backward pass (section 4.3).

import { add, concat, detach, div, gemm, input, mul, reduceSum, reshape, scalar, split, sqrt, sub, where } from '../graph/node.ts';
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

export type LinearOptions = {
  /** Added to the result: [rows, out]. */
  readonly residual?: Value;
  /** Receives the adapters' inputs. */
  readonly trained: Trained;
  /** Receives the thin products x A', which the backward pass wants again. */
  readonly keep: (name: string, value: Value) => Value;
};

/** Builds layers that see the same x [rows, in]. */
export function linears(shapes: readonly LinearShape[], x: Value, { residual, trained, keep }: LinearOptions): readonly Value[] {
  const train = (name: string, shape: readonly number[]): Value => {
    const value = input(name, 'float32', shape);
    trained.set(name, value);
    return value;
  };
  const thin = thinProducts(shapes, x, { train, keep });
  return shapes.map((shape) => linear(shape, x, { residual, train, thin: thin.get(shape) }));
}

type Train = (name: string, shape: readonly number[]) => Value;

/** An adapter's A, what it sees of x after dropout, and that times A'. */
type Thin = { readonly a: Value; readonly dropped: Value; readonly product: Value };

/** Where nothing is dropped all adapters see the same, and their products are one: it costs hardly more than each of them. */
function thinProducts(
  shapes: readonly LinearShape[],
  x: Value,
  { train, keep }: { readonly train: Train; readonly keep: LinearOptions['keep'] },
): ReadonlyMap<LinearShape, Thin> {
  const found = new Map<LinearShape, Thin>();
  const adapted = shapes.flatMap((shape) =>
    shape.adapter ? [{ shape, ...shape.adapter, a: train(`${shape.name}.lora_A`, [shape.adapter.rank, shape.inner]) }] : [],
  );
  if (adapted.length > 1 && adapted.every(({ dropout }) => dropout === 0)) {
    const joint = concat(
      adapted.map(({ a }) => a),
      0,
    );
    const products = split(keep(`${adapted[0]!.shape.name}.thin`, gemm(x, joint, { transB: true })), {
      axis: 1,
      sizes: adapted.map(({ rank }) => rank),
    });
    for (const [i, { shape, a }] of adapted.entries()) found.set(shape, { a, dropped: x, product: products[i]! });
    return found;
  }
  for (const { shape, a, dropout } of adapted) {
    const dropped = dropout > 0 ? drop(x, shape.name, dropout) : x;
    found.set(shape, { a, dropped, product: keep(`${shape.name}.thin`, gemm(dropped, a, { transB: true })) });
  }
  return found;
}

function linear(
  { name, out, inner, form, adapter }: LinearShape,
  x: Value,
  { residual, train, thin }: { readonly residual: Value | undefined; readonly train: Train; readonly thin: Thin | undefined },
): Value {
  const base = weight(name, form, [out, inner]);
  if (!adapter || !thin) return base.times(x, residual);

  const { rank, scale, dropout, dora } = adapter;
  const b = train(`${name}.lora_B`, [out, rank]);
  const low = (c?: Value) => gemm(thin.product, b, { transB: true, alpha: scale, ...(c && { c }) });
  if (!dora) return low(base.times(x, residual));

  const merged = gemm(b, thin.a, { alpha: scale, c: base.dense });
  const length = sqrt(reduceSum(mul(merged, merged), [1]));
  const factor = div(train(`${name}.lora_magnitude_vector`, [out]), detach(reshape(length, [out])));
  if (dropout === 0) {
    const scaled = mul(low(base.times(x)), factor);
    return residual ? add(scaled, residual) : scaled;
  }
  // With dropout PEFT leaves the plain product whole and scales only what differs from it.
  const extra = add(mul(base.times(thin.dropped), sub(factor, scalar(1))), mul(low(), factor));
  return add(base.times(x, residual), extra);
}

/** Zero where the mask is zero, else x / (1 - share). */
function drop(x: Value, name: string, share: number): Value {
  const kept = input(`${name}.dropout`, 'bool', x.shape);
  return where(kept, mul(x, scalar(1 / (1 - share))), scalar(0));
}
