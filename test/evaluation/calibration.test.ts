import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { brierScore, expectedCalibrationError, reliabilityCurve } from '../../src/evaluation/calibration.ts';

type Reliability = Partial<Record<'equal-mass' | 'equal-width', { shareTrue: number[]; meanPredicted: number[] }>>;
type Case = { scores: number[]; truth: number[]; brier: number; reliability: Reliability };
const oracle = JSON.parse(readFileSync('test/oracle/evaluation/scikit-learn.json', 'utf8')) as { scored: Case[] };

describe('calibration', () => {
  test('the worked case', () => {
    const four = { probabilities: [0.9, 0.1, 0.8, 0.3], outcomes: [1, 0, 1, 1], bins: 2, kind: 'equal-width' as const };
    expect(reliabilityCurve(four).map((bin) => [bin.count, bin.shareTrue])).toEqual([
      [2, 0.5],
      [2, 1],
    ]);
    expect(expectedCalibrationError(four)).toBeCloseTo(0.225, 12);
  });

  const cases = oracle.scored.flatMap(({ scores, truth, brier, reliability }, i) =>
    Object.entries(reliability).map(([kind, wanted]) => ({ i, kind: kind as 'equal-mass', scores, truth, brier, wanted })),
  );
  test.each(cases)('case $i, bins of $kind, equals scikit-learn', ({ kind, scores, truth, brier, wanted }) => {
    const bins = reliabilityCurve({ probabilities: scores, outcomes: truth, kind });
    expect(bins).toHaveLength(wanted.shareTrue.length);
    bins.forEach((bin, i) => {
      expect(bin.shareTrue).toBeCloseTo(wanted.shareTrue[i]!, 10);
      expect(bin.meanPredicted).toBeCloseTo(wanted.meanPredicted[i]!, 10);
    });
    expect(brierScore({ probabilities: scores, outcomes: truth })).toBeCloseTo(brier, 10);
  });

  test('predictions drawn honestly have next to no error; pushed to the ends they have much', () => {
    const draw = random(5);
    const probabilities = Float64Array.from({ length: 20_000 }, () => draw.float());
    const outcomes = Uint8Array.from(probabilities, (p) => Number(draw.float() < p));
    expect(expectedCalibrationError({ probabilities, outcomes })).toBeLessThan(0.015);
    expect(expectedCalibrationError({ probabilities: probabilities.map(Math.round), outcomes })).toBeGreaterThan(0.2);
  });

  const rows = fc.array(
    fc.tuple(
      fc.integer({ min: 0, max: 10 }).map((x) => x / 10),
      fc.boolean(),
    ),
    { minLength: 1, maxLength: 50 },
  );

  test('every row is in one bin, equal predictions in the same one, whatever the order', () => {
    fc.assert(
      fc.property(rows, fc.nat(), fc.constantFrom('equal-mass' as const, 'equal-width' as const), (pairs, seed, kind) => {
        const curve = (some: typeof pairs) =>
          reliabilityCurve({ probabilities: some.map((p) => p[0]), outcomes: some.map((p) => p[1]), kind });
        const bins = curve(pairs);
        expect(bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(pairs.length);
        const shuffled = curve(random(seed).shuffle(pairs));
        shuffled.forEach((bin, i) => {
          expect(bin.count).toBe(bins[i]!.count);
          expect(bin.shareTrue).toBe(bins[i]!.shareTrue);
          expect(bin.meanPredicted).toBeCloseTo(bins[i]!.meanPredicted, 12);
        });
      }),
    );
  });

  test('nothing predicted: no bins, no error', () => {
    expect(reliabilityCurve({ probabilities: [], outcomes: [] })).toEqual([]);
    expect(expectedCalibrationError({ probabilities: [], outcomes: [] })).toBe(0);
    expect(brierScore({ probabilities: [], outcomes: [] })).toBe(0);
  });
});
