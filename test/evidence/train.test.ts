import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { sigmoid } from '../../src/base/statistics.ts';
import { expectedCalibrationError } from '../../src/evaluation/calibration.ts';
import { scorePairs } from '../../src/evidence/score.ts';
import { fitScorer, labelPairs, patientFolds, randomOtherPairs, truePairs } from '../../src/evidence/train.ts';

/** 400 patients with three records each; a record shows its patient's number with noise. */
const patients = Int32Array.from({ length: 1200 }, (_, row) => row % 400);
const draw = random(3, 'noise');
const shown = Float64Array.from(patients, (patient) => patient + 6 * (draw.float() + draw.float() + draw.float() - 1.5));
const everyone = () => true;
const settings = { depth: 3, learningRate: 0.2, rounds: 60, minChildWeight: 1, lambda: 1, subsample: 1, columnShare: 1 };

function fitGaps(seed: number) {
  const pairs = labelPairs(truePairs(patients, everyone), randomOtherPairs({ patients, count: 20_000, seed, allows: everyone }));
  const write = (left: Int32Array, right: Int32Array, from: number, to: number, out: Float32Array) => {
    for (let i = from; i < to; i++) out[i - from] = Math.abs(shown[left[i]!]! - shown[right[i]!]!);
  };
  return { pairs, write, scorer: fitScorer({ pairs, featureNames: ['gap'], write, patients, settings, seed }) };
}

describe('training pairs', () => {
  test('true pairs are all pairs of one patient, left before right', () => {
    const { left, right } = truePairs(Int32Array.of(4, 7, 4, 7, 4), (l, r) => !(l === 0 && r === 4));
    expect([...left].map((l, i) => [l, right[i]])).toEqual([
      [0, 2],
      [1, 3],
      [2, 4],
    ]);
  });

  test('other pairs are of two patients, allowed, distinct, and the same for the same seed', () => {
    const allows = (left: number, right: number) => (left + right) % 2 === 1;
    const { left, right } = randomOtherPairs({ patients, count: 500, seed: 5, allows });
    expect(left.length).toBe(500);
    expect(new Set(Array.from(left, (l, i) => `${l} ${right[i]}`)).size).toBe(500);
    left.forEach((l, i) => {
      expect(l < right[i]! && patients[l] !== patients[right[i]!] && allows(l, right[i]!)).toBe(true);
    });
    expect(randomOtherPairs({ patients, count: 500, seed: 5, allows })).toEqual({ left, right });
  });

  test('all records of a patient lie in one fold, and folds are of like size', () => {
    const fold = patientFolds(patients, { folds: 3, seed: 1 });
    patients.forEach((patient, row) => {
      expect(fold[row]).toBe(fold[patient]);
    });
    for (const k of [0, 1, 2]) expect(Math.abs(fold.filter((f) => f === k).length - 400)).toBeLessThan(100);
  });
});

describe('fitting a scorer', () => {
  test('its held-out posterior is calibrated and it parts matches from others', () => {
    const { pairs, write, scorer } = fitGaps(1);
    const posterior = scorePairs(scorer, pairs, write);
    expect(expectedCalibrationError({ probabilities: posterior.map(sigmoid), outcomes: pairs.labels })).toBeLessThan(0.02);
    const mean = (label: number) => {
      const chosen = posterior.filter((_, i) => pairs.labels[i] === label);
      return chosen.reduce((sum, score) => sum + sigmoid(score), 0) / chosen.length;
    };
    expect(mean(1) - mean(0)).toBeGreaterThan(0.4);
    expect(scorer.trainingLogOdds).toBeCloseTo(Math.log(1200 / 20_000), 3);
  });

  test('the same seed gives the same trees and calibration', () => {
    const [one, again] = [fitGaps(1), fitGaps(1)];
    expect(again.scorer.trees).toEqual(one.scorer.trees);
    expect(again.scorer.calibration).toEqual(one.scorer.calibration);
  });
});
