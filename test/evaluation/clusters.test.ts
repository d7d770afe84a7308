import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { clusterMetrics } from '../../src/evaluation/clusters.ts';

describe('cluster metrics', () => {
  test.each([
    {
      name: 'the worked case',
      predicted: 'xxyy',
      truth: '1112',
      purity: 0.5,
      impure: 1,
      completeness: 0.5,
      split: 1,
      perfect: 0,
      exact: 0,
    },
    { name: 'all right', predicted: 'xxyz', truth: '1123', purity: 1, impure: 0, completeness: 1, split: 0, perfect: 1, exact: 1 },
    {
      name: 'one of two linkable patients split',
      predicted: 'xxyz',
      truth: '1122',
      purity: 1,
      impure: 0,
      completeness: 0.5,
      split: 1,
      perfect: 0.5,
      exact: 0.4,
    },
    {
      name: 'complete but mixed is not perfect',
      predicted: 'xxx',
      truth: '112',
      purity: 0,
      impure: 1,
      completeness: 1,
      split: 0,
      perfect: 0,
      exact: 0,
    },
    {
      name: 'only single records: nothing to resolve',
      predicted: 'abc',
      truth: '123',
      purity: 1,
      impure: 0,
      completeness: 1,
      split: 0,
      perfect: 0,
      exact: 1,
    },
    { name: 'no records', predicted: '', truth: '', purity: 1, impure: 0, completeness: 1, split: 0, perfect: 0, exact: 1 },
  ])('$name', ({ predicted, truth, ...wanted }) => {
    const score = clusterMetrics([...predicted], [...truth]);
    expect({
      purity: score.purity,
      impure: score.impureClusters,
      completeness: score.completeness,
      split: score.splitPatients,
      perfect: score.perfectResolutionRate,
    }).toEqual({
      purity: wanted.purity,
      impure: wanted.impure,
      completeness: wanted.completeness,
      split: wanted.split,
      perfect: wanted.perfect,
    });
    expect(score.exact.f1).toBeCloseTo(wanted.exact, 12);
  });

  test('splitting a cluster further never makes it less pure nor a patient more complete', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(4), fc.boolean()), { maxLength: 30 }), (records) => {
        const truth = records.map((r) => r[1]);
        const before = clusterMetrics(
          records.map((r) => r[0]),
          truth,
        );
        const after = clusterMetrics(
          records.map((r) => `${r[0]}${r[2]}`),
          truth,
        );
        expect(after.purity).toBeGreaterThanOrEqual(before.purity);
        expect(after.completeness).toBeLessThanOrEqual(before.completeness);
        expect(after.splitPatients).toBe(Math.round(after.patients * (1 - after.completeness)));
      }),
    );
  });
});
