// Several files, a source each: against Splink's answers (recipe: test/oracle/splink-sources/recipe.py), and files that do not fit together.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dedupe } from '../../../src/apps/linkage/dedupe.ts';
import { evaluate } from '../../../src/apps/linkage/evaluate.ts';
import { predict } from '../../../src/apps/linkage/predict.ts';
import { Database, literal } from '../../../src/sql/duckdb.ts';

const oracle = resolve(import.meta.dirname, '../../oracle/splink-sources');
const models = resolve(import.meta.dirname, '../../oracle/splink');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-sources-'));
const at = (name: string) => join(home, name);
const file = (source: string) => join(oracle, `${source}.parquet`);

let db: Database;
beforeAll(async () => {
  db = await Database.open();
});
afterAll(() => {
  db.close();
  rmSync(home, { recursive: true, force: true });
});

/** The trained custom model of a Splink version for a link type, as a file. */
function modelFile(version: string, linkType: string): string {
  const model = JSON.parse(readFileSync(join(models, version, 'custom.model.json'), 'utf8')) as object;
  const place = at(`${version}.${linkType}.json`);
  const names = { unique_id_column_name: 'unique_id', source_dataset_column_name: 'source_dataset' };
  writeFileSync(place, JSON.stringify({ ...model, link_type: linkType, ...names }));
  return place;
}

describe('the pairs that Splink finds between sources', () => {
  const cases = ['splink4', 'splink5'].flatMap((version) =>
    [
      { linkType: 'link_only', sources: 'ab' },
      { linkType: 'link_and_dedupe', sources: 'ab' },
      { linkType: 'link_only', sources: 'abc' },
    ].map((one) => ({ version, ...one })),
  );
  test.each(cases)('$version, $linkType of $sources: pairs, rules, levels and weights', async ({ version, linkType, sources }) => {
    const out = at('pairs.parquet');
    await predict({ files: [...sources].map(file), modelFile: modelFile(version, linkType), out, threshold: 1e-4 });
    const theirs = join(oracle, version, `${linkType}.${sources}.pairs.parquet`);
    const gammas = (await db.describe(literal(theirs))).map(({ name }) => name).filter((name) => name.startsWith('gamma_'));
    const ids = ['source_dataset_l', 'unique_id_l', 'source_dataset_r', 'unique_id_r'];
    const list = [...ids, 'match_key', ...gammas].join(', ');
    const said = (place: string) => db.rows(`select ${list} from ${literal(place)} order by all`);
    expect(await said(out)).toEqual(await said(theirs));
    const off = await db.value<number>(
      `select max(abs(o.match_weight - t.match_weight)) from ${literal(out)} o join ${literal(theirs)} t using (${ids.join(', ')})`,
    );
    expect(off).toBeLessThan(1e-9);
  });
});

describe('files united', () => {
  const level = (column: string) => [
    { sql_condition: `${column}_l is null or ${column}_r is null`, is_null_level: true },
    { sql_condition: `${column}_l = ${column}_r`, m_probability: 0.9, u_probability: 0.1 },
    { sql_condition: 'ELSE', m_probability: 0.1, u_probability: 0.9 },
  ];
  const settings = (more: object = {}) => {
    writeFileSync(
      at('settings.json'),
      JSON.stringify({
        link_type: 'link_only',
        unique_id_column_name: 'id',
        probability_two_random_records_match: 0.5,
        comparisons: ['name', 'zip'].map((column) => ({ output_column_name: column, comparison_levels: level(column) })),
        blocking_rules_to_generate_predictions: ['l.name = r.name', 'l.zip = r.zip'],
        ...more,
      }),
    );
    return at('settings.json');
  };
  const write = (name: string, text: string) => {
    mkdirSync(join(at(name), '..'), { recursive: true });
    writeFileSync(at(name), text);
    return at(name);
  };
  const link = (files: readonly string[], more: object = {}, log?: (line: string) => void) =>
    dedupe({
      files,
      settingsFile: settings(more),
      out: at('out.parquet'),
      threshold: 0.5,
      clusters: { file: at('clusters.parquet'), threshold: 0.5 },
      ...(log ? { log } : {}),
    });

  test('text wins over numbers, names of columns over their order and case; clusters name the source', async () => {
    await db.run(`copy (select 'Ann' as name, 1 as id, '01234' as zip, date '2020-01-02' as seen) to ${literal(at('a.parquet'))}`);
    await db.run(`copy (select 1234 as zip, 1 as id, 'Bob' as "Name") to ${literal(at('b.parquet'))}`);
    const c = write('c.csv', 'id,zip,name\n1,01234,Ann\n');
    await link([at('a.parquet'), at('b.parquet'), c]);
    const columns = 'source_dataset_l, id_l, source_dataset_r, id_r, zip_l';
    expect(await db.rows(`select ${columns} from ${literal(at('out.parquet'))}`)).toEqual([
      { source_dataset_l: 'a', id_l: '1', source_dataset_r: 'c', id_r: '1', zip_l: '01234' },
    ]);
    expect(await db.rows(`from ${literal(at('clusters.parquet'))}`)).toEqual([
      { cluster_id: 'a-__-1', source_dataset: 'a', id: '1' },
      { cluster_id: 'b-__-1', source_dataset: 'b', id: '1' },
      { cluster_id: 'a-__-1', source_dataset: 'c', id: '1' },
    ]);
  });

  test('a column that one file lacks is missing there, and that is said', async () => {
    const lines: string[] = [];
    const files = [write('a.csv', 'id,name,zip\n1,Ann,01234\n'), write('b.csv', 'id,name\n1,Ann\n')];
    await link(files, {}, (line) => lines.push(line));
    expect(lines).toEqual([`linkage: ${files[1]} has no column zip: missing for all its records`]);
    expect(await db.rows(`select gamma_zip from ${literal(at('out.parquet'))}`)).toEqual([{ gamma_zip: -1 }]);
  });

  test('evaluate reads the same files, and counts what no file of pairs holds as missed', async () => {
    const a = write('a.csv', 'id,name,zip,who\n1,Ann,01,x\n2,Ann,02,x\n3,Cyd,03,z\n');
    const b = write('b.csv', 'id,name,zip,who\n1,Ann,09,x\n2,Bob,03,y\n3,Dee,05,z\n4,Eve,06,\n');
    await link([a, b]);
    const options = { files: [a, b], labels: 'who', id: 'id' };
    const both = await evaluate({ ...options, clustersFile: at('clusters.parquet'), pairsFile: at('out.parquet') });
    expect(both).toMatchObject({ records: 6, unlabelled: 1, pairs: { pairs: 3, truePairs: 4, missed: 2 } });
    const { pairs } = await evaluate({ ...options, pairsFile: at('out.parquet'), linkOnly: true });
    // Ann of a twice with Ann of b are right; Cyd with Bob is not; Cyd is Dee.
    expect(pairs).toMatchObject({ pairs: 3, truePairs: 3, missed: 1, best: { recall: 2 / 3 } });
    expect(pairs!.table.at(0)).toMatchObject({ matchWeight: 0, truePositives: 2, falsePositives: 1, falseNegatives: 1 });
  });

  const rows = 'id,name,zip\n1,Ann,01234\n';
  test.each([
    {
      name: 'several files for dedupe_only',
      more: { link_type: 'dedupe_only' },
      says: /dedupe_only takes one file: 2 given; set link_type/,
    },
    { name: 'two files of one name', b: 'b/a.csv', says: /two files named a: the name is the source's; rename one/ },
    {
      name: 'one file without a source column',
      only: true,
      says: /column not found: source_dataset in .*a\.csv; .*or give a file for each source/,
    },
    {
      name: 'a source column in one file only',
      text: 'id,name,zip,source_dataset\n1,Ann,01234,x\n',
      says: /source column in some files only: .*missing in .*a\.csv/,
    },
    { name: 'ids repeated within a source', text: `${rows}1,Bob,0\n`, says: /unique id not unique: id: 1 rows repeat/ },
    { name: 'no id column in one file', text: 'key,name,zip\n1,Ann,01234\n', says: /column not found: id in .*b\.csv/ },
    {
      name: 'a file without rows, which leaves one source',
      text: 'id,name,zip\n',
      says: /link_only joins records of different sources, and source_dataset holds one/,
    },
    {
      name: 'a compared column that no file has',
      text: rows,
      more: { additional_columns_to_retain: ['sex'] },
      says: /column not found: sex/,
    },
    {
      name: 'an unknown source',
      only: true,
      a: 'id,name,zip,source_dataset\n1,Ann,01234,x\n2,Ann,01234,\n',
      says: /source missing in 1 of 2 rows: source_dataset/,
    },
  ] as readonly { name: string; more?: object; a?: string; b?: string; text?: string; only?: boolean; says: RegExp }[])(
    '$name: refused in one line',
    async ({ more, a, b, text, only, says }) => {
      const files = [write('a.csv', a ?? rows), ...(only ? [] : [write(b ?? 'b.csv', text ?? rows)])];
      const refused = link(files, more);
      await expect(refused).rejects.toThrow(says);
      await expect(refused).rejects.toHaveProperty('name', 'UserError');
    },
  );
});
