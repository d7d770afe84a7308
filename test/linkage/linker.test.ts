import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Progress } from '../../src/base/progress.ts';
import type { Candidates } from '../../src/linkage/candidates.ts';
import { Linker } from '../../src/linkage/linker.ts';
import type { BlockingRule, Comparison, LinkageSettings } from '../../src/linkage/settings.ts';
import { readSplinkJson, ruleSql } from '../../src/linkage/splink-json.ts';
import type { TrainingPlan } from '../../src/linkage/training.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';

const oracle = resolve(import.meta.dirname, '../oracle/splink');
const model = (name: string) => readSplinkJson(JSON.parse(readFileSync(join(oracle, 'splink5', `${name}.model.json`), 'utf8')));
const folder = mkdtempSync(join(tmpdir(), 'clinfuse-linker-'));

let db: Database;
beforeAll(async () => {
  db = await Database.open();
  await db.run(`create table people as select * from ${literal(join(oracle, 'records.parquet'))}`);
  await db.run('create table shuffled as select * from people order by hash(record_id)');
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

async function predict(
  settings: LinkageSettings,
  options: { readonly table?: string; readonly threads?: number; readonly threshold?: number; readonly progress?: Progress } = {},
) {
  const { table = 'people', threshold = 1e-4, ...rest } = options;
  await using linker = await Linker.open({ db, table, settings, ...rest });
  // Awaited here: what is returned unawaited would run on a closed linker.
  return await linker.predict({ threshold });
}

/** What lies at or above a threshold, by hand. */
function filtered(all: Candidates, threshold: number): Candidates {
  const least = Math.log2(threshold / (1 - threshold));
  const pick = <T extends Int32Array | Float64Array | Uint8Array | Int8Array>(values: T) =>
    values.filter((_, p) => all.matchWeight[p]! >= least) as T;
  const left = pick(all.left);
  return {
    count: left.length,
    left,
    right: pick(all.right),
    matchWeight: pick(all.matchWeight),
    matchKey: pick(all.matchKey),
    gammas: all.gammas.map(pick),
  };
}

describe('prediction', () => {
  test.each(['reference', 'clinical', 'custom'])('%s: bounds drop no pair that scoring every pair would keep', async (name) => {
    const settings = model(name);
    const all = await predict(settings, { threshold: 0 });
    for (const threshold of [1e-6, 1e-4, 0.5, 0.999]) {
      const kept = await predict(settings, { threshold });
      expect(kept).toEqual(filtered(all, threshold));
      expect(kept.count).toBeGreaterThan(100);
    }
  });

  test.each(['reference', 'clinical', 'custom'])(
    '%s: every pair of every rule is scored once, under the first rule that finds it',
    async (name) => {
      const settings = model(name);
      const { count, left, right, matchKey } = await predict(settings, { threshold: 0 });
      const rules = settings.blockingRules.map((rule, r) => `when ${ruleSql(rule)} then ${r}`).join(' ');
      const apart = settings.linkType === 'link_only' ? `and l.${settings.source} <> r.${settings.source}` : '';
      const theirs = await db.columns<{ a: Int32Array; b: Int32Array; rule: Int32Array }>(`
      with numbered as (select *, (row_number() over (order by record_id) - 1)::integer as n from people)
      select * from (select l.n as a, r.n as b, cast(coalesce(case ${rules} end, -1) as integer) as rule from numbered l join numbered r on l.n < r.n ${apart})
      where rule >= 0 order by a, b`);
      expect(count).toBe(theirs.a.length);
      expect([left, right]).toEqual([theirs.a, theirs.b]);
      expect(Int32Array.from(matchKey)).toEqual(theirs.rule);
    },
  );

  test('one thread, two threads and shuffled rows give the same pairs, weights and levels', async () => {
    const wide = { ...model('clinical'), linkType: 'dedupe_only', blockingRules: [{ on: ['gender'] }, { on: ['zip'] }] } as const;
    const one = await predict(wide, { threads: 1 });
    expect(await predict(wide, { threads: 2 })).toEqual(one);
    expect(await predict(wide, { threads: 2, table: 'shuffled' })).toEqual(one);
    expect(one.count).toBeGreaterThan(500);
  });

  test('after a rest the same is found again; of a table only the columns that are asked for are kept', async () => {
    const settings = model('reference');
    await using linker = await Linker.open({ db, table: 'people', settings, columns: ['gender'] });
    const before = await linker.predict();
    await linker.rest();
    expect(await linker.predict()).toEqual(before);
    const kept = (await db.describe(linker.records)).map(({ name }) => name);
    expect(kept).toContain('gender');
    expect(kept).not.toContain('tags');
  });

  test('missing is no value: it joins no block, is no agreement and no disagreement', async () => {
    await db.run(
      `create or replace table few as select * from (values (1, 'Ann', 'Bonn'), (2, null, 'Bonn'), (3, null, 'Bonn'), (4, 'Bob', null), (5, 'Ann', null)) t(id, name, city)`,
    );
    const settings: LinkageSettings = {
      linkType: 'dedupe_only',
      uniqueId: 'id',
      prior: 0.5,
      comparisons: [nameComparison],
      blockingRules: [{ on: ['city'] }, { on: ['name'] }],
    };
    const { left, right, matchWeight, gammas } = await predict(settings, { table: 'few', threshold: 0 });
    const pairs = Array.from(left, (a, p) => [a + 1, right[p]! + 1, matchWeight[p], gammas[0]![p]]);
    // 1 and 2, 1 and 3, 2 and 3 share only the city: the name says nothing (weight 0). 4 and 5 share nothing at all.
    expect(pairs).toEqual([
      [1, 2, 0, -1],
      [1, 3, 0, -1],
      [1, 5, Math.log2(0.9 / 0.1), 1],
      [2, 3, 0, -1],
    ]);
  });

  test('link_only pairs no two records of one source', async () => {
    const settings = model('clinical');
    const facilities = (await db.columns<{ f: string[] }>('select facility_id as f from people order by record_id')).f;
    const { left, right, count } = await predict(settings, { threshold: 0 });
    expect(count).toBeGreaterThan(10_000);
    expect(left.some((a, p) => facilities[a] === facilities[right[p]!])).toBe(false);
  });

  test('counts what blocking will do before anything is compared, and tells progress in pairs', async () => {
    await using linker = await Linker.open({ db, table: 'people', settings: model('custom') });
    const counts = await linker.countPairs();
    const theirs = await Promise.all(
      linker.settings.blockingRules.map((rule) =>
        db.value<number>(`select count(*) from people l join people r on l.record_id < r.record_id and ${ruleSql(rule)}`),
      ),
    );
    expect(counts.map(({ pairs }) => pairs)).toEqual(theirs);
    expect(counts[0]).toMatchObject({ rule: 'ssn' });
    const sql = linker.settings.blockingRules.map(ruleSql);
    const added = await Promise.all(
      sql.map((rule, i) => {
        const earlier = sql.slice(0, i).map((one) => ` and not coalesce(${one}, false)`);
        return db.value<number>(`select count(*) from people l join people r on l.record_id < r.record_id and ${rule} ${earlier.join('')}`);
      }),
    );
    expect(await linker.countNewPairs()).toEqual(added);
    expect(added.reduce((sum, count) => sum + count, 0)).toBeLessThan(theirs.reduce((sum, count) => sum + count, 0));
    let done = 0;
    const progress: Progress = {
      step: () => ({
        advance: (amount) => {
          done += amount;
        },
        finish: () => {},
      }),
    };
    await predict(linker.settings, { progress });
    expect(done).toBe(theirs.reduce((sum, pairs) => sum + pairs, 0));
  });

  test('closing in the middle ends the work', async () => {
    const settings: LinkageSettings = { ...model('reference'), blockingRules: [{ on: ["coalesce(gender, 'x') is not null"] }] };
    let closed: Promise<void> | undefined;
    const progress: Progress = { step: () => ({ advance: () => void (closed ??= linker.close()), finish: () => {} }) };
    const linker = await Linker.open({ db, table: 'people', settings, progress, threads: 1 });
    await linker.predict({ threshold: 1e-9 }).catch(() => {});
    await closed;
    await expect(linker.predict()).rejects.toThrow();
  });
});

describe('writing pairs', () => {
  test.each(['reference', 'clinical', 'custom'])('%s: the Bayes factors written add up to the match weight', async (name) => {
    const settings = model(name);
    await using linker = await Linker.open({ db, table: 'people', settings });
    const file = join(folder, `${name}.parquet`);
    await linker.writePairs(await linker.predict(), file);
    const columns = (await db.describe(`${literal(file)}`)).map((column) => column.name);
    expect(columns).toEqual(expect.arrayContaining(['match_weight', 'match_probability', 'record_id_l', 'record_id_r', 'match_key']));
    const factors = settings.comparisons.flatMap(({ name: one, levels }) => [
      `bf_${one}`,
      ...(levels.some(({ termFrequency }) => termFrequency) ? [`bf_tf_adj_${one}`] : []),
    ]);
    const sum = factors.map((factor) => `log2(${factor})`).join(' + ');
    const prior = Math.log2(settings.prior / (1 - settings.prior));
    expect(await db.value<number>(`select max(abs(match_weight - (${prior} + ${sum}))) from ${literal(file)}`)).toBeLessThan(1e-9);
    expect(
      await db.value<number>(`select max(abs(match_probability - 1 / (1 + pow(2, -match_weight)))) from ${literal(file)}`),
    ).toBeLessThan(1e-12);
  });
});

const nameComparison: Comparison = {
  name: 'name',
  levels: [
    { condition: { kind: 'null', column: 'name' }, isNull: true },
    { condition: { kind: 'exact', column: 'name' }, m: 0.9, u: 0.1 },
    { condition: { kind: 'else' }, m: 0.1, u: 0.9 },
  ],
};

describe('training', () => {
  const settings: LinkageSettings = { linkType: 'dedupe_only', uniqueId: 'record_id', prior: 0.01, comparisons: [], blockingRules: [] };
  const fields = (...names: string[]): Comparison[] =>
    names.map((name) => ({
      name,
      levels: [
        { condition: { kind: 'null', column: name }, isNull: true },
        { condition: { kind: 'exact', column: name } },
        { condition: { kind: 'else' } },
      ],
    }));

  test('reports sessions plainly: what they trained, on how many pairs, and whether they converged', async () => {
    const untrained = { ...settings, comparisons: fields('first_name', 'last_name', 'zip'), maxIterations: 2 };
    await using linker = await Linker.open({ db, table: 'people', settings: untrained });
    const { sessions } = await linker.train({ emRules: [{ on: ['ssn'] }, { on: ['substr(zip, 1, 4)'] }] });
    expect(sessions[0]).toMatchObject({ rule: 'ssn', comparisons: ['first_name', 'last_name', 'zip'] });
    expect(sessions[1]).toMatchObject({
      rule: 'substr(zip, 1, 4)',
      comparisons: ['first_name', 'last_name'],
      iterations: 2,
      converged: false,
    });
    expect(sessions[1]!.lastChange).toBeGreaterThan(1e-4);
  });

  test('a comparison that no session trains is named and keeps the default', async () => {
    await using linker = await Linker.open({ db, table: 'people', settings: { ...settings, comparisons: fields('first_name', 'zip') } });
    expect((await linker.train({ emRules: [{ on: ['zip'] }] })).untrained).toEqual(['zip: level 1', 'zip: level 0']);
    expect(linker.settings.comparisons[1]!.levels[1]!.m).toBe(0.95);
  });

  test('fixed parameters stay, and training twice gives the same', async () => {
    const comparisons = fields('first_name', 'last_name', 'zip');
    const fixed = {
      ...comparisons[0]!,
      levels: comparisons[0]!.levels.map((level, l) => (l === 1 ? { ...level, m: 0.5, fixM: true, u: 0.25, fixU: true } : level)),
    };
    await using linker = await Linker.open({
      db,
      table: 'people',
      settings: { ...settings, comparisons: [fixed, ...comparisons.slice(1)] },
    });
    const plan: TrainingPlan = { emRules: [{ on: ['ssn'] }, { on: ['birthdate'] }] };
    await linker.train(plan);
    const once = linker.settings;
    expect(once.comparisons[0]!.levels[1]).toMatchObject({ m: 0.5, u: 0.25 });
    await linker.train(plan);
    expect(linker.settings).toEqual(once);
  });

  const em: readonly BlockingRule[] = [{ on: ['ssn'] }];
  test.each([
    [{ emRules: em, deterministicRules: em, recall: 0 }, 'linkage: recall not in (0, 1]: 0'],
    [
      { emRules: em, deterministicRules: [{ on: ['record_id'] }] },
      'linkage: deterministic rules find 0 of 825612 pairs: record_id; choose rules',
    ],
    [{ emRules: [{ on: ['record_id'] }] }, 'linkage: em rule has no pairs: record_id; choose another'],
    [{ emRules: [{ on: ['first_name', 'zip'] }] }, 'linkage: em rule leaves no comparison to train: first_name + zip; choose another'],
  ])('refuses a plan that cannot be carried out: %#', async (plan, message) => {
    await using linker = await Linker.open({ db, table: 'people', settings: { ...settings, comparisons: fields('first_name', 'zip') } });
    const all = (linker.recordCount * (linker.recordCount - 1)) / 2;
    await expect(linker.train(plan)).rejects.toThrow(message.replace('825612', String(all)));
  });
});

describe('bad input is one line', () => {
  const settings: LinkageSettings = {
    linkType: 'dedupe_only',
    uniqueId: 'id',
    prior: 0.01,
    comparisons: [nameComparison],
    blockingRules: [{ on: ['name'] }],
  };
  const withCondition = (sql: string): LinkageSettings => ({
    ...settings,
    comparisons: [{ name: 'odd', levels: [{ condition: { kind: 'sql', sql } }, { condition: { kind: 'else' } }] }],
  });
  const rows = "(values (1, 'Ann'), (2, 'Ann'), (3, 'Bob')) t(id, name)";

  test.each<{
    readonly what: string;
    readonly table?: string;
    readonly settings?: unknown;
    readonly code: string;
    readonly message: string;
  }>([
    {
      what: 'a column that does not exist',
      settings: { ...settings, blockingRules: [{ on: ['substr(nane, 1, 2)'] }] },
      code: 'linkage.column',
      message: 'linkage: column not found: nane; did you mean name?',
    },
    {
      what: 'duplicate ids',
      table: "(values (1, 'a'), (1, 'b'), (2, 'c')) t(id, name)",
      code: 'linkage.ids',
      message: "linkage: unique id not unique: id: 1 rows repeat another's; make it unique",
    },
    {
      what: 'missing ids',
      table: "(values (1, 'a'), (null, 'b'), (2, 'c')) t(id, name)",
      code: 'linkage.ids',
      message: 'linkage: unique id missing in 1 of 3 rows: id; every record needs one',
    },
    {
      what: 'an empty table',
      table: "(values (1, 'a')) t(id, name) where false",
      code: 'linkage.empty',
      message: 'linkage: table has no rows: bad_input; nothing to link',
    },
    {
      what: 'SQL that cannot be split',
      settings: withCondition("name_l = 'open"),
      code: 'linkage.sql',
      message: "linkage: sql cannot be read: name_l = 'open",
    },
    {
      what: 'SQL that does not parse',
      settings: withCondition('name_l name_r >'),
      code: 'linkage.sql',
      message: 'linkage: sql fails: odd: Parser Error',
    },
    {
      what: 'a function that does not exist',
      settings: withCondition('frob(name_l, name_r)'),
      code: 'linkage.sql',
      message: 'linkage: sql fails: odd: Catalog Error',
    },
    {
      what: 'SQL that fails on data, which is not repeated',
      settings: withCondition('cast(name_l as integer) = 1'),
      code: 'linkage.sql',
      message: 'linkage: sql fails: odd: Conversion Error while it was evaluated; mend the expression',
    },
    {
      what: 'a blocking rule that does not parse',
      settings: { ...settings, blockingRules: [{ on: ['substr(name, '] }] },
      code: 'linkage.sql',
      message: 'linkage: sql fails: substr("name",: Parser Error',
    },
    {
      what: 'two comparisons of one name',
      settings: { ...settings, comparisons: [nameComparison, nameComparison] },
      code: 'linkage.settings',
      message: 'linkage: comparison named twice: name; names must differ',
    },
    {
      what: 'no else level',
      settings: { ...settings, comparisons: [{ ...nameComparison, levels: nameComparison.levels.slice(0, 2) }] },
      code: 'linkage.settings',
      message: 'linkage: comparison without one last else level: name; end its levels with else',
    },
    {
      what: 'an unknown key',
      settings: { ...settings, blockingRule: [] },
      code: 'linkage.settings',
      message: 'linkage: settings: unknown key: "blockingRule"; see docs/linkage.md for the settings',
    },
    {
      what: 'a prior of 1',
      settings: { ...settings, prior: 1 },
      code: 'linkage.settings',
      message: 'linkage: settings.prior: not in (0, 1)',
    },
    {
      what: 'no source to link',
      settings: { ...settings, linkType: 'link_only' },
      code: 'linkage.settings',
      message: 'linkage: source column missing for link_only',
    },
    {
      what: 'rarity with nothing to measure it against',
      settings: {
        ...settings,
        comparisons: [
          {
            name: 'odd',
            levels: [
              { condition: { kind: 'jaro', column: 'name', atLeast: 0.9 }, termFrequency: { column: 'name' } },
              { condition: { kind: 'else' } },
            ],
          },
        ],
      },
      code: 'linkage.settings',
      message: 'linkage: comparison counts rarity without an exact level of the column: odd: name; add one, or say levelU',
    },
  ])('$what', async ({ table = rows, settings: given = settings, code, message }) => {
    await db.run(`create or replace table bad_input as select * from ${table}`);
    const fault = await predict(given as LinkageSettings, { table: 'bad_input' }).then(
      () => undefined,
      (thrown: Error & { readonly code?: string }) => thrown,
    );
    expect(fault?.message).toContain(message);
    expect(fault?.message).not.toContain('\n');
    expect(fault?.message).not.toContain('Ann');
    expect(fault?.code).toBe(code);
  });

  test('a table that does not exist', async () => {
    await expect(Linker.open({ db, table: 'nowhere', settings })).rejects.toThrow(/^linkage: table cannot be read: nowhere: [^\n]+$/);
  });

  test('a block that explodes is refused before it is scored', async () => {
    await using linker = await Linker.open({ db, table: 'people', settings: model('reference'), maxBlockPairs: 1000 });
    await expect(linker.predict()).rejects.toThrow('linkage: blocking rule explodes: ');
  });

  test('a table of one row has no pairs, and columns all missing neither', async () => {
    await db.run("create or replace table one as select 1 as id, 'Ann' as name");
    expect((await predict(settings, { table: 'one' })).count).toBe(0);
    await db.run('create or replace table nothing as select range as id, null::varchar as name from range(5)');
    expect((await predict(settings, { table: 'nothing' })).count).toBe(0);
    await using linker = await Linker.open({ db, table: 'one', settings });
    await expect(linker.train({ emRules: [{ on: ['name'] }] })).rejects.toThrow('linkage: em rule');
  });
});
