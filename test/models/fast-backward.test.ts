import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { backward } from '../../src/graph/backward.ts';
import { gradients } from '../../src/graph/gradients.ts';
import { concat, gemm, input } from '../../src/graph/node.ts';
import { fastGradients, int8Joint, largestWeight } from '../../src/models/fast-backward.ts';
import { distance, evaluate, f32 } from '../graph/evaluate.ts';

const tokens = 16;
const inner = 24;

/** Of y = x W', W [out, inner]: the gradient of x, exactly and in the fast mode. */
async function slopes(out: number, { weight, arriving }: { readonly weight: Float32Array; readonly arriving: Float32Array }) {
  const x = input('x', 'float32', [tokens, inner]);
  const y = gemm(x, input('mlp.down_proj', 'float32', [out, inner]), { transB: true, label: 'mlp.down_proj' });
  const dy = input('dy', 'float32', [tokens, out]);
  const found = (rules: typeof gradients) => backward({ outputs: new Map([[y, dy]]), targets: [x], rules })[0]!;
  const given = { 'mlp.down_proj': f32([out, inner], weight), dy: f32([tokens, out], arriving) };
  const { exact, fast } = await evaluate(
    { exact: found(gradients), fast: found(fastGradients(y)) },
    { ...given, ...int8Joint([{ name: 'mlp.down_proj', shape: [out, inner], data: weight }], 127) },
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

  const names = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];
  const sizes = [32, 16, 16];
  const matrices = names.map((name, i) => ({ name, shape: [sizes[i]!, inner], data: drawn(sizes[i]! * inner, 10 + i) }));

  // Where only the last token asks, q sees an input of its own.
  test.each([
    { title: 'q, k and v that see one input', own: 0 },
    { title: 'q apart from k and v', own: 1 },
  ])('is within 1 % for $title', async ({ own }) => {
    const [x, asked] = [input('x', 'float32', [tokens, inner]), input('asked', 'float32', [tokens, inner])];
    const products = matrices.map(({ name, shape }, i) =>
      gemm(i < own ? asked : x, input(name, 'float32', shape), { transB: true, label: name }),
    );
    const y = concat(products, 1);
    const dy = input('dy', 'float32', y.shape);
    const targets = own > 0 ? [x, asked] : [x];
    const found = (rules: typeof gradients) => backward({ outputs: new Map([[y, dy]]), targets, rules });
    const [exact, fast] = [found(gradients), found(fastGradients(y))];
    const given = { dy: f32([tokens, 64], drawn(tokens * 64, 2)), ...int8Joint(matrices, 127) };
    for (const { name, shape, data } of matrices) Object.assign(given, { [name]: f32(shape, data) });
    const results = await evaluate(Object.fromEntries([...exact, ...fast].map((value, i) => [`${i}`, value])), given);
    for (const i of targets.keys()) {
      expect(distance(results[i + targets.length]!.data as Float32Array, results[i]!.data as Float32Array)).toBeLessThan(0.01);
    }
  });

  test('keeps weights small enough for the sums of this processor', async () => {
    const largest = await largestWeight({ threads: 1 });
    const copies = int8Joint([{ name: 'mlp.up_proj', shape: [64, inner], data: drawn(64 * inner, 1) }], largest);
    const q = copies['mlp.up_proj.int8']!.data as Int8Array;
    expect([127, 63]).toContain(largest);
    expect(q.reduce((most, value) => Math.max(most, Math.abs(value)), 0)).toBe(largest);
  });

  test('gives zeros for zeros', async () => {
    const { fast } = await slopes(64, { weight: drawn(64 * inner, 1), arriving: new Float32Array(tokens * 64) });
    expect(fast.every((value) => value === 0)).toBe(true);
  });
});
