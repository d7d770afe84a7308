import { describe, expect, test } from 'vitest';

import { estimateM } from '../../src/linkage/em.ts';

const none = new Float64Array(0);
const patterns = (counts: Readonly<Record<number, number>>, shifted: readonly (readonly [number, number])[] = []) => ({
  keys: Float64Array.from(Object.keys(counts), Number),
  counts: Float64Array.from(Object.values(counts)),
  shiftedPattern: Float64Array.from(shifted, ([pattern]) => pattern),
  shift: Float64Array.from(shifted, ([, bits]) => bits),
});
const equalOrNot = { levelCount: 2, nullLevel: -1, m: [0.9, 0.1], u: [0.1, 0.9], fixed: [false, false] };
const once = { prior: 0.5, tolerance: 1e-4, maxIterations: 1 };

describe('expectation-maximisation', () => {
  test('one round by hand: 30 equal pairs with p = 0.9, 70 others with p = 0.1', () => {
    const result = estimateM(patterns({ 0: 30, 1: 70 }), [equalOrNot], once);
    expect(result.m[0]![0]).toBeCloseTo(27 / 34, 12);
    expect(result.m[0]![1]).toBeCloseTo(7 / 34, 12);
    expect(result.prior).toBeCloseTo(0.34, 12);
    expect(result.lastChange).toBeCloseTo(0.16, 12);
  });

  test('says that it did not converge when the rounds run out, and that it did when it did', () => {
    expect(estimateM(patterns({ 0: 30, 1: 70 }), [equalOrNot], once)).toMatchObject({ iterations: 1, converged: false });
    const twoFields = patterns({ 0: 40, 1: 3, 2: 4, 3: 900 });
    const long = estimateM(twoFields, [equalOrNot, equalOrNot], { ...once, maxIterations: 100 });
    expect(long.converged).toBe(true);
    expect(long.lastChange).toBeLessThan(1e-4);
    expect(long.iterations).toBeLessThan(100);
  });

  test('keeps the way there: the start, and what each round left', () => {
    const { history, iterations, m, prior } = estimateM(patterns({ 0: 30, 1: 70 }), [equalOrNot], { ...once, maxIterations: 3 });
    expect(history).toHaveLength(iterations + 1);
    expect(history[0]).toEqual({ m: [[0.9, 0.1]], prior: 0.5 });
    expect(history[1]!.prior).toBeCloseTo(0.34, 12);
    expect(history.at(-1)).toEqual({ m, prior });
  });

  test('a rare shared value shifts its own pair: odds 9 raised by 3 bits are 72', () => {
    const result = estimateM(patterns({ 1: 1 }, [[0, 3]]), [equalOrNot], once);
    expect(result.prior).toBeCloseTo((72 / 73 + 0.1) / 2, 12);
  });

  test('missing says nothing and has no share in m; a fixed m stays; a level that nobody is on is unknown', () => {
    const withNull = { levelCount: 4, nullLevel: 0, m: [1, 0.9, 0.05, 0.05], u: [1, 0.1, 0.2, 0.7], fixed: [false, false, false, false] };
    const result = estimateM(patterns({ 0: 1000, 1: 30, 3: 70 }), [withNull], once);
    const [equal, other] = [30 * 0.9, 70 * (0.05 / 0.75)];
    expect(result.m[0]).toEqual([1, expect.closeTo(equal / (equal + other), 12), Number.NaN, expect.closeTo(other / (equal + other), 12)]);
    expect(result.prior).toBeCloseTo((500 + equal + other) / 1100, 12);
    const fixed = estimateM(patterns({ 0: 30, 1: 70 }), [{ ...equalOrNot, fixed: [true, false] }], once);
    expect(fixed.m[0]![0]).toBe(0.9);
  });

  test('keys are digits in the base of each comparison', () => {
    const three = { levelCount: 3, nullLevel: -1, m: [0.8, 0.1, 0.1], u: [0.1, 0.1, 0.8], fixed: [false, false, false] };
    // (first 1, second 2) is 1 * 3 + 2.
    const result = estimateM(
      { keys: Float64Array.of(5), counts: Float64Array.of(10), shiftedPattern: none, shift: none },
      [equalOrNot, three],
      once,
    );
    expect(result.m).toEqual([
      [Number.NaN, 1],
      [Number.NaN, Number.NaN, 1],
    ]);
  });
});
