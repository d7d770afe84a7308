import { type Model, writeModel } from '../../src/graph/onnx-proto.ts';
import { openSession } from '../../src/graph/session.ts';
import { type Tensor, tensor } from '../../src/graph/tensor.ts';
import type { Value } from '../../src/graph/value.ts';

/** Numbers as the oracle files hold them. */
export type Numbers = { readonly shape: readonly number[]; readonly values: readonly number[] };

export const f32 = (shape: readonly number[], values: ArrayLike<number>): Tensor<'float32'> =>
  tensor('float32', shape, Float32Array.from(values));

export const i64 = (shape: readonly number[], values: readonly number[]): Tensor<'int64'> =>
  tensor('int64', shape, BigInt64Array.from(values, BigInt));

/** The values of `outputs`, computed by the runtime. */
export async function evaluate(
  outputs: Readonly<Record<string, Value>>,
  inputs: Readonly<Record<string, Tensor>> = {},
  given?: ReadonlyMap<Value, string>,
): Promise<Readonly<Record<string, Tensor>>> {
  return runOnce(writeModel(given ? { outputs, given } : { outputs }), inputs);
}

export async function runOnce(model: Model, inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>> {
  const session = await openSession(model, { threads: 1 });
  try {
    return await session.run(inputs);
  } finally {
    await session.close();
  }
}

/** Numbers of a tensor of any type. */
export const numbers = ({ data }: Tensor): number[] => Array.from(data as ArrayLike<number | bigint>, Number);

/** ||got - expected|| / ||expected||; the plain distance where all expected values are zero. */
export function distance(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  let off = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    off += (got[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  return Math.sqrt(size === 0 ? off : off / size);
}
