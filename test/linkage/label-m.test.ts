// m from labels against Splink's (recipe: test/oracle/splink-sources/recipe.py).

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Labels } from '../../src/linkage/label-m.ts';
import { Linker } from '../../src/linkage/linker.ts';
import { gammasOf } from '../../src/linkage/settings.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { oracleModels } from '../oracle/splink/models.ts';

const oracle = resolve(import.meta.dirname, '../oracle');
const { settings } = oracleModels.custom!;

let db: Database;
beforeAll(async () => {
  db = await Database.open();
  await db.run(`create table people as select * from ${literal(join(oracle, 'splink/records.parquet'))}`);
});
afterAll(() => db.close());

async function labelledPairs(): Promise<Labels> {
  await db.run('create or replace table numbered as select record_id, row_number() over (order by record_id) - 1 as row from people');
  const pairs = await db.columns<{ left: Int32Array; right: Int32Array }>(
    `select least(l.row, r.row)::integer as "left", greatest(l.row, r.row)::integer as "right"
     from ${literal(join(oracle, 'splink-sources/labels.csv'))} join numbered l on l.record_id = record_id_l join numbered r on r.record_id = record_id_r`,
  );
  return pairs;
}

describe('m from labels', () => {
  type Found = Record<'column' | 'pairs', Record<string, Record<string, number>>>;
  const found = JSON.parse(readFileSync(join(oracle, 'splink-sources/label-m.json'), 'utf8')) as Record<string, Found>;
  const cases = Object.keys(found).flatMap((version) => (['column', 'pairs'] as const).map((kind) => ({ version, kind })));

  test.each(cases)('$version, by $kind: equal within 1e-9; levels that no pair is on are named', async ({ version, kind }) => {
    const labels = kind === 'column' ? { column: 'ssn' } : await labelledPairs();
    await using linker = await Linker.open({ db, table: 'people', settings });
    const { untrained, labelPairs, sessions } = await linker.train({ emRules: [], labels, samplePairs: 1000 });
    expect({ labelPairs, sessions }).toEqual({ labelPairs: kind === 'column' ? 668 : 200, sessions: [] });
    const theirs = found[version]![kind];
    const missing: string[] = [];
    for (const comparison of linker.settings.comparisons) {
      gammasOf(comparison).forEach((gamma, level) => {
        if (gamma < 0) return;
        const expected = theirs[comparison.name]?.[gamma];
        if (expected === undefined) missing.push(`${comparison.name}: level ${gamma}`);
        else expect(comparison.levels[level]!.m).toBeCloseTo(expected, 9);
      });
    }
    expect([...untrained]).toEqual(missing);
  });

  test('labels count as one more session beside EM', async () => {
    const plan = { emRules: [{ on: ['birthdate'] }], samplePairs: 1000 };
    const given = async (labels?: Labels) => {
      await using linker = await Linker.open({ db, table: 'people', settings });
      await linker.train({ ...plan, ...(labels ? { labels } : {}) });
      return linker.settings.comparisons[0]!.levels[1]!.m!;
    };
    const byLabels = found.splink5!.column.given!['3']!;
    expect(await given({ column: 'ssn' })).toBeCloseTo((byLabels + (await given())) / 2, 12);
  });

  test.each([
    { labels: { column: 'person' }, says: /column not found: person; table has: .*; labels are a column of the records/ },
    { labels: { column: 'record_id' }, says: /labels without a pair: no two records share a value of record_id/ },
    { labels: { left: new Int32Array(), right: new Int32Array() }, says: /labels without a pair/ },
  ])('$says', async ({ labels, says }) => {
    await using linker = await Linker.open({ db, table: 'people', settings });
    await expect(linker.train({ emRules: [], labels, samplePairs: 1000 })).rejects.toThrow(says);
  });
});
