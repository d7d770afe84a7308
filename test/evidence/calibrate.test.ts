import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { sigmoid } from '../../src/base/statistics.ts';
import { expectedCalibrationError } from '../../src/evaluation/calibration.ts';
import { calibrate, fitIsotonic, fitPlatt, type ScoredPairs } from '../../src/evidence/calibrate.ts';

/** Pairs whose true log-odds is `truth(score)`. */
function drawn(truth: (score: number) => number, count = 20_000): ScoredPairs {
  const draw = random(7, 'pairs');
  const scores = Float64Array.from({ length: count }, () => 12 * draw.float() - 8);
  return { scores, labels: Uint8Array.from(scores, (score) => (draw.float() < sigmoid(truth(score)) ? 1 : 0)) };
}

describe('platt scaling', () => {
  test('finds the slope and the shift of overconfident scores', () => {
    const fitted = fitPlatt(drawn((score) => 0.5 * score - 1));
    expect(calibrate(fitted, 0)).toBeCloseTo(-1, 0);
    expect(calibrate(fitted, 4) - calibrate(fitted, 0)).toBeCloseTo(2, 0);
  });

  test('stays finite when the classes part cleanly, or when there is one score only', () => {
    const clean = fitPlatt({ scores: Float64Array.of(-2, -1, 1, 2), labels: Uint8Array.of(0, 0, 1, 1) });
    const flat = fitPlatt({ scores: Float64Array.of(1, 1, 1), labels: Uint8Array.of(0, 1, 1) });
    for (const fitted of [clean, flat]) expect(Number.isFinite(calibrate(fitted, 3))).toBe(true);
  });

  test('a weight of two counts like the pair twice', () => {
    const once = fitPlatt({ scores: Float64Array.of(-1, 0, 1), labels: Uint8Array.of(0, 1, 1), weights: Float32Array.of(1, 2, 1) });
    const twice = fitPlatt({ scores: Float64Array.of(-1, 0, 0, 1), labels: Uint8Array.of(0, 1, 1, 1) });
    expect(calibrate(once, 0.7)).toBeCloseTo(calibrate(twice, 0.7), 6);
  });
});

describe('isotonic calibration', () => {
  test('pools the worked case', () => {
    const fitted = fitIsotonic({ scores: Float64Array.of(1, 2, 3, 4), labels: Uint8Array.of(0, 1, 0, 1) });
    expect(fitted).toEqual({ kind: 'isotonic', scores: [1, 2.5, 4], logOdds: [Math.log(0.5 / 1.5), 0, Math.log(1.5 / 0.5)] });
  });

  test('rises strictly and never saturates, whatever it was fitted on', () => {
    const pair = fc.tuple(fc.double({ min: -20, max: 20, noNaN: true }), fc.nat(1));
    fc.assert(
      fc.property(fc.array(pair, { minLength: 1 }), fc.double({ min: -30, max: 30, noNaN: true }), (pairs, score) => {
        const fitted = fitIsotonic({ scores: Float64Array.from(pairs, (p) => p[0]), labels: Uint8Array.from(pairs, (p) => p[1]) });
        expect(calibrate(fitted, score + 1)).toBeGreaterThan(calibrate(fitted, score));
      }),
    );
  });

  test('mends a curve that two numbers cannot', () => {
    const pairs = drawn((score) => (score < 0 ? 0.2 * score : 2 * score));
    const fitted = fitIsotonic(pairs);
    expect(calibrate(fitted, -6)).toBeCloseTo(-1.2, 0);
    const probabilities = pairs.scores.map((score) => sigmoid(calibrate(fitted, score)));
    expect(expectedCalibrationError({ probabilities, outcomes: pairs.labels })).toBeLessThan(0.02);
  });
});
