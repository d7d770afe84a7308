import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Linker } from '../../src/linkage/linker.ts';
import type { BlockingRule, LinkageSettings } from '../../src/linkage/settings.ts';
import { parseRule, ruleSql } from '../../src/linkage/splink-json.ts';
import { Database } from '../../src/sql/duckdb.ts';

let db: Database;
beforeAll(async () => void (db = await Database.open()));
afterAll(() => db.close());

/** Every pair passes: what is left is what the rules find. */
const settings = (blockingRules: readonly BlockingRule[], linkType: LinkageSettings['linkType']): LinkageSettings => ({
  linkType,
  uniqueId: 'id',
  ...(linkType === 'dedupe_only' ? {} : { source: 'source' }),
  prior: 0.1,
  comparisons: [
    {
      name: 'a',
      levels: [
        { condition: { kind: 'exact', column: 'a' }, m: 0.9, u: 0.1 },
        { condition: { kind: 'else' }, m: 0.1, u: 0.9 },
      ],
    },
  ],
  blockingRules,
});

const rules: readonly BlockingRule[] = [
  { on: ['a'] },
  { on: ['a', 'b'] },
  parseRule('l.a = r.a and levenshtein(l.b, r.b) <= 1'),
  parseRule('l.a = r.a and l.b <> r.b'),
  parseRule('l.a = r.a and abs(l.n - r.n) <= 1 and not (l.b = r.b)'),
  parseRule('l.a = r.b'),
  parseRule('l.a = r.b and l.b = r.a'),
  parseRule('l.a = r.a or l.b = r.b'),
  parseRule('jaro_winkler_similarity(l.a, r.a) >= 0.8'),
  parseRule('l.n < r.n and substr(l.a, 1, 1) = substr(r.a, 1, 1)'),
  { on: ['tags'], explode: ['tags'] },
  { ...parseRule('l.tags = r.tags and l.n = r.n'), explode: ['tags'] },
  { ...parseRule('l.tags = r.tags and l.more = r.more'), explode: ['tags', 'more'] },
];

/** The same rules asked of DuckDB by themselves, each pair under the first that finds it. */
async function expected(asked: readonly BlockingRule[], linkType: LinkageSettings['linkType']): Promise<number[][]> {
  const found = asked.map((rule, place) => {
    const exploded = rule.explode ?? [];
    const from = `(select * exclude (tags, more), ${['tags', 'more']
      .map((name) => (exploded.includes(name) ? `e_${name} as ${name}` : name))
      .join(', ')} from numbered ${exploded.map((name) => `, unnest(numbered.${name}) u_${name}(e_${name})`).join(' ')})`;
    const ofTwo = linkType === 'link_only' ? 'and l.source <> r.source' : '';
    return `select l.row as a, r.row as b, ${place} as rule from ${from} l, ${from} r where l.row < r.row ${ofTwo} and (${ruleSql(rule)})`;
  });
  const rows = await db.rows<{ a: number; b: number; rule: number }>(
    `with numbered as (select *, row_number() over (order by ${linkType === 'dedupe_only' ? 'id' : "concat(source, '-__-', id)"}) - 1 as row from people)
     select a, b, min(rule) as rule from (${found.join(' union all ')}) group by a, b order by a, b`,
  );
  return rows.map(({ a, b, rule }) => [a, b, rule]);
}

test('rules with conditions, crossed columns and exploded arrays find what DuckDB finds, in any order and for any link type', async () => {
  const word = fc.option(fc.constantFrom('ann', 'anna', 'bob', 'bo', ''), { nil: null });
  const list = fc.option(fc.array(fc.constantFrom('x', 'y', 'z'), { maxLength: 3 }), { nil: null });
  const record = fc.record({
    a: word,
    b: word,
    n: fc.option(fc.nat(3), { nil: null }),
    tags: list,
    more: list,
    source: fc.constantFrom('p', 'q'),
  });
  const value = (one: unknown): string =>
    one === null
      ? 'null'
      : Array.isArray(one)
        ? `[${one.map(value).join(', ')}]::varchar[]`
        : typeof one === 'string'
          ? `'${one}'`
          : String(one);
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 2, maxLength: 14 }),
      fc.uniqueArray(fc.nat(rules.length - 1), { minLength: 1, maxLength: 4 }),
      fc.constantFrom('dedupe_only', 'link_only', 'link_and_dedupe' as const),
      async (records, chosen, linkType) => {
        const rows = records.map((one, i) => `(${i}, ${[one.a, one.b, one.n, one.tags, one.more, one.source].map(value).join(', ')})`);
        await db.run(`create or replace table people as select id, a::varchar as a, b::varchar as b, n::integer as n, tags::varchar[] as tags,
          more::varchar[] as more, source from (values ${rows.join(', ')}) t(id, a, b, n, tags, more, source)`);
        const asked = chosen.map((rule) => rules[rule]!);
        await using linker = await Linker.open({ db, table: 'people', settings: settings(asked, linkType as LinkageSettings['linkType']) });
        const { left, right, matchKey } = await linker.predict({ threshold: 0 });
        const found = Array.from(left, (a, p) => [a, right[p]!, matchKey[p]!]);
        expect(found).toEqual(await expected(asked, linkType as LinkageSettings['linkType']));
      },
    ),
    { numRuns: 40 },
  );
});

test('a sample of pairs is the same for any threads and order, and about as large as asked for', async () => {
  await db.run("create or replace table people as select i as id, 'x' as a, i % 7 as n from range(2000) t(i)");
  const trained = async (threads: number) => {
    await using linker = await Linker.open({ db, table: 'people', settings: settings([], 'dedupe_only'), threads });
    const { sessions } = await linker.train({ emRules: [{ on: ['n'] }], maxPairs: 20_000 });
    return sessions[0]!;
  };
  const [one, two] = [await trained(1), await trained(2)];
  expect(two).toEqual(one);
  expect(Math.abs(one.pairs - 20_000)).toBeLessThan(600);
});

test('a rule without an equality is refused where it would look at all pairs of a large table', async () => {
  await db.run("create or replace table people as select i as id, 'x' || i as a from range(30000) t(i)");
  await using linker = await Linker.open({
    db,
    table: 'people',
    settings: settings([parseRule('levenshtein(l.a, r.a) <= 1')], 'dedupe_only'),
  });
  await expect(linker.predict()).rejects.toThrow(
    'linkage: blocking rule without an equality: where levenshtein(l.a, r.a) <= 1; all pairs of 30,000 records are too many, add l.X = r.X',
  );
});
