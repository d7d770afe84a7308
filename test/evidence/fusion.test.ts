import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fuse, matchWeightLogOdds, priorShift, rulePenalty, softRules, strictRules, sumEvidence } from '../../src/evidence/fusion.ts';

// Records 0..3: man at facility 1, woman at 2, unknown at 2, man at 1.
const fields = { gender: Uint8Array.of(1, 2, 0, 1), facility: Int32Array.of(1, 2, 2, 1) };

describe('fusion', () => {
  test.each([
    { name: 'a man and a woman', pair: [0, 1], soft: 7, strict: Infinity },
    { name: 'a man and a missing gender', pair: [0, 2], soft: 0, strict: 0 },
    { name: 'two records of one facility', pair: [0, 3], soft: 7, strict: Infinity },
    { name: 'one facility, one gender missing', pair: [1, 2], soft: 7, strict: Infinity },
  ])('$name: $soft nats off in the soft form', ({ pair: [left, right], soft, strict }) => {
    expect(rulePenalty(fields, softRules, left!, right!)).toBe(soft);
    expect(rulePenalty(fields, strictRules, left!, right!)).toBe(strict);
  });

  test('parts add with weight one, nothing rounded or clipped, whatever their size', () => {
    const nats = fc.double({ min: -60, max: 60, noNaN: true });
    fc.assert(
      fc.property(nats, nats, (demographic, clinical) => {
        const [total] = sumEvidence({ demographic: Float64Array.of(demographic), clinical: Float64Array.of(clinical) });
        expect(total).toBe(demographic + clinical);
      }),
    );
  });

  test('without clinical evidence demographics stand alone, and rules take their part of each pair', () => {
    const scores = { left: Int32Array.of(0, 0), right: Int32Array.of(2, 1), demographic: Float64Array.of(3, 3) };
    expect([...fuse(scores, fields, strictRules)]).toEqual([3, -Infinity]);
    expect([...fuse(scores, fields, softRules)]).toEqual([3, -4]);
  });

  test('ten times the records make a match ten times less likely beforehand', () => {
    expect(priorShift({ trainingRecords: 7000, records: 70_000 })).toBeCloseTo(-Math.log(10), 12);
    expect(priorShift({ trainingRecords: 7000, records: 7000 })).toBe(0);
  });

  test('a match weight of one bit doubles the odds', () => {
    expect(Math.exp(matchWeightLogOdds(1))).toBeCloseTo(2, 12);
  });
});
