import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { addYears, chooseLookAlikes, type Life, wantedPairs } from '../../src/synth/look-alikes.ts';
import { segmentSettings } from '../../src/synth/settings.ts';

const lastDay = '2026-01-01';

describe('look-alikes', () => {
  test.each([
    ['2000-02-29', 1, '2001-02-28'],
    ['2000-02-29', 4, '2004-02-29'],
    ['1999-12-31', -5, '1994-12-31'],
    ['1872-02-29', 28, '1900-02-28'],
  ])('%s and %d years is %s', (date, years, expected) => {
    expect(addYears(date, years)).toBe(expected);
  });

  test.each([
    { patients: 2954, pct: 5, pairs: 0, wanted: 148 },
    { patients: 50, pct: 5, pairs: 0, wanted: 2 },
    { patients: 70, pct: 5, pairs: 0, wanted: 4 },
    { patients: 100, pct: 0, pairs: 7, wanted: 7 },
  ])('$pct % of $patients patients are $wanted pairs, a half rounded to even', ({ patients, pct, pairs, wanted }) => {
    expect(wantedPairs(patients, segmentSettings.parse({ confusable_pct: pct, confusable_pairs: pairs }))).toBe(wanted);
  });

  const population = fc.array(fc.tuple(fc.integer({ min: 1920, max: 2024 }), fc.nat(90)), { minLength: 2, maxLength: 80 });

  test('every target has a possible life, nobody is in two pairs, and offsets fit the kind', () => {
    fc.assert(
      fc.property(population, fc.nat(), (people, seed) => {
        const lives = new Map(
          people.map(([born, age], i): [string, Life] => {
            const seen = `${Math.min(2025, born + age)}-06-01`;
            return [`p${i}`, { patient: `p${i}`, birthdate: `${born}-03-04`, firstSeen: seen }];
          }),
        );
        const weights = segmentSettings.parse({}).lookAlikeWeights;
        const options = { wanted: 10, members: [[...lives.keys()], [...lives.keys()].slice(1)], lives, lastDay, seed, weights };
        const pairs = chooseLookAlikes(options);
        expect(chooseLookAlikes({ ...options, members: options.members.map((list) => [...list].reverse()) })).toEqual(pairs);
        const everyone = pairs.flatMap(({ source, target }) => [source, target]);
        expect(new Set(everyone).size).toBe(everyone.length);
        for (const { source, target, type, birthdate } of pairs) {
          expect(source < target).toBe(true);
          expect(birthdate <= lives.get(target)!.firstSeen && birthdate <= lastDay).toBe(true);
          const years = Number(birthdate.slice(0, 4)) - Number(lives.get(source)!.birthdate.slice(0, 4));
          if (type === 'twin') expect(years).toBe(0);
          if (type === 'sibling') expect([1, 2, 3, 4, 5]).toContain(Math.abs(years));
          if (type === 'parent_child') expect([25, 26, 27, 28, 29, 30]).toContain(years);
        }
      }),
      { numRuns: 50 },
    );
  });
});
