import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { clipFactor, gradientNorm, isDecayed, startAdamW, stepAdamW } from '../../src/training/optimizer.ts';
import { learningRateShare } from '../../src/training/schedule.ts';
import type { Parameter } from '../../src/training/trainable.ts';

type Values = Record<string, number[]>;
const oracle = JSON.parse(readFileSync(new URL('../oracle/llm/optimizer/torch.json', import.meta.url), 'utf8')) as {
  readonly sizes: Record<string, number>;
  readonly settings: { steps: number; warmup: number; learningRate: number; weightDecay: number; maxNorm: number };
  readonly norms: readonly number[];
  readonly snapshots: Record<string, Values>;
};

/** The recipe's numbers: whole until the last division. */
const numbers = (count: number, step: number, tensor: number) =>
  Float32Array.from({ length: count }, (_, i) => {
    const whole = (((i + 1) * 7919 + step * 104729 + tensor * 1299709 + ((i * i) % 97) * step * 31) % 2003) - 1001;
    return (whole / 1001) * (step % 5 === 4 ? 0.02 : 1);
  });

const parameters = (): Parameter[] =>
  Object.entries(oracle.sizes).map(([name, size], at) => ({
    name,
    shape: [size],
    values: numbers(size, 1000, at),
    gradient: new Float32Array(size),
  }));

const one = (values: number[], gradient: number[]): Parameter => ({
  name: 'lora_A.weight',
  shape: [values.length],
  values: Float32Array.from(values),
  gradient: Float32Array.from(gradient),
});

describe('AdamW', () => {
  test('fifty clipped, decayed and scheduled steps end where torch ends, to the rounding of f32', () => {
    const { steps, warmup, learningRate, weightDecay, maxNorm } = oracle.settings;
    const trained = parameters();
    const state = startAdamW(trained);
    for (let step = 0; step < steps; step++) {
      trained.forEach(({ gradient }, at) => void gradient.set(numbers(gradient.length, step, at)));
      const norm = gradientNorm(trained);
      expect(Math.abs(norm / oracle.norms[step]! - 1)).toBeLessThan(1e-6);
      const share = learningRateShare(step, { kind: 'linear', warmupSteps: warmup, totalSteps: steps });
      stepAdamW(trained, state, { learningRate: learningRate * share, weightDecay, gradientFactor: clipFactor(norm, maxNorm) });
      for (const { name, values } of trained) {
        const expected = oracle.snapshots[step + 1]?.[name] ?? [...values];
        // Each step rounds both sides' values near 1 by up to 6e-8.
        expected.forEach((value, i) => void expect(Math.abs(values[i]! - value)).toBeLessThan(2e-7 + step * 2e-8));
      }
    }
  });

  test('the worked case: the first step moves a value by the learning rate, against its gradient', () => {
    const value = one([1, 1], [0.5, -8]);
    stepAdamW([value], startAdamW([value]), { learningRate: 0.1 });
    expect([...value.values]).toEqual([Math.fround(0.9), Math.fround(1.1)]);
    expect([...value.gradient]).toEqual([0, 0]);
  });

  test('decay alone shrinks a value that has no gradient', () => {
    const value = one([2], [0]);
    stepAdamW([value], startAdamW([value]), { learningRate: 0.1, weightDecay: 0.5 });
    expect(value.values[0]).toBeCloseTo(1.9, 6);
  });

  test.each([
    ['base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight', true],
    ['base_model.model.score.weight', true],
    ['base_model.model.model.layers.0.mlp.up_proj.lora_magnitude_vector', true],
    ['base_model.model.score.bias', false],
    ['model.layers.0.input_layernorm.weight', false],
    ['model.norm.weight', false],
    ['model.layers.0.self_attn.q_norm.weight', false],
    ['model.normal.weight', true],
  ])('%s: decayed %s', (name, decayed) => expect(isDecayed({ name })).toBe(decayed));
});

describe('gradient norm', () => {
  test.each([0, 1, 3, 4, 9])('of %i values is their length as one vector', (count) => {
    const values = Array.from({ length: count }, (_, i) => i + 1);
    expect(gradientNorm([one(values, values), one([3], [3])])).toBeCloseTo(Math.hypot(...values, 3), 12);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('is not finite when one gradient is %s', (wrong) => {
    expect(Number.isFinite(gradientNorm([one([0, 0], [1, wrong])]))).toBe(false);
  });

  test('the largest f32 gradients do not overflow it', () => {
    expect(gradientNorm([one([0, 0], [3e38, 3e38])])).toBeGreaterThan(4e38);
  });

  test.each([
    { norm: 2, maxNorm: 1, factor: 1 / 2.000001 },
    { norm: 0.5, maxNorm: 1, factor: 1 },
    { norm: 100, maxNorm: 0, factor: 1 },
  ])('norm $norm, limit $maxNorm: factor $factor', ({ norm, maxNorm, factor }) => {
    expect(clipFactor(norm, maxNorm)).toBeCloseTo(factor, 12);
  });
});
