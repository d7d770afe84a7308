import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { cluster } from '../../../src/apps/linkage/cluster.ts';
import { dedupe } from '../../../src/apps/linkage/dedupe.ts';
import { evaluate } from '../../../src/apps/linkage/evaluate.ts';
import { predict } from '../../../src/apps/linkage/predict.ts';
import { train } from '../../../src/apps/linkage/train.ts';
import { Database, literal } from '../../../src/sql/duckdb.ts';

const oracle = resolve(import.meta.dirname, '../../oracle/splink');
const people = join(oracle, 'records.parquet');
const untrained = join(oracle, 'models', 'custom.json');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-stages-'));
const at = (name: string) => join(home, name);

let db: Database;
beforeAll(async () => {
  db = await Database.open();
  await dedupe({
    files: [people],
    settingsFile: untrained,
    out: at('pairs.parquet'),
    threshold: 1e-4,
    clusters: { file: at('clusters.parquet'), threshold: 0.9 },
  });
});
afterAll(() => {
  db.close();
  rmSync(home, { recursive: true, force: true });
});

describe('the stages one by one', () => {
  test('train and predict give the bytes that dedupe gives at once', async () => {
    const report = await train({ files: [people], settingsFile: untrained, out: at('model.json') });
    expect(report.sessions.map(({ rule }) => rule)).toEqual(['ssn', 'birthdate']);
    await predict({ files: [people], modelFile: at('model.json'), out: at('again.parquet'), threshold: 1e-4 });
    expect(readFileSync(at('again.parquet')).equals(readFileSync(at('pairs.parquet')))).toBe(true);
  });

  test('cluster joins what dedupe joins; records in no pair stay out', async () => {
    const { records } = await cluster({ pairsFile: at('pairs.parquet'), out: at('joined.parquet'), threshold: 0.9, id: 'record_id' });
    const read = (file: string) => db.rows<{ cluster_id: string; record_id: string }>(`from ${literal(at(file))} order by record_id`);
    const joined = await read('joined.parquet');
    const inPairs = new Set(joined.map(({ record_id }) => record_id));
    expect(records).toBe(inPairs.size);
    expect((await read('clusters.parquet')).filter(({ record_id }) => inPairs.has(record_id))).toEqual(joined);
  });

  test('cluster tells records of two sources with one id apart', async () => {
    writeFileSync(
      at('sourced.csv'),
      'match_probability,source_dataset_l,source_dataset_r,unique_id_l,unique_id_r\n0.99,a,b,1,1\n0.99,a,b,2,3\n0.1,a,b,2,1\n',
    );
    const options = { pairsFile: at('sourced.csv'), out: at('sourced.parquet'), threshold: 0.5, id: 'unique_id' };
    expect(await cluster(options)).toEqual({ records: 4, clusters: 2 });
    expect(await db.rows(`select cluster_id from ${literal(at('sourced.parquet'))}`)).toEqual(
      ['a-__-1', 'a-__-2', 'a-__-1', 'a-__-2'].map((cluster_id) => ({ cluster_id })),
    );
  });
});

describe('train with labels', () => {
  const sources = resolve(import.meta.dirname, '../../oracle/splink-sources');
  const { training: _, ...bare } = JSON.parse(readFileSync(untrained, 'utf8')) as { training: unknown };
  const settingsFile = () => {
    writeFileSync(at('labels.json'), JSON.stringify(bare));
    return at('labels.json');
  };
  const given = (file: string) => {
    const { comparisons } = JSON.parse(readFileSync(file, 'utf8')) as {
      comparisons: { output_column_name: string; comparison_levels: { m_probability?: number }[] }[];
    };
    return comparisons.find((one) => one.output_column_name === 'given')!.comparison_levels.map((level) => level.m_probability);
  };
  const oracleM = JSON.parse(readFileSync(join(sources, 'label-m.json'), 'utf8')) as {
    splink5: Record<'column' | 'pairs', { given: Record<string, number> }>;
  };
  const expected = (kind: 'column' | 'pairs') => ['3', '2', '1', '0'].map((gamma) => oracleM.splink5[kind].given[gamma]!);

  test('a column or a file of pairs, either record first, gives Splink’s m', async () => {
    const options = { files: [people], settingsFile: settingsFile(), out: at('labelled.json') };
    expect(await train({ ...options, labels: 'ssn' })).toMatchObject({ labelPairs: 668, sessions: [] });
    given(at('labelled.json'))
      .slice(1)
      .forEach((m, level) => {
        expect(m).toBeCloseTo(expected('column')[level]!, 9);
      });
    const lines = readFileSync(join(sources, 'labels.csv'), 'utf8').trim().split('\n');
    const twice = lines[1]!.split(',').reverse().join(',');
    const marked = lines.map((line, n) => `${line},${n === 0 ? 'clerical_match_score' : 1}`);
    writeFileSync(at('pairs-of.csv'), [...marked, `${twice},1`, 'facility_001_0015,facility_001_0023,0.1'].join('\n'));
    expect(await train({ ...options, pairwiseLabels: at('pairs-of.csv') })).toMatchObject({ labelPairs: 200 });
    given(at('labelled.json'))
      .slice(1)
      .forEach((m, level) => {
        expect(m).toBeCloseTo(expected('pairs')[level]!, 9);
      });
  });

  test('a label column in the training block is enough for dedupe', async () => {
    writeFileSync(at('block.json'), JSON.stringify({ ...bare, training: { label_column: 'ssn', u_max_pairs: 10000 } }));
    const { training } = await dedupe({ files: [people], settingsFile: at('block.json'), out: at('block.parquet'), threshold: 0.5 });
    expect(training).toMatchObject({ labelPairs: 668 });
  });

  test.each([
    { name: 'a label column that is not there', more: { labels: 'snn' }, says: /column not found: snn; did you mean ssn\?/ },
    { name: 'both kinds of labels', more: { labels: 'ssn', pairwiseLabels: 'x.csv' }, says: /both a column and a file of labels/ },
    { name: 'labels of strangers', text: 'record_id_l,record_id_r\nx,y\n', says: /ids that no record has: 2/ },
    { name: 'labels by another name', text: 'id_l,id_r\nx,y\n', says: /labels: column not found: record_id_l in .*table has: id_l, id_r/ },
    { name: 'no labels in the file', text: 'record_id_l,record_id_r\n', says: /labels without a pair/ },
  ])('$name: refused in one line', async ({ more, text, says }) => {
    if (text) writeFileSync(at('bad-labels.csv'), text);
    const labels = text ? { pairwiseLabels: at('bad-labels.csv') } : more;
    const refused = train({ files: [people], settingsFile: settingsFile(), out: at('no.json'), ...labels });
    await expect(refused).rejects.toThrow(says);
    await expect(refused).rejects.toHaveProperty('name', 'UserError');
  });

  test('a training block that trains no m is refused', async () => {
    writeFileSync(at('idle.json'), JSON.stringify({ ...bare, training: { deterministic_rules: ['l.ssn = r.ssn'] } }));
    await expect(train({ files: [people], settingsFile: at('idle.json'), out: at('no.json') })).rejects.toThrow(
      /without em_rules or label_column/,
    );
  });
});

describe('other ways to cluster', () => {
  const sources = resolve(import.meta.dirname, '../../oracle/splink-sources');
  const clustersOf = async (file: string) => {
    const rows = await db.rows<{ members: string[] }>(
      `select list(concat(source_dataset, '-__-', unique_id) order by concat(source_dataset, '-__-', unique_id)) as members
       from ${literal(file)} group by cluster_id having count(*) > 1 order by members`,
    );
    return rows.map(({ members }) => members);
  };

  test('best links give Splink’s clusters from a file of pairs', async () => {
    const cases = JSON.parse(readFileSync(join(sources, 'best-links.json'), 'utf8')) as {
      ties: 'lowest_id' | 'drop';
      duplicateFree: string[];
      threshold: number | null;
      clusters: string[][];
    }[];
    for (const { ties, duplicateFree, threshold, clusters } of cases.filter((one) => one.threshold !== null)) {
      const options = { pairsFile: join(sources, 'edges.csv'), out: at('best.parquet'), id: 'unique_id', source: 'source_dataset' };
      await cluster({ ...options, threshold: threshold!, method: 'best-links', ties, duplicateFree });
      expect(await clustersOf(at('best.parquet'))).toEqual(clusters);
    }
  });

  test('mean linkage: a chain does not hold where its ends were never compared; sources without duplicates stay apart', async () => {
    const chain = 'match_probability,source_dataset_l,source_dataset_r,unique_id_l,unique_id_r\n0.999,a,b,1,1\n0.99,a,b,1,2\n';
    writeFileSync(at('chain.csv'), chain);
    const options = { pairsFile: at('chain.csv'), out: at('mean.parquet'), threshold: 0.5, id: 'unique_id', source: 'source_dataset' };
    expect(await cluster(options)).toEqual({ records: 3, clusters: 1 });
    expect(await cluster({ ...options, method: 'mean' })).toEqual({ records: 3, clusters: 2, unseenInside: 0 });
    expect(await clustersOf(at('mean.parquet'))).toEqual([['a-__-1', 'b-__-1']]);
    writeFileSync(at('chain.csv'), `${chain}0.999,b,b,1,2\n`);
    expect(await cluster({ ...options, method: 'mean' })).toMatchObject({ clusters: 1 });
    expect(await cluster({ ...options, method: 'mean', duplicateFree: ['b'] })).toMatchObject({ clusters: 2 });
    // 0.999 is not enough where 0.9995 is asked of the mean.
    expect(await cluster({ ...options, method: 'mean', threshold: 0.9995 })).toMatchObject({ clusters: 3 });
  });

  test('mean linkage says how many pairs inside its clusters nobody scored', async () => {
    const lines = ['1,2', '1,3', '1,4', '2,3', '2,4'].map((pair) => `0.9999,${pair}`);
    writeFileSync(at('gap.csv'), `match_probability,id_l,id_r\n${lines.join('\n')}\n`);
    const options = { pairsFile: at('gap.csv'), out: at('gap.parquet'), threshold: 0.5, id: 'id', method: 'mean' as const };
    expect(await cluster(options)).toEqual({ records: 4, clusters: 1, unseenInside: 1 });
  });
});

describe('evaluate', () => {
  const clusters = 'cluster_id,id\n1,01\n1,02\n3,03\n3,04\n';
  const records = 'id,who\n01,a\n02,a\n03,a\n04,d\n05,e\n06,\n';

  test('worked case: {1 2} {3 4} {5} against {1 2 3} {4} {5}; 6 has no label', async () => {
    writeFileSync(at('c.csv'), clusters);
    writeFileSync(at('p.csv'), records);
    const found = await evaluate({ clustersFile: at('c.csv'), files: [at('p.csv')], id: 'id', labels: 'who' });
    expect(found).toMatchObject({ records: 5, unlabelled: 1, clusters: { clusters: 3, patients: 3, splitPatients: 1, impureClusters: 1 } });
    expect(found.pairwise).toMatchObject({ truePositives: 1, falsePositives: 1, falseNegatives: 2 });
    expect(found.bCubed!.precision).toBeCloseTo(4 / 5, 12);
    expect(found.bCubed!.recall).toBeCloseTo((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5, 12);
  });

  test.each([
    { name: 'a column of labels that is not there', labels: 'woh', says: /column not found: woh in .*did you mean who\?/ },
    { name: 'labels all missing', records: 'id,who\n01,\n02,\n03,\n04,\n', says: /no record has a label: who/ },
    { name: 'a record twice', records: `${records}05,e\n`, says: /ids not unique: id: 1/ },
    { name: 'a record in two clusters', clusters: `${clusters}4,01\n`, says: /ids not unique: id: 1/ },
    { name: 'clusters of other records', clusters: `${clusters}9,99\n`, says: /ids in the clusters that no record has: id: 1/ },
    { name: 'no clusters in the file', clusters: 'cluster,id\n1,01\n', says: /column not found: cluster_id .*did you mean cluster\?/ },
  ])('$name is refused in one line', async (fault) => {
    writeFileSync(at('c.csv'), fault.clusters ?? clusters);
    writeFileSync(at('p.csv'), fault.records ?? records);
    const refused = evaluate({ clustersFile: at('c.csv'), files: [at('p.csv')], id: 'id', labels: fault.labels ?? 'who' });
    await expect(refused).rejects.toThrow(fault.says);
    await expect(refused).rejects.toHaveProperty('name', 'UserError');
  });
});

describe('what a stage cannot use', () => {
  const pairs = 'match_probability,id_l,id_r\n0.9,1,2\n0.9,,2\n';
  test.each([
    {
      name: 'train without a training block',
      work: () => train({ files: [people], settingsFile: at('bare.json'), out: at('no') }),
      says: /no training block/,
    },
    {
      name: 'predict without parameters',
      work: () => predict({ files: [people], modelFile: untrained, out: at('no'), threshold: 0.5 }),
      says: /comparison without m or u/,
    },
    {
      name: 'cluster by an id that is not there',
      work: () => cluster({ pairsFile: at('pairs.csv'), out: at('no'), threshold: 0.5, id: 'idd' }),
      says: /column not found: idd_l .*did you mean id_l\?/,
    },
    {
      name: 'pairs without an id',
      work: () => cluster({ pairsFile: at('pairs.csv'), out: at('no'), threshold: 0.5, id: 'id' }),
      says: /pairs without an id: 1/,
    },
    {
      name: 'best links without a source column',
      work: () => cluster({ pairsFile: at('pairs.csv'), out: at('no'), threshold: 0.5, id: 'id', method: 'best-links' }),
      says: /best-links without a source column; name it with --source/,
    },
    {
      name: 'duplicate-free sources for components',
      work: () => cluster({ pairsFile: at('pairs.csv'), out: at('no'), threshold: 0.5, id: 'id', duplicateFree: ['a'] }),
      says: /--duplicate-free-datasets with --method components/,
    },
    {
      name: 'ties for mean linkage',
      work: () => cluster({ pairsFile: at('pairs.csv'), out: at('no'), threshold: 0.5, id: 'id', method: 'mean', ties: 'drop' }),
      says: /--ties-method with --method mean/,
    },
    {
      name: 'a source that no pair is of',
      work: () =>
        cluster({
          ...{ pairsFile: join(resolve(oracle, '../splink-sources'), 'edges.csv'), out: at('no'), threshold: 0.5, id: 'unique_id' },
          ...{ source: 'source_dataset', method: 'best-links', duplicateFree: ['a', 'dd'] },
        }),
      says: /source not found: dd; (did you mean|the pairs are of: a, b, c)/,
    },
    {
      name: 'a probability that is no number',
      work: () => cluster({ pairsFile: at('words.csv'), out: at('no'), threshold: 0.5, id: 'id' }),
      says: /input: cannot be read: .*words\.csv/,
    },
  ])('$name is refused in one line', async ({ work, says }) => {
    const { training: _, ...bare } = JSON.parse(readFileSync(untrained, 'utf8')) as { training: unknown };
    writeFileSync(at('bare.json'), JSON.stringify(bare));
    writeFileSync(at('pairs.csv'), pairs);
    writeFileSync(at('words.csv'), 'match_probability,id_l,id_r\nhigh,1,2\n');
    await expect(work()).rejects.toThrow(says);
  });
});
