import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Encoder } from '../../src/linkage/encode.ts';
import { compileLevels } from '../../src/linkage/kernel.ts';
import { prepareKernel } from '../../src/linkage/prepare.ts';
import { clinicalRecordSettings, referenceSettings } from '../../src/linkage/presets.ts';
import type { Condition, LinkageSettings } from '../../src/linkage/settings.ts';
import { decideLevels } from '../../src/linkage/sql-path.ts';
import { Database } from '../../src/sql/duckdb.ts';

const stems = [
  'Anna',
  'Anne',
  'ANNA',
  'José',
  'Jose',
  'Łukasz',
  '字',
  'Ng',
  'N',
  '',
  'Smith',
  'Smyth',
  'Smithson',
  '12 Oak Street',
  '12 Oak St',
  '21 Oak Street',
];
const text = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...stems) },
  // A slip of the pen: values that are near but not equal.
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(...stems), fc.nat(8), fc.constantFrom('a', 'é', 'n', ' '))
      .map(([stem, at, letter]) => stem.slice(0, at) + letter + stem.slice(at)),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 40 }).map((any) => any.replaceAll('\u0000', '')) },
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { freq: 6 });
const date = fc
  .tuple(fc.constantFrom(1950, 1951, 1960, 2001), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }))
  .map(([y, m, d]) => `${y}-${String(m).padStart(2, '0')}-${String(d).padStart(2, '0')}`);
const record = fc.record({
  first_name: maybe(text),
  last_name: maybe(text),
  maiden_name: maybe(text),
  address: maybe(text),
  address_canonical: maybe(text),
  city: maybe(text),
  city_canonical: maybe(text),
  zip: maybe(fc.constantFrom('02139', '02138', '00000', '1')),
  ssn: maybe(fc.constantFrom('999123456', '999123465', '999213465', '999999999')),
  gender: maybe(fc.constantFrom('F', 'M')),
  birthdate: maybe(date),
});
const columns = [
  'first_name',
  'last_name',
  'maiden_name',
  'address',
  'address_canonical',
  'city',
  'city_canonical',
  'zip',
  'ssn',
  'gender',
  'birthdate',
] as const;

const levels = (...conditions: Condition[]) => [
  ...conditions.map((condition) => ({ condition })),
  { condition: { kind: 'else' } as const },
];
/** Every kind of condition, and unknowns meeting and, or, not. */
const oddSettings: LinkageSettings = {
  linkType: 'dedupe_only',
  uniqueId: 'record_id',
  prior: 0.01,
  comparisons: [
    {
      name: 'jaro',
      levels: levels(
        { kind: 'exact', column: 'city' },
        { kind: 'jaro', column: 'city', atLeast: 0.8 },
        { kind: 'jaro', column: 'city', other: 'city_canonical', atLeast: 0.5 },
      ),
    },
    {
      name: 'edits',
      levels: levels(
        { kind: 'levenshtein', column: 'last_name', atMost: 1 },
        { kind: 'levenshtein', column: 'last_name', other: 'maiden_name', atMost: 2 },
        { kind: 'damerauLevenshtein', column: 'lower(last_name)', atMost: 3 },
      ),
    },
    {
      name: 'no null level',
      levels: levels({ kind: 'not', condition: { kind: 'exact', column: 'gender' } }, { kind: 'exact', column: 'zip' }),
    },
    {
      name: 'unknowns',
      levels: levels(
        {
          kind: 'and',
          conditions: [
            { kind: 'exact', column: 'gender' },
            { kind: 'not', condition: { kind: 'jaroWinkler', column: 'first_name', atLeast: 0.8 } },
          ],
        },
        {
          kind: 'or',
          conditions: [
            { kind: 'exact', column: 'ssn' },
            {
              kind: 'and',
              conditions: [
                { kind: 'null', column: 'ssn' },
                { kind: 'exact', column: 'zip' },
              ],
            },
          ],
        },
        {
          kind: 'not',
          condition: {
            kind: 'or',
            conditions: [
              { kind: 'exact', column: 'maiden_name' },
              { kind: 'difference', column: 'try_cast(zip as double)', atMost: 1 },
            ],
          },
        },
      ),
    },
    {
      name: 'gap',
      levels: levels(
        { kind: 'difference', column: 'try_cast(ssn as double)', atMost: 9 },
        { kind: 'difference', column: 'epoch(birthdate)', atMost: 0 },
      ),
    },
  ],
  blockingRules: [],
};

let db: Database;
beforeAll(async () => {
  db = await Database.open();
  const rows = fc.sample(record, { numRuns: 260, seed: 20 });
  await db.createTable('raw', {
    record_id: { type: 'VARCHAR', values: rows.map((_, n) => `r${String(n).padStart(4, '0')}`) },
    facility_id: { type: 'VARCHAR', values: rows.map((_, n) => `f${n % 3}`) },
    ...Object.fromEntries(columns.map((name) => [name, { type: 'VARCHAR' as const, values: rows.map((row) => row[name]) }])),
  });
  await db.run(`create table people as select * replace (cast(birthdate as date) as birthdate), year(cast(birthdate as date)) as birth_year,
    first_name as soundex_first_name, last_name as soundex_last_name from raw`);
});
afterAll(() => db.close());

describe('the level of a pair', () => {
  const models = { referenceSettings, clinicalRecordSettings, oddSettings };
  test.each(Object.entries(models))(
    '%s: is the one that DuckDB finds from the SQL, missing and non-ASCII values included',
    async (_, settings) => {
      const encoder = await Encoder.open(db, 'people', settings);
      const data = await prepareKernel(encoder, settings);
      const levelOf = compileLevels(data);
      const count = encoder.recordCount;
      const [left, right] = [new Int32Array((count * (count - 1)) / 2), new Int32Array((count * (count - 1)) / 2)];
      for (let a = 0, p = 0; a < count; a++) for (let b = a + 1; b < count; b++, p++) [left[p], right[p]] = [a, b];
      for (const [c, comparison] of settings.comparisons.entries()) {
        const theirs = await decideLevels(encoder, comparison, left, right);
        const ours = Uint8Array.from(left, (a, p) => levelOf[c]!(a, right[p]!));
        const differs = [...ours.keys()].filter((p) => ours[p] !== theirs[p]).slice(0, 3);
        expect(differs.map((p) => ({ comparison: comparison.name, pair: [left[p], right[p]], ours: ours[p], theirs: theirs[p] }))).toEqual(
          [],
        );
      }
      await encoder.close();
    },
  );
});
