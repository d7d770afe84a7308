import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { birthYears, implyBirth, learnAges } from '../../src/evidence/implied-age.ts';
import { buildProfiles } from '../../src/evidence/profile.ts';
import { clinicalDatabase, moment } from './clinical-tables.ts';

const firstYear = 1908;

describe('implied birth year', async () => {
  // 80 people born from 1908 on; a child's vaccine before the first birthday, a colonoscopy about 50, a shot at any age.
  const draw = random(1);
  const people = Array.from({ length: 80 }, (_, i) => ({ id: `p${String(i).padStart(2, '0')}`, born: firstYear + draw.float() * 60 }));
  const monthAt = (year: number) => Math.floor(((year - 1970) * 365.25) / 30);
  await using db = await clinicalDatabase({
    patients: people.map(({ id }) => ({ facility: 1, Id: id })),
    immunizations: people.flatMap(({ id, born }, i) => [
      ...(i % 4 < 2 ? [{ facility: 1, PATIENT: id, CODE: 119, DATE: moment(monthAt(born + 0.4), 0.5) }] : []),
      { facility: 1, PATIENT: id, CODE: 140, DATE: moment(monthAt(born + draw.float() * 60), 0.5) },
    ]),
    procedures: people.flatMap(({ id, born }, i) =>
      i % 4 === 2 ? [{ facility: 1, PATIENT: id, CODE: 73761001, START: moment(monthAt(born + 50 + 5 * draw.float()), 0.5) }] : [],
    ),
  });
  const profiles = await buildProfiles(db);
  const statistics = learnAges(
    profiles,
    Float32Array.from(people, ({ born }) => born),
    { leastRecords: 5 },
  );
  const { mean, probability } = implyBirth(profiles, statistics);
  const errors = (kind: readonly number[]) =>
    people.flatMap(({ born }, i) => (kind.includes(i % 4) ? Math.abs(mean[i]! - born) : [])).sort((a, b) => a - b);

  test("an infant's vaccine tells the year, a colonoscopy the decade, an influenza shot hardly anything", () => {
    const middle = (list: readonly number[]) => list[Math.floor(list.length / 2)]!;
    expect(middle(errors([0, 1]))).toBeLessThan(5);
    expect(middle(errors([2]))).toBeLessThan(6);
    expect(middle(errors([3]))).toBeGreaterThan(6);
  });

  test('each record has a distribution over birth years', () => {
    for (let record = 0; record < people.length; record++) {
      const shares = probability.slice(record * birthYears, (record + 1) * birthYears);
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 4);
    }
  });

  test('a record without facts implies nothing', () => {
    expect(implyBirth(profiles, { ...statistics, facts: {} }).mean.every((year) => Number.isNaN(year))).toBe(true);
  });
});
