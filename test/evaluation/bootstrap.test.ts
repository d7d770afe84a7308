import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { bootstrapInterval, pairwiseF1Interval } from '../../src/evaluation/bootstrap.ts';
import { pairwiseFromClusters } from '../../src/evaluation/pairwise.ts';

describe('patient bootstrap', () => {
  const mean = (values: readonly number[]) => (weights: Uint16Array) =>
    values.reduce((sum, value, i) => sum + value * weights[i]!, 0) / values.length;

  test('the interval of a mean is about two standard errors to either side', () => {
    const draw = random(3);
    const values = Array.from({ length: 400 }, () => draw.float());
    const { low, high } = bootstrapInterval({ units: 400, statistic: mean(values), seed: 1 });
    const standardError = Math.sqrt(1 / 12 / 400);
    expect(high - low).toBeGreaterThan(3.4 * standardError);
    expect(high - low).toBeLessThan(4.4 * standardError);
  });

  test('units that are all alike have no spread', () => {
    expect(bootstrapInterval({ units: 9, statistic: mean([...'999999999'].map(Number)), seed: 1, draws: 50 })).toEqual({ low: 9, high: 9 });
  });

  test('the same seed gives the same interval, another seed another', () => {
    const values = Array.from({ length: 50 }, (_, i) => i ** 1.5);
    const interval = (seed: number) => bootstrapInterval({ units: 50, statistic: mean(values), seed, draws: 100 });
    expect(interval(7)).toEqual(interval(7));
    expect(interval(8)).not.toEqual(interval(7));
  });

  test('the interval of the pairwise F1 holds the F1, and shrinks to it when all is right', () => {
    const truth = Array.from({ length: 600 }, (_, i) => Math.floor(i / 3));
    const predicted = truth.map((label, i) => (i % 40 === 0 ? 1000 + i : i % 77 === 0 ? 0 : label));
    const { low, high } = pairwiseF1Interval({ predicted, truth, seed: 2, draws: 300 });
    const { f1 } = pairwiseFromClusters(predicted, truth);
    expect(low).toBeLessThan(f1);
    expect(high).toBeGreaterThan(f1);
    expect(pairwiseF1Interval({ predicted: truth, truth, seed: 2, draws: 20 })).toEqual({ low: 1, high: 1 });
  });
});
