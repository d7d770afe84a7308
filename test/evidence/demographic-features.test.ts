import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { demographicFeatureNames, demographicFeatures } from '../../src/evidence/demographic-features.ts';
import { buildDemographics } from '../../src/evidence/demographics.ts';
import { Database } from '../../src/sql/duckdb.ts';
import { createRecords, type TestRecord } from './records-table.ts';

type Features = Readonly<Record<(typeof demographicFeatureNames)[number], number>>;

/** Features of each pair (i, j) asked for, among these records. */
async function compare(records: readonly TestRecord[], pairs: readonly (readonly [number, number])[] = [[0, 1]]): Promise<Features[]> {
  await using db = await Database.open({ threads: 1 });
  await createRecords(db, records);
  const width = demographicFeatureNames.length;
  const out = new Float32Array(pairs.length * width);
  const left = Int32Array.from(pairs, (pair) => pair[0]);
  const right = Int32Array.from(pairs, (pair) => pair[1]);
  demographicFeatures(await buildDemographics(db), left, right, 0, pairs.length, out);
  return pairs.map((_, p) => Object.fromEntries(demographicFeatureNames.map((name, f) => [name, out[p * width + f]!])) as Features);
}

describe('demographic features', () => {
  test.each<{ name: string; left: TestRecord; right: TestRecord; expected: Partial<Features> }>([
    {
      name: 'one typo in five letters',
      left: { first_name: 'Smith' },
      right: { first_name: 'Simth' },
      expected: { firstDistance: 1, firstRelative: 0.2 },
    },
    {
      name: 'case and accents do not differ',
      left: { last_name: 'JOSÉ' },
      right: { last_name: 'jose' },
      expected: { lastDistance: 0, lastSimilarity: 1 },
    },
    {
      name: 'a last name that was a maiden name, found from either side',
      left: { last_name: 'Jones', maiden_name: 'Smith' },
      right: { last_name: 'Smyth' },
      expected: { lastMaidenDistance: 1, maidenKnown: 1, maidenDistance: Number.NaN },
    },
    {
      name: 'missing is not a value',
      left: {},
      right: { ssn: '999112222', birthdate: '1961-03-12' },
      expected: { ssnDistance: Number.NaN, birthClass: Number.NaN, birthDays: Number.NaN, cityRarity: Number.NaN, fieldsKnown: 0 },
    },
    {
      name: 'two digits of an SSN swapped: one edit, two places',
      left: { ssn: '999112222' },
      right: { ssn: '991912222' },
      expected: { ssnDistance: 1, ssnUnequal: 2 },
    },
    {
      name: 'birth dates equal',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1961-03-12' },
      expected: { birthClass: 0, birthParts: 3 },
    },
    {
      name: 'a day apart',
      left: { birthdate: '1961-02-28' },
      right: { birthdate: '1961-03-01' },
      expected: { birthClass: 1, birthYears: 0 },
    },
    { name: 'day and month swapped', left: { birthdate: '1961-03-12' }, right: { birthdate: '1961-12-03' }, expected: { birthClass: 2 } },
    {
      name: 'year digits swapped',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1916-03-12' },
      expected: { birthClass: 3, birthYears: 45 },
    },
    { name: 'a month apart', left: { birthdate: '1961-03-12' }, right: { birthdate: '1961-04-11' }, expected: { birthClass: 4 } },
    {
      name: 'a year apart',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1962-03-12' },
      expected: { birthClass: 5, birthEdits: 1 },
    },
    {
      name: 'one part wrong',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1968-03-12' },
      expected: { birthClass: 6, birthParts: 2 },
    },
    {
      name: 'far apart',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1990-05-01' },
      expected: { birthClass: 9, birthParts: 0 },
    },
    {
      name: 'same house, other apartment',
      left: { address_canonical: '386 altenwerth orch unit 67' },
      right: { address_canonical: '386 altenwerth orch unit 6' },
      expected: { houseNumber: 1, apartment: 0, streetRelative: 0, addressDistance: 1 },
    },
    {
      name: 'another street, no apartments',
      left: { address_canonical: '12 oak st' },
      right: { address_canonical: '12 elm st' },
      expected: { houseNumber: 1, apartment: Number.NaN, streetRelative: 0.5 },
    },
  ])('$name', async ({ left, right, expected }) => {
    const [features] = await compare([left, right]);
    const found = Object.keys(expected).map((name) => [name, Number(features![name as keyof Features].toFixed(6))]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  test('rarity counts the others only, down to one in a thousand', async () => {
    const others = Array.from({ length: 1000 }, (_, i) => ({ first_name: i < 2 ? 'Ada' : `N${i}`, last_name: 'Doe' }));
    const [shared, unique] = await compare(
      [
        { first_name: 'Ada', last_name: 'Doe' },
        { first_name: 'Ada', last_name: 'Rare' },
        { first_name: 'Zoe', last_name: 'Rare' },
        { first_name: 'Zoe' },
        ...others,
      ],
      [
        [0, 1],
        [2, 3],
      ],
    );
    expect(shared!.firstRarity).toBeCloseTo(Math.log10(2 / 1002), 4);
    expect(unique!.firstRarity).toBeCloseTo(-3, 6);
  });

  test('swapping the two records changes nothing', async () => {
    const text = fc.option(fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', '1'), maxLength: 8 }), { nil: undefined });
    const record = fc
      .record({
        first_name: text,
        last_name: text,
        maiden_name: text,
        address_canonical: text,
        city_canonical: text,
        birthdate: fc.constantFrom(undefined, '1961-03-12', '1961-12-03', '1916-03-12'),
      })
      .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as TestRecord);
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 2, maxLength: 4 }), async (records) => {
        const [one, other] = await compare(records, [
          [0, 1],
          [1, 0],
        ]);
        expect(one).toEqual(other);
      }),
      { numRuns: 25 },
    );
  });
});
