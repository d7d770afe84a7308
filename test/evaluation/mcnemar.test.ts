import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { mcnemarExact } from '../../src/evaluation/mcnemar.ts';

describe('McNemar’s exact test', () => {
  test.each([
    { name: 'the worked case', first: 1, second: 8, p: 20 / 512 },
    { name: 'no differing answers', first: 0, second: 0, p: 1 },
    { name: 'as many either way', first: 7, second: 7, p: 1 },
    { name: 'one side only', first: 0, second: 10, p: 2 / 1024 },
    { name: 'thousands do not overflow', first: 2000, second: 2000, p: 1 },
  ])('$name', ({ first, second, p }) => expect(mcnemarExact(first, second)).toBeCloseTo(p, 12));

  test('it is symmetric, a probability, and falls as the two drift apart', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), (a, b) => {
        const p = mcnemarExact(a, b);
        expect(p).toBeCloseTo(mcnemarExact(b, a), 12);
        expect(p).toBeGreaterThan(0);
        expect(p).toBeLessThanOrEqual(1);
        if (b >= a) expect(mcnemarExact(a, b + 1)).toBeLessThanOrEqual(p + 1e-12);
      }),
    );
  });
});
