import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { learningRateShare, type Schedule, warmupSteps } from '../../src/training/schedule.ts';

const { schedules } = JSON.parse(readFileSync(new URL('../oracle/llm/optimizer/torch.json', import.meta.url), 'utf8')) as {
  readonly schedules: readonly (Schedule & { readonly rates: readonly number[] })[];
};

describe('the learning rate over a run', () => {
  test.each(schedules)('is that of transformers: $kind, $warmupSteps of $totalSteps steps of warm-up', ({ rates, ...schedule }) => {
    rates.forEach((rate, step) => void expect(learningRateShare(step, schedule)).toBeCloseTo(rate, 14));
  });

  test('the worked case', () => {
    const shares = [0, 1, 2, 3].map((step) => learningRateShare(step, { kind: 'linear', warmupSteps: 1, totalSteps: 4 }));
    expect(shares).toEqual([0, 1, 2 / 3, 1 / 3]);
  });

  test.each([
    { warmup: 0, steps: 0 },
    { warmup: 0.03, steps: 4 },
    { warmup: 10, steps: 10 },
    { warmup: 0.999, steps: 101 },
  ])('warm-up $warmup of 101 steps is $steps steps', ({ warmup, steps }) => expect(warmupSteps(warmup, 101)).toBe(steps));
});
