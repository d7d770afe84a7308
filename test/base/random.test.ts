import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';

describe('random', () => {
  test('the same keys give the same draws, other keys other draws', () => {
    const draws = (...keys: (number | string)[]) => Array.from({ length: 20 }, random(...keys).float);
    expect(draws(42, 'facility', 3)).toEqual(draws(42, 'facility', 3));
    expect(draws(42, 'facility', 3)).not.toEqual(draws(42, 'facility', 4));
    expect(draws(4, 23)).not.toEqual(draws(42, 3));
  });

  test('integers stay inside both ends and reach them', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: -20, max: 20 }), fc.nat(6), (seed, low, span) => {
        const { integer } = random(seed);
        const seen = new Set(Array.from({ length: 200 }, () => integer(low, low + span)));
        expect(Math.min(...seen)).toBe(low);
        expect(Math.max(...seen)).toBe(low + span);
      }),
    );
  });

  test('weighted draws follow their weights and never take a weight of zero', () => {
    const { weighted } = random(7);
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) counts[weighted([3, 0, 1])]! += 1;
    expect(counts[1]).toBe(0);
    expect(counts[0]! / 30_000).toBeCloseTo(0.75, 1);
  });

  test('shuffling keeps every item and leaves the list it was given', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.nat()), (seed, items) => {
        const before = [...items];
        expect([...random(seed).shuffle(items)].sort()).toEqual([...items].sort());
        expect(items).toEqual(before);
      }),
    );
  });
});
