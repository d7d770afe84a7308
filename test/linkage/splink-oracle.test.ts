// Splink's own models and answers (recipe: test/oracle/splink/recipe.py) against ours.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Linker } from '../../src/linkage/linker.ts';
import type { LinkageSettings } from '../../src/linkage/settings.ts';
import { parseRule, readSplinkJson, toSplinkJson } from '../../src/linkage/splink-json.ts';
import type { TrainingPlan } from '../../src/linkage/training.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { oracleModels } from '../oracle/splink/models.ts';

const folder = resolve(import.meta.dirname, '../oracle/splink');
const readModel = (version: string, name: string) =>
  readSplinkJson(JSON.parse(readFileSync(join(folder, version, `${name}.model.json`), 'utf8')));

/** Models made with Splink's library, on records of their own: how they are trained. */
const libraryTraining = JSON.parse(readFileSync(join(folder, 'library-training.json'), 'utf8')) as Record<
  string,
  { deterministic_rules: string[]; recall: number; em_rules: string[] }
>;
const isOurs = (name: string) => name in oracleModels;
const tableOf = (name: string) => (isOurs(name) ? 'people' : 'library_people');
const names = [...Object.keys(oracleModels), ...Object.keys(libraryTraining)];
const cases = ['splink4', 'splink5'].flatMap((version) => names.map((name) => ({ version, name })));

/** The model before training, and its training. */
function untrained(version: string, name: string): { readonly settings: LinkageSettings; readonly training: TrainingPlan } {
  if (isOurs(name)) {
    const { settings, training } = oracleModels[name]!;
    return { settings: readSplinkJson(toSplinkJson(settings)), training };
  }
  const trained = readModel(version, name);
  const comparisons = trained.comparisons.map((comparison) => ({
    ...comparison,
    levels: comparison.levels.map(({ m: _m, u: _u, ...level }) => level),
  }));
  const { deterministic_rules, recall, em_rules } = libraryTraining[name]!;
  return {
    settings: { ...trained, prior: 1e-4, comparisons },
    training: { deterministicRules: deterministic_rules.map(parseRule), recall, emRules: em_rules.map(parseRule) },
  };
}

let db: Database;
beforeAll(async () => {
  db = await Database.open();
  const records = literal(join(folder, 'records.parquet'));
  await db.run(`create table people as select * from ${records}`);
  const library = readFileSync(join(folder, 'library-records.sql'), 'utf8');
  await db.run(`create table library_people as ${library.replace("'records.parquet'", records)}`);
});
afterAll(() => db.close());

describe('given the parameters that Splink trained', () => {
  test.each(cases)('$version, $name: the same pairs, rules, levels and weights', async ({ version, name }) => {
    const settings = readModel(version, name);
    await using linker = await Linker.open({ db, table: tableOf(name), settings });
    const pairs = await linker.predict({ threshold: 1e-4 });
    const ids = (await db.columns<{ id: string[] }>(`select record_id as id from ${tableOf(name)} order by 1`)).id;
    const ours = new Map(
      Array.from({ length: pairs.count }, (_, p) => [
        `${ids[pairs.left[p]!]} ${ids[pairs.right[p]!]}`,
        { weight: pairs.matchWeight[p]!, said: [pairs.matchKey[p]!, ...pairs.gammas.map((gamma) => gamma[p]!)].join(' ') },
      ]),
    );
    const gammas = settings.comparisons.map((comparison) => `gamma_${comparison.name}`).join(`, ' ', `);
    const theirs = await db.columns<{ pair: string[]; weight: Float64Array; said: string[] }>(
      `select concat(record_id_l, ' ', record_id_r) as pair, match_weight as weight, concat(match_key, ' ', ${gammas}) as said
       from ${literal(join(folder, version, `${name}.pairs.parquet`))}`,
    );
    expect([...ours.keys()].sort()).toEqual([...theirs.pair].sort());
    expect(theirs.pair.map((pair) => ours.get(pair)!.said)).toEqual(theirs.said);
    expect(Math.max(...theirs.pair.map((pair, p) => Math.abs(ours.get(pair)!.weight - theirs.weight[p]!)))).toBeLessThan(1e-9);
  });
});

/** Models as trained here; ours are the same for both versions, and trained once. */
const trained = new Map<string, Promise<{ readonly settings: LinkageSettings; readonly recordCount: number }>>();

async function train(version: string, name: string) {
  const { settings, training } = untrained(version, name);
  await using linker = await Linker.open({ db, table: tableOf(name), settings });
  // More than there are pairs, as in the recipe: all are counted, u has no sampling error.
  await linker.train({ ...training, minimumM: 1e-12, samplePairs: 1e8 });
  return { settings: linker.settings, recordCount: linker.recordCount };
}

describe('trained here and by Splink on the same records', () => {
  test.each(cases)('$version, $name: prior and u equal, m within 1e-5', async ({ version, name }) => {
    const theirs = readModel(version, name);
    const key = isOurs(name) ? name : `${version}/${name}`;
    if (!trained.has(key)) trained.set(key, train(version, name));
    const { settings, recordCount } = await trained.get(key)!;
    expect(settings.prior).toBeCloseTo(theirs.prior, 12);
    const halfAPair = 2 / (recordCount * (recordCount - 1));
    const off = settings.comparisons.flatMap((comparison, c) =>
      comparison.levels.flatMap((level, l) => {
        const other = theirs.comparisons[c]!.levels[l]!;
        // A level that no pair is on has no u in Splink's model, and half a pair's in ours: the others' then differ by as little.
        const ratio = other.u === undefined || level.isNull ? 1 : level.u! / other.u;
        const gap = other.m === undefined || level.isNull ? 0 : Math.abs(level.m! - other.m);
        return Math.abs(ratio - 1) > halfAPair || gap > 1e-5
          ? [{ name: comparison.name, level: l, ours: [level.m, level.u], theirs: [other.m, other.u] }]
          : [];
      }),
    );
    expect(off).toEqual([]);
  });
});
