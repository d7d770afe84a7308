import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { areaUnderRoc, classificationMetrics } from '../../src/evaluation/classification.ts';

type Case = { scores: number[]; truth: number[]; auc: number; at05: { accuracy: number; precision: number; recall: number; f1: number } };
const oracle = JSON.parse(readFileSync('test/oracle/evaluation/scikit-learn.json', 'utf8')) as { scored: Case[] };

describe('classification', () => {
  test.each([
    { name: 'one of each', predicted: [1, 1, 0, 0], truth: [1, 0, 1, 0], accuracy: 0.5, precision: 0.5, recall: 0.5, f1: 0.5 },
    { name: 'nothing called true', predicted: [0, 0], truth: [1, 0], accuracy: 0.5, precision: 0, recall: 0, f1: 0 },
    { name: 'no cases', predicted: [], truth: [], accuracy: 0, precision: 0, recall: 0, f1: 0 },
  ])('$name', ({ predicted, truth, accuracy, precision, recall, f1 }) => {
    expect(classificationMetrics(predicted, truth)).toMatchObject({ accuracy, precision, recall, f1 });
  });

  test.each(oracle.scored.map((one, i) => ({ ...one, i })))('equals scikit-learn, case $i', ({ scores, truth, auc, at05 }) => {
    const score = classificationMetrics(
      scores.map((s) => s >= 0.5),
      truth,
    );
    expect(score.accuracy).toBeCloseTo(at05.accuracy, 12);
    expect(score.precision).toBeCloseTo(at05.precision, 12);
    expect(score.recall).toBeCloseTo(at05.recall, 12);
    expect(score.f1).toBeCloseTo(at05.f1, 12);
    expect(areaUnderRoc({ scores, isTrue: truth })).toBeCloseTo(auc, 12);
  });

  test('AUC is the chance that a true case outranks a false one', () => {
    expect(areaUnderRoc({ scores: [0.1, 0.4, 0.35, 0.8], isTrue: [0, 0, 1, 1] })).toBe(0.75);
    expect(areaUnderRoc({ scores: [1, 2], isTrue: [1, 1] })).toBeNaN();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.boolean()), { maxLength: 25 }), (rows) => {
        const [trues, falses] = [true, false].map((wanted) => rows.filter((row) => row[1] === wanted).map((row) => row[0]));
        fc.pre(trues!.length > 0 && falses!.length > 0);
        const wins = trues!.flatMap((t) => falses!.map((f) => (t > f ? 1 : t === f ? 0.5 : 0)));
        const auc = areaUnderRoc({ scores: rows.map((row) => row[0]), isTrue: rows.map((row) => row[1]) });
        expect(auc).toBeCloseTo(wins.reduce<number>((sum, win) => sum + win, 0) / wins.length, 12);
      }),
    );
  });

  test('lists of different length are refused with both lengths', () => {
    expect(() => classificationMetrics([1], [])).toThrow('lengths differ: 1 predicted, 0 true');
  });
});
