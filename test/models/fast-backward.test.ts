import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { backward } from '../../src/graph/backward.ts';
import { gradients } from '../../src/graph/gradients.ts';
import { gemm, input } from '../../src/graph/node.ts';
import { fastGradients, int8Tensors } from '../../src/models/fast-backward.ts';
import { distance, evaluate, f32 } from '../graph/evaluate.ts';

const tokens = 16;
const inner = 24;

/** Of y = x W', W [out, inner]: the gradient of x, exactly and in the fast mode. */
async function slopes(out: number, { weight, arriving }: { readonly weight: Float32Array; readonly arriving: Float32Array }) {
  const x = input('x', 'float32', [tokens, inner]);
  const y = gemm(x, input('mlp.up_proj', 'float32', [out, inner]), { transB: true, label: 'mlp.up_proj' });
  const dy = input('dy', 'float32', [tokens, out]);
  const found = (rules: typeof gradients) => backward({ outputs: new Map([[y, dy]]), targets: [x], rules })[0]!;
  const given = { 'mlp.up_proj': f32([out, inner], weight), dy: f32([tokens, out], arriving) };
  const { exact, fast } = await evaluate(
    { exact: found(gradients), fast: found(fastGradients) },
    { ...given, ...int8Tensors('mlp.up_proj', { shape: [out, inner], data: weight }, { largest: 127 }) },
  );
  return { exact: exact!.data as Float32Array, fast: fast!.data as Float32Array };
}

const drawn = (size: number, seed: number): Float32Array => {
  const draw = random(seed);
  return Float32Array.from({ length: size }, () => draw.float() + draw.float() + draw.float() - 1.5);
};

describe('the fast backward pass', () => {
  // Turned in blocks of 32, 4, 2 and not at all.
  test.each([64, 12, 6, 9])('is within 1 %% of the exact one: %d outputs', async (out) => {
    const { exact, fast } = await slopes(out, { weight: drawn(out * inner, 1), arriving: drawn(tokens * out, 2) });
    expect(distance(fast, exact)).toBeLessThan(0.01);
  });

  test('stays so where one output of each token has a gradient a hundred times the others’, and a small row', async () => {
    const [weight, arriving] = [drawn(64 * inner, 1), drawn(tokens * 64, 2)];
    for (let token = 0; token < tokens; token++) arriving[token * 64 + 5]! *= 100;
    for (let i = 0; i < inner; i++) weight[5 * inner + i]! /= 100;
    const { exact, fast } = await slopes(64, { weight, arriving });
    expect(distance(fast, exact)).toBeLessThan(0.02);
  });

  test('gives zeros for zeros', async () => {
    const { fast } = await slopes(64, { weight: drawn(64 * inner, 1), arriving: new Float32Array(tokens * 64) });
    expect(fast.every((value) => value === 0)).toBe(true);
  });
});
