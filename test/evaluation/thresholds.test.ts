import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  averagePrecision,
  bestGridThreshold,
  bestThreshold,
  precisionRecallCurve,
  scoreAtThreshold,
} from '../../src/evaluation/thresholds.ts';

type Case = { scores: number[]; truth: number[]; averagePrecision: number; thresholds: number[]; precision: number[]; recall: number[] };
const oracle = JSON.parse(readFileSync('test/oracle/evaluation/scikit-learn.json', 'utf8')) as { scored: Case[] };

const scored = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 20 }).map((x) => x / 20),
      fc.boolean(),
    ),
    { minLength: 1, maxLength: 40 },
  )
  .map((rows) => ({
    scores: rows.map((row) => row[0]),
    isTrue: rows.map((row) => row[1]),
  }));

describe('precision-recall sweep', () => {
  test('the worked case', () => {
    const curve = precisionRecallCurve({ scores: [0.8, 0.9, 0.3, 0.8], isTrue: [1, 1, 1, 0] });
    expect([...curve.thresholds]).toEqual([0.9, 0.8, 0.3]);
    expect([...curve.precision]).toEqual([1, 2 / 3, 3 / 4]);
    expect([...curve.recall]).toEqual([1 / 3, 2 / 3, 1]);
    expect(bestThreshold(curve)).toMatchObject({ threshold: 0.3, precision: 0.75, recall: 1 });
  });

  test.each(oracle.scored.map((one, i) => ({ ...one, i })))('equals scikit-learn, case $i', (one) => {
    const curve = precisionRecallCurve({ scores: one.scores, isTrue: one.truth });
    const reach = one.thresholds.length;
    expect(curve.thresholds.length).toBe(reach);
    one.thresholds.forEach((threshold, i) => {
      expect(curve.thresholds[i]).toBeCloseTo(threshold, 10);
      expect(curve.precision[i]).toBeCloseTo(one.precision[i]!, 10);
      expect(curve.recall[i]).toBeCloseTo(one.recall[i]!, 10);
    });
    expect(averagePrecision({ scores: one.scores, isTrue: one.truth })).toBeCloseTo(one.averagePrecision, 10);
  });

  test('true pairs that were never scored lower recall only', () => {
    const [all, half] = [1, 2].map((times) => precisionRecallCurve({ scores: [0.9, 0.1], isTrue: [1, 1], totalTrue: 2 * times }));
    expect([...half!.recall]).toEqual([...all!.recall].map((recall) => recall / 2));
    expect(half!.precision).toEqual(all!.precision);
  });

  test('no pairs: no curve, no best point, nothing accepted', () => {
    const curve = precisionRecallCurve({ scores: [], isTrue: [] });
    expect(bestThreshold(curve)).toBeUndefined();
    expect(scoreAtThreshold(curve, 0.5)).toEqual({ threshold: 0.5, precision: 0, recall: 0, f1: 0 });
  });

  test('a threshold accepts what is at or above it', () => {
    fc.assert(
      fc.property(scored, fc.integer({ min: -1, max: 21 }), ({ scores, isTrue }, twentieth) => {
        const threshold = twentieth / 20;
        const accepted = isTrue.filter((_, i) => scores[i]! >= threshold);
        const hits = accepted.filter(Boolean).length;
        const point = scoreAtThreshold(precisionRecallCurve({ scores, isTrue }), threshold);
        expect(point.precision).toBeCloseTo(accepted.length ? hits / accepted.length : 0, 12);
        expect(point.recall).toBeCloseTo(hits ? hits / isTrue.filter(Boolean).length : 0, 12);
      }),
    );
  });

  test('the grid takes the first threshold of the highest F1, never above the sweep', () => {
    expect(bestGridThreshold({ scores: [0.155, 0.145], isTrue: [1, 0] })).toMatchObject({ threshold: 0.15, f1: 1 });
    expect(bestGridThreshold({ scores: [0.001], isTrue: [1] })).toEqual({ threshold: 0.01, precision: 0, recall: 0, f1: 0 });
    fc.assert(
      fc.property(scored, ({ scores, isTrue }) => {
        const curve = precisionRecallCurve({ scores, isTrue });
        expect(bestGridThreshold({ scores, isTrue }).f1).toBeLessThanOrEqual(bestThreshold(curve)!.f1);
      }),
    );
  });
});
