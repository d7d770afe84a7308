import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Linker } from '../../src/linkage/linker.ts';
import { readSplinkJson } from '../../src/linkage/splink-json.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const oracle = resolve(import.meta.dirname, '../oracle/splink');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-link-'));
const at = (name: string) => join(home, name);
const people = join(oracle, 'records.parquet');
const trained = join(oracle, 'splink5', 'custom.model.json');
const untrained = join(oracle, 'models', 'custom.json');

let db: Database;
beforeAll(async () => {
  db = await Database.open();
});
afterAll(() => {
  db.close();
  rmSync(home, { recursive: true, force: true });
});

function link(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'link', ...words, '--quiet'], { cwd: home, encoding: 'utf8' });
  return { status, stdout, stderr };
}

const pairsOf = (file: string) =>
  db.rows<{ l: string; r: string; weight: number }>(
    `select cast(id_l as varchar) as l, cast(id_r as varchar) as r, match_weight as weight
     from (select columns('.*_id_l') as id_l, columns('.*_id_r') as id_r, match_weight from ${literal(file)}) order by 1, 2`,
  );

/** A model over text alone, untrained, with its training block. */
const textModel = {
  ...(JSON.parse(readFileSync(untrained, 'utf8')) as object),
  blocking_rules_to_generate_predictions: ['l.ssn = r.ssn', 'l.last_name = r.last_name and substr(l.zip, 1, 3) = substr(r.zip, 1, 3)'],
  comparisons: ['first_name', 'last_name', 'zip', 'ssn'].map((column) => ({
    output_column_name: column,
    comparison_levels: [
      { sql_condition: `${column}_l is null or ${column}_r is null`, is_null_level: true },
      { sql_condition: `${column}_l = ${column}_r` },
      { sql_condition: `levenshtein(${column}_l, ${column}_r) <= 2` },
      { sql_condition: 'ELSE' },
    ],
  })),
  training: {
    deterministic_rules: ['l.ssn = r.ssn'],
    recall: 0.8,
    u_max_pairs: 1e5,
    em_rules: ['l.ssn = r.ssn', 'l.last_name = r.last_name'],
  },
};

/** The same comparisons with parameters. */
const given = textModel.comparisons.map((comparison) => ({
  ...comparison,
  comparison_levels: comparison.comparison_levels.map((level) => ({ ...level, m_probability: 0.5, u_probability: 0.1 })),
}));

describe('link dedupe', () => {
  test('writes the pairs that the library finds, by Splink’s names, and their clusters', async () => {
    const settings = readSplinkJson(JSON.parse(readFileSync(trained, 'utf8')));
    const { status, stdout } = link(
      ...['dedupe', '--in', people, '--settings', trained, '--out', 'pairs.parquet', '--json'],
      ...['--clusters', 'clusters.parquet', '--cluster-threshold', '0.9'],
    );
    expect(status).toBe(0);
    await db.run(`create or replace table people as from ${literal(people)}`);
    await using linker = await Linker.open({ db, table: 'people', settings });
    const pairs = await linker.predict({ threshold: 1e-4 });
    await linker.writePairs(pairs, at('library.parquet'));
    expect(readFileSync(at('pairs.parquet')).equals(readFileSync(at('library.parquet')))).toBe(true);
    const [counts] = await db.rows<{ records: number; clusters: number; apart: number }>(
      `select count(*) as records, count(distinct cluster_id) as clusters,
         (select count(*) from ${literal(at('pairs.parquet'))} p join ${literal(at('clusters.parquet'))} a on a.record_id = record_id_l
          join ${literal(at('clusters.parquet'))} b on b.record_id = record_id_r
          where match_probability >= 0.9 and a.cluster_id <> b.cluster_id) as apart
       from ${literal(at('clusters.parquet'))}`,
    );
    expect(counts).toMatchObject({ records: 1280, apart: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ records: 1280, pairs: pairs.count, clusters: { clusters: counts!.clusters } });
    const first = await db.rows(
      `select min(record_id) <> any_value(cluster_id) as wrong from ${literal(at('clusters.parquet'))} group by cluster_id having wrong`,
    );
    expect(first).toEqual([]);
  });

  test('trains a model that has gaps, and says how it went', () => {
    const { status, stdout } = link('dedupe', '--in', people, '--settings', untrained, '--out', 'trained.parquet');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Trained: prior 0\.00\d+\n {2}em on ssn: \d+ pairs, \d+ iterations, converged\n/);
    expect(stdout).toMatch(/1,280 records, [\d,]+ pairs at match probability >= 0\.0001: trained\.parquet/);
  });

  test('a CSV and JSON lines give the pairs that Parquet gives: ZIP codes and ids stay text', async () => {
    writeFileSync(at('text.json'), JSON.stringify(textModel));
    const texts = `select record_id, first_name, last_name, zip, ssn, cast(birthdate as varchar) as birthdate from ${literal(people)}`;
    await db.writeParquet(texts, at('text.parquet'));
    await db.run(`copy (${texts}) to ${literal(at('text.csv'))} (format csv, header)`);
    await db.run(`copy (${texts}) to ${literal(at('text.jsonl'))} (format json)`);
    for (const kind of ['parquet', 'csv', 'jsonl']) {
      expect(link('dedupe', '--in', `text.${kind}`, '--settings', 'text.json', '--out', `of-${kind}.parquet`)).toMatchObject({
        status: 0,
        stderr: '',
      });
    }
    const expected = await pairsOf(at('of-parquet.parquet'));
    expect(expected.length).toBeGreaterThan(300);
    for (const kind of ['csv', 'jsonl']) {
      expect(await pairsOf(at(`of-${kind}.parquet`))).toEqual(expected);
      const types = await db.describe(literal(at(`of-${kind}.parquet`)));
      expect(types.find(({ name }) => name === 'zip_l')!.type).toBe('VARCHAR');
    }
  });

  const level = (sql: string) => ({
    ...textModel,
    comparisons: [{ ...textModel.comparisons[0]!, comparison_levels: [{ sql_condition: sql }, { sql_condition: 'ELSE' }] }],
  });
  const rows = 'record_id,first_name,last_name,zip,ssn\n';
  test.each([
    { name: 'an unknown key', settings: { ...textModel, link_typo: 1 }, says: /unknown key: "link_typo"/ },
    {
      name: 'an unknown key of the training block',
      settings: { ...textModel, training: { em_rules: ['l.ssn = r.ssn'], em: 1 } },
      says: /training: unknown key: "em"/,
    },
    {
      name: 'a level without a condition',
      settings: { ...textModel, comparisons: [{ comparison_levels: [{}] }] },
      says: /level without an sql_condition/,
    },
    {
      name: 'a column that does not exist',
      settings: level('first_nam_l = first_nam_r'),
      says: /column not found: first_nam; did you mean first_name\?/,
    },
    { name: 'SQL that does not parse', settings: level('len(first_name_l, = first_name_r) and'), says: /sql/ },
    { name: 'no m, no u and no training', settings: { ...textModel, training: undefined }, says: /comparison without m or u: first_name/ },
    {
      name: 'a rule that names no side',
      settings: { ...textModel, training: { em_rules: ['ssn = ssn'] } },
      says: /blocking rule does not compare left/,
    },
    { name: 'settings that are no JSON', settings: 'people: all\nof them', says: /settings: not JSON: bad\.json/ },
    { name: 'settings that are not there', settings: undefined, says: /settings: file not found: bad\.json/ },
    { name: 'ids used twice', table: `${rows}1,Ann,Oak,01234,1\n1,Bob,Elm,01234,2\n`, says: /unique id not unique: record_id: 1/ },
    {
      name: 'an id that is missing',
      table: `${rows}1,Ann,Oak,01234,1\n,Bob,Elm,01234,2\n`,
      says: /unique id missing in 1 of 2 rows: record_id/,
    },
    { name: 'an empty table', table: rows, says: /no rows: people\.csv/ },
    { name: 'a CSV of no columns at all', table: '', says: /input: cannot be read: people\.csv|column not found/ },
    { name: 'an unknown kind of file', people: 'people.xlsx', says: /input: (unknown kind of file|file not found): people\.xlsx/ },
    { name: 'records that are not there', people: 'nobody.csv', says: /input: file not found: nobody\.csv/ },
    { name: 'clusters without a threshold', more: ['--clusters', 'c.parquet'], says: /--clusters and --cluster-threshold go together/ },
    { name: 'a threshold of 1', more: ['--threshold', '1'], says: /--threshold: not in \[0, 1\)/ },
    {
      name: 'a cluster threshold below the pairs’',
      more: ['--threshold', '0.5', '--clusters', 'c.parquet', '--cluster-threshold', '0.4'],
      says: /0\.4 < 0\.5/,
    },
    { name: 'an output that is the input', more: ['--out', 'people.csv'], says: /output: named twice: people\.csv/ },
  ] as readonly { name: string; settings?: unknown; table?: string; people?: string; more?: string[]; says: RegExp }[])(
    '$name: one line, exit 2, nothing written',
    (fault) => {
      const folder = at('bad');
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      writeFileSync(join(folder, 'people.csv'), fault.table ?? `${rows}1,Ann,Oak,01234,1\n2,Ann,Oak,01234,1\n3,Bob,Elm,98765,2\n`);
      const settings = 'settings' in fault ? fault.settings : textModel;
      if (settings !== undefined)
        writeFileSync(join(folder, 'bad.json'), typeof settings === 'string' ? settings : JSON.stringify(settings));
      const before = readdirSync(folder);
      const words = [
        'link',
        'dedupe',
        '--in',
        fault.people ?? 'people.csv',
        '--settings',
        'bad.json',
        '--out',
        'out.parquet',
        ...(fault.more ?? []),
      ];
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words, '--quiet'], { cwd: folder, encoding: 'utf8' });
      expect({ stderr, status, stdout }).toMatchObject({ status: 2, stdout: '' });
      expect(stderr).toMatch(fault.says);
      expect(stderr.trim().split('\n')).toHaveLength(1);
      expect(readdirSync(folder)).toEqual(before);
    },
  );

  test('clusters that cannot be written leave no pairs either', () => {
    mkdirSync(at('taken'));
    const { status, stderr } = link(
      'dedupe',
      '--in',
      people,
      '--settings',
      trained,
      '--out',
      'half.parquet',
      '--clusters',
      'taken',
      '--cluster-threshold',
      '0.9',
    );
    expect(status).toBe(2);
    expect(stderr).toMatch(/output: is a folder: taken/);
    expect(existsSync(at('half.parquet'))).toBe(false);
  });
});

describe('the steps of link', () => {
  test('train, predict, cluster and evaluate hand their files on', () => {
    const steps = [
      { words: ['train', '--in', people, '--settings', untrained, '--out', 'model.json'], says: /^Trained: prior .*Model: model\.json$/s },
      { words: ['predict', '--in', people, '--model', 'model.json', '--out', 'p.parquet'], says: /^1,280 records, [\d,]+ pairs/ },
      {
        words: ['cluster', '--in', 'p.parquet', '--threshold', '0.9', '--id', 'record_id', '--out', 'c.parquet'],
        says: /clusters at 0\.9: c\.parquet$/,
      },
      {
        words: ['evaluate', '--clusters', 'c.parquet', '--in', people, '--labels', 'ssn'],
        says: /^1,220 labelled records .*\npairs +0\.\d{4} +0\.\d{4}/s,
      },
      {
        words: ['evaluate', '--pairs', 'p.parquet', '--id', 'record_id', '--in', people, '--labels', 'ssn'],
        says: /^\d+ labelled pairs in the file; \d+ of 668 true pairs .*\n +0 +0\.500000 +\d+ .*\nBest F1 0\.\d{4} at match weight/s,
      },
      {
        words: ['cluster', '--in', 'p.parquet', '--threshold', '0.9', '--id', 'record_id', '--out', 'mean.parquet', '--method', 'mean'],
        says: /clusters at 0\.9: mean\.parquet(\n[\d,]+ pairs inside clusters are not in the file: each counted against its cluster)?$/,
      },
      {
        words: ['train', '--in', people, '--settings', untrained, '--out', 'labelled.json', '--labels', 'ssn'],
        says: /\n {2}m from labels: 668 pairs\n/,
      },
    ];
    for (const { words, says } of steps) {
      const { status, stdout, stderr } = link(...words);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout.trim()).toMatch(says);
    }
  });

  test('a table of one record has no pairs, and one cluster', () => {
    writeFileSync(at('one.csv'), 'record_id,first_name,last_name,zip,ssn,birthdate\n1,Ann,Oak,01234,1,\n');
    writeFileSync(at('text.json'), JSON.stringify({ ...textModel, training: undefined, comparisons: given }));
    const { status, stdout } = link(
      ...['dedupe', '--in', 'one.csv', '--settings', 'text.json', '--out', 'none.parquet', '--json'],
      ...['--clusters', 'alone.parquet', '--cluster-threshold', '0.9'],
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ records: 1, pairs: 0, clusters: { clusters: 1, linked: 0 } });
  });
});
