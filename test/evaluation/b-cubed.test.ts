import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { bCubed } from '../../src/evaluation/b-cubed.ts';

describe('b-cubed', () => {
  test.each([
    { name: 'the worked case', predicted: 'xxyy', truth: '1112', precision: 3 / 4, recall: 2 / 3 },
    { name: 'all apart: sure but incomplete', predicted: 'abcd', truth: '1111', precision: 1, recall: 1 / 4 },
    { name: 'all together: complete but mixed', predicted: 'aaaa', truth: '1234', precision: 1 / 4, recall: 1 },
    { name: 'no records', predicted: '', truth: '', precision: 1, recall: 1 },
  ])('$name', ({ predicted, truth, precision, recall }) => {
    const score = bCubed([...predicted], [...truth]);
    expect(score.precision).toBeCloseTo(precision, 12);
    expect(score.recall).toBeCloseTo(recall, 12);
  });

  const labels = fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { minLength: 1 });

  test('swapping the two partitions swaps precision and recall', () => {
    fc.assert(
      fc.property(labels, (pairs) => {
        const [a, b] = [pairs.map((p) => p[0]), pairs.map((p) => p[1])];
        expect(bCubed(a, b).precision).toBeCloseTo(bCubed(b, a).recall, 12);
      }),
    );
  });

  test('renaming labels changes nothing', () => {
    fc.assert(
      fc.property(labels, (pairs) => {
        const [a, b] = [pairs.map((p) => p[0]), pairs.map((p) => p[1])];
        expect(
          bCubed(
            a.map((x) => `c${x}`),
            b,
          ),
        ).toEqual(bCubed(a, b));
      }),
    );
  });

  test('lists of different length are refused with both lengths', () => {
    expect(() => bCubed([1, 2], [1])).toThrow('2 predicted, 1 true');
  });
});
