// Each kind of level over lists, arrays, numbers and places says of every pair what DuckDB says: true, false or unknown.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { conditionSql, parseCondition } from '../../src/linkage/conditions.ts';
import { Encoder } from '../../src/linkage/encode.ts';
import { compileLevels } from '../../src/linkage/kernel.ts';
import { prepareKernel } from '../../src/linkage/prepare.ts';
import { type LinkageSettings, needsSql, parseSettings } from '../../src/linkage/settings.ts';
import { decideLevels } from '../../src/linkage/sql-path.ts';
import { Database } from '../../src/sql/duckdb.ts';

/** The text a column is made from; lists are joined by |, null inside is ~, the empty list is !. */
const columns: Readonly<Record<string, string>> = {
  name: 'name',
  sex: 'sex',
  tags: '{list}::varchar[]',
  names: '{list}::varchar[]',
  scores: '{list}::double[]',
  single: '{list}::float[3]',
  double: '{list}::double[4]',
  price: '{value}::double',
  float_price: '{value}::float',
  decimal_price: '{value}::decimal(9, 2)',
  age: '{value}::integer',
  born: '{value}::date',
  lat: '{value}::double',
  long: '{value}::double',
  float_long: '{value}::float',
  decimal_long: '{value}::decimal(6, 3)',
};
const maybe = (arbitrary: fc.Arbitrary<string>) => fc.option(arbitrary, { freq: 8 });
const listOf = (element: fc.Arbitrary<string>, { minLength = 0, maxLength = 5 } = {}) =>
  fc.array(element, { minLength, maxLength }).map((values) => (values.length ? values.join('|') : '!'));
const word = fc.oneof(
  fc.constantFrom('Anna', 'Anne', 'Hanna', 'José', 'Jose', 'Łukasz', '字', 'N', 'Smith', 'Smyth', 'Smithson-Ng', 'ab', 'ba'),
  fc.string({ unit: fc.constantFrom('a', 'b', 'é', 'n', ' ', '字', 'A'), minLength: 1, maxLength: 40 }),
);
const money = fc.constantFrom('0', '-0.0', '0.1', '0.2', '0.3', '0.4', '1', '1.1', '9.99', '10', '-5', '-5.5', '99.5', '1000');
const degrees = fc.oneof(
  fc.constantFrom('0', '42.36', '42.361', '42.37', '-33.9'),
  fc.integer({ min: -89_999, max: 89_999 }).map((n) => `${n / 1000}`),
);
const record = fc.record({
  name: maybe(word),
  sex: maybe(fc.constantFrom('F', 'M')),
  tags: maybe(listOf(fc.constantFrom('a', 'b', 'c', 'é', '字', '', '~', 'x y'))),
  names: maybe(listOf(fc.oneof(word, fc.constantFrom('', '~')), { maxLength: 3 })),
  scores: maybe(listOf(fc.constantFrom('1', '2', '0', '-0.0', 'nan', 'inf', '~'))),
  single: maybe(listOf(fc.float({ noNaN: true, min: -2, max: 2 }).map(String), { minLength: 3, maxLength: 3 })),
  double: maybe(
    fc.oneof(
      listOf(fc.double({ noNaN: true, min: -2, max: 2 }).map(String), { minLength: 4, maxLength: 4 }),
      fc.constantFrom('0|0|0|0', '1|0|0|0', '2|0|0|0', '1|2|nan|3'),
    ),
  ),
  price: maybe(fc.oneof(money, fc.constantFrom('nan', 'inf', '-inf'))),
  float_price: maybe(fc.oneof(money, fc.constantFrom('nan', 'inf'))),
  decimal_price: maybe(money),
  age: maybe(fc.integer({ min: -3, max: 40 }).map(String)),
  born: maybe(fc.constantFrom('1950-01-01', '1950-01-02', '1950-02-01', '1951-01-01', '2000-02-29')),
  lat: maybe(fc.oneof(degrees, fc.constant('nan'))),
  long: maybe(degrees),
  float_long: maybe(degrees),
  decimal_long: maybe(degrees),
});

const distance = (lat: string, long: string, km: number) =>
  conditionSql({ kind: 'distanceKm', latitude: lat, longitude: long, atMost: km });
const pairwise = (measure: 'jaro' | 'jaroWinkler', atLeast: number) =>
  conditionSql({ kind: 'pairwise', measure, column: 'names', atLeast });
const nearest = (measure: 'levenshtein' | 'damerauLevenshtein', atMost: number) =>
  conditionSql({ kind: 'pairwise', measure, column: 'names', atMost });
const percentage = (column: string, below: number) => conditionSql({ kind: 'percentageDifference', column, below });
const subset = (column: string, emptyIsSubset: boolean) => conditionSql({ kind: 'arraySubset', column, emptyIsSubset });
const conditions = [
  ...[0, 0.3, 0.5, 1].map((t) => `jaccard(name_l, name_r) >= ${t}`),
  ...[0, 1, 2, 3].map((n) => `array_length(list_intersect(tags_l, tags_r)) >= ${n}`),
  'len(list_intersect(tags_l, names_r)) >= 1',
  'array_length(list_intersect(scores_l, scores_r)) >= 2',
  "array_length(list_intersect(string_split(name_l, 'n'), string_split(name_r, 'n'))) >= 1",
  subset('tags', false),
  subset('tags', true),
  subset('scores', false),
  ...[0.3, 0.75, 0.9, 1].flatMap((t) => [pairwise('jaro', t), pairwise('jaroWinkler', t)]),
  ...[0, 1, 3].flatMap((k) => [nearest('levenshtein', k), nearest('damerauLevenshtein', k)]),
  ...[0, 0.3, 0.8, 1].flatMap((t) => ['single', 'double'].map((v) => `array_cosine_similarity(${v}_l, ${v}_r) >= ${t}`)),
  ...['price', 'float_price', 'decimal_price', 'age'].flatMap((p) => [
    ...[0, 0.1, 0.2, 9.89].map((t) => `abs(${p}_l - ${p}_r) <= ${t}`),
    ...[0, 0.1, 0.5, 1].map((t) => percentage(p, t)),
  ]),
  'abs(age_l - price_r) <= 3',
  'abs((age_l + 2 * price_l) - (age_r + 2 * price_r)) <= 3',
  percentage('age + price', 0.2),
  distance('lat', 'long + 0.5 - 1', 60),
  'abs(float_price_l - decimal_price_r) <= 0.1',
  'abs(price_l - float_price_r) <= 0.1',
  'abs(decimal_price_l - age_r) <= 0.4',
  'abs(born_l - born_r) <= 31',
  "abs(epoch(try_strptime(cast(born_l as text), '%Y-%m-%d')) - epoch(try_strptime(cast(born_r as text), '%Y-%m-%d'))) <= 86400",
  ...[0, 0.05, 1, 150, 2500, 10_007.5, 20_016].map((km) => distance('lat', 'long', km)),
  distance('lat', 'float_long', 60),
  distance('lat', 'decimal_long', 60),
  "(lat_r is not null and lat_l is not null and long_l is not null and long_r is not null) and sex_l = 'F'",
  "sex_l = 'F' and sex_r = 'F'",
  'sex_l is null',
  'age_r between 3 and 9 or age_l in (1, 2, null)',
  'length(name_r) < 5',
];

let db: Database;
beforeAll(async () => {
  db = await Database.open();
  const rows = fc.sample(record, { numRuns: 110, seed: 31 });
  await db.createTable('raw', {
    id: { type: 'INTEGER', values: rows.map((_, n) => n) },
    ...Object.fromEntries(
      Object.keys(columns).map((name) => [name, { type: 'VARCHAR' as const, values: rows.map((row) => row[name as 'name']) }]),
    ),
  });
  const made = Object.entries(columns).map(([name, type]) => {
    const list = `case when ${name} = '!' then [] else [nullif(e, '~') for e in string_split(${name}, '|')] end`;
    return `(${type.replace('{list}', `(${list})`).replace('{value}', name)}) as ${name}`;
  });
  await db.run(`create table people as select id, ${made.join(', ')} from raw`);
});
afterAll(() => db.close());

/** Levels of all pairs, by the kernel and by DuckDB. */
async function bothWays(levels: LinkageSettings['comparisons'][number]['levels']) {
  const settings = parseSettings({
    linkType: 'dedupe_only',
    uniqueId: 'id',
    prior: 0.01,
    comparisons: [{ name: 'one', levels }],
    blockingRules: [],
  });
  const encoder = await Encoder.open(db, 'people', settings);
  const [levelOf] = compileLevels(await prepareKernel(encoder, settings));
  const count = encoder.recordCount;
  const left = Int32Array.from({ length: count * count }, (_, p) => Math.floor(p / count));
  const right = Int32Array.from({ length: count * count }, (_, p) => p % count);
  const theirs = await decideLevels(encoder, settings.comparisons[0]!, left, right);
  await encoder.close();
  return { ours: left.map((a, p) => levelOf!(a, right[p]!)), theirs, left, right };
}

const otherwise = { condition: { kind: 'else' } } as const;

describe('a level of the kernel', () => {
  test.each(conditions.map((sql) => [sql.length > 110 ? `${sql.slice(0, 60)} ... ${sql.slice(-45)}` : sql, sql]))('%s', async (_, sql) => {
    const condition = parseCondition(sql!);
    expect(needsSql(condition)).toBe(false);
    const { ours, theirs, left, right } = await bothWays([{ condition }, { condition: { kind: 'not', condition } }, otherwise]);
    const differs = [...ours.keys()].filter((p) => ours[p] !== theirs[p]);
    const seen = differs.slice(0, 3).map((p) => ({ pair: [left[p], right[p]], ours: ours[p], theirs: theirs[p] }));
    expect({ differs: differs.length, seen }).toEqual({ differs: 0, seen: [] });
  });

  test('may be kept by an earlier one from records it cannot be asked of', async () => {
    const guard = parseCondition("name_l is null or regexp_matches(name_l, '[^0-9]')");
    const { ours, theirs } = await bothWays([
      { condition: guard },
      { condition: parseCondition('cast(name_l as integer) > 3') },
      otherwise,
    ]);
    expect(ours).toEqual(Int32Array.from(theirs));
  });
});
