import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { UserError } from '../../src/base/errors.ts';
import { thousands } from '../../src/base/text.ts';
import { program } from '../../src/cli/program.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const oracle = resolve(import.meta.dirname, '../oracle/splink');
const people = join(oracle, 'records.parquet');
const untrained = join(oracle, 'models', 'reference.json');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-chart-'));
const at = (name: string) => join(home, name);

function link(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'link', ...words, '--quiet'], { cwd: home, encoding: 'utf8' });
  return { status, stdout, stderr };
}

const textsOf = (file: string) =>
  [...readFileSync(at(file), 'utf8').matchAll(/>([^<>]+)</g)].map((match) => match[1]!.trim().replace(/\s+/g, ' '));

let db: Database;
beforeAll(async () => {
  db = await Database.open();
  const { stdout } = link('train', '--in', people, '--settings', untrained, '--out', 'model.json', '--json');
  writeFileSync(at('report.json'), stdout);
  link('predict', '--in', people, '--model', 'model.json', '--out', 'pairs.parquet');
});
afterAll(() => {
  db.close();
  rmSync(home, { recursive: true, force: true });
});

const ofPairs = ['--pairs', 'pairs.parquet', '--id', 'record_id'];
const kinds: { kind: string; words: string[]; says: (string | RegExp)[] }[] = [
  {
    kind: 'match-weights',
    words: ['--model', 'model.json'],
    says: [
      /^From model\.json\./,
      'prior: two records taken at random',
      'first_name',
      'Jaro-Winkler ≥ 0.92',
      'at most 30 days apart',
      'anything else',
    ],
  },
  { kind: 'm-u', words: ['--model', 'model.json'], says: ['m: share of the pairs that match', 'u: share of the pairs that do not', 'ssn'] },
  {
    kind: 'em-history',
    words: ['--report', 'report.json'],
    says: ['EM on birthdate', 'EM on last_name + city', /^\d iterations: converged$/, '705 pairs', 'not trained here', '1 equal'],
  },
  {
    kind: 'histogram',
    words: ['--pairs', 'pairs.parquet'],
    says: ['Match weights of 1,326 pairs', /^From pairs\.parquet: 984 pairs/, '50 %', '99 %'],
  },
  {
    kind: 'blocking',
    words: ['--in', people, '--settings', 'model.json'],
    says: ['1. last_name + city', '3,302 (all new), 3,302 so far', 'largest blocks'],
  },
  {
    kind: 'completeness',
    words: ['--in', people, '--source', 'facility_id'],
    says: ['facility_001', '253 records', 'maiden_name', '100 %'],
  },
  {
    kind: 'thresholds',
    words: ['--in', people, '--labels', 'ssn', ...ofPairs],
    says: [/^1,174 labelled pairs of pairs\.parquet against ssn; 0 of 668/, /^best F1: 91\.0 %/],
  },
];

describe('link chart', () => {
  test.each(kinds)('$kind draws what its inputs hold', ({ kind, words, says }) => {
    const { status, stdout, stderr } = link('chart', kind, ...words, '--out', `${kind}.svg`);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: `Chart of ${kind}: ${kind}.svg\n`, stderr: '' });
    const texts = textsOf(`${kind}.svg`);
    for (const text of says) {
      expect(texts).toContainEqual(text instanceof RegExp ? expect.stringMatching(text) : text);
    }
  });

  test('a histogram of all pairs, as Splink writes them without a threshold, gathers the hopeless ones in its first bar', async () => {
    const weights = `select unnest([-420.5, '-inf'::double, -30.5, -30, 0.2, 61, 'inf'::double]) as match_weight`;
    await db.writeParquet(weights, at('all.parquet'));
    expect(link('chart', 'histogram', '--pairs', 'all.parquet', '--out', 'all.json').status).toBe(0);
    const spec = JSON.parse(readFileSync(at('all.json'), 'utf8')) as {
      layer: { data: { values: object[] } }[];
      title: { subtitle: string[] };
    };
    expect(spec.layer[0]!.data.values).toEqual([
      { from: -30, until: -28, pairs: 4 },
      { from: 0, until: 2, pairs: 1 },
      { from: 60, until: 62, pairs: 2 },
    ]);
    expect(spec.title.subtitle.join(' ')).toContain('The first bar holds the 3 pairs below −30.0, too.');
  });

  test('waterfall explains a pair, whichever way round its ids are given, and adds up', async () => {
    const [pair] = await db.rows<{ l: string; r: string; first: string }>(
      `select record_id_l as l, record_id_r as r, first_name_l as first from ${literal(at('pairs.parquet'))}
       where first_name_l = first_name_r and last_name_l <> last_name_r and match_weight between 0 and 10 order by match_weight limit 1`,
    );
    const { l, r, first } = pair!;
    for (const [out, left, right] of [
      ['one.svg', l, r],
      ['two.svg', r, l],
    ] as const) {
      const words = ['chart', 'waterfall', ...ofPairs, '--left', left, '--right', right, '--out', out];
      expect(link(...words)).toMatchObject({ status: 0, stderr: '' });
    }
    const texts = textsOf('one.svg');
    expect(texts).toContain(`first_name = ${first}`);
    expect(texts).toContain('first_name: how rare the value is');
    expect(texts).toContainEqual(expect.stringMatching(/^last_name: .* \| /));
    const prior = (JSON.parse(readFileSync(at('model.json'), 'utf8')) as { probability_two_random_records_match: number })
      .probability_two_random_records_match;
    expect(texts).toContain(`−${Math.abs(Math.log2(prior / (1 - prior))).toFixed(1)}`);
    expect(textsOf('two.svg')).toEqual(texts);
  });

  test('waterfall reads the weights that Splink 5 writes as it reads Bayes factors', async () => {
    const [file, copy] = [literal(at('pairs.parquet')), at('five.parquet')];
    const names = (await db.describe(file)).map(({ name }) => name);
    const columns = names.map((name) => (name.startsWith('bf_') ? `log2("${name}") as "${name.replace('bf_', 'mw_')}"` : `"${name}"`));
    await db.writeParquet(`select ${columns.join(', ')} from ${file}`, copy);
    const [pair] = await db.rows<{ l: string; r: string }>(`select record_id_l as l, record_id_r as r from ${file} limit 1`);
    const words = ['--left', pair!.l, '--right', pair!.r, '--id', 'record_id'];
    link('chart', 'waterfall', '--pairs', 'pairs.parquet', ...words, '--out', 'four.svg');
    link('chart', 'waterfall', '--pairs', 'five.parquet', ...words, '--out', 'five.svg');
    expect(textsOf('five.svg').map((text) => text.replace('five.parquet', 'pairs.parquet'))).toEqual(textsOf('four.svg'));
  });

  test('blocking counts what a rule’s condition leaves, and names the value of a block', async () => {
    const model = JSON.parse(readFileSync(at('model.json'), 'utf8')) as object;
    const rules = ['l.zip = r.zip', 'l.city = r.city and abs(l.birth_year - r.birth_year) <= 1'];
    writeFileSync(at('rules.json'), JSON.stringify({ ...model, blocking_rules_to_generate_predictions: rules }));
    expect(link('chart', 'blocking', '--in', people, '--settings', 'rules.json', '--out', 'rules.svg')).toMatchObject({
      status: 0,
      stderr: '',
    });
    const count = (where: string) =>
      db.value<number>(`select count(*) from ${literal(people)} l join ${literal(people)} r on l.record_id < r.record_id and ${where}`);
    const [first, second, added] = [
      await count(rules[0]!),
      await count(rules[1]!),
      await count(`${rules[1]} and not coalesce(${rules[0]}, false)`),
    ];
    const texts = textsOf('rules.svg');
    expect(texts).toContain(`${thousands(second)} (${thousands(added)} new), ${thousands(first + added)} so far`);
    expect(texts).toContain('rule 1: 00000');
  });

  test('the file’s name says what is written: PNG, or Vega-Lite with its theme', () => {
    expect(link('chart', 'histogram', '--pairs', 'pairs.parquet', '--out', 'h.png').status).toBe(0);
    expect(readFileSync(at('h.png')).subarray(1, 4).toString()).toBe('PNG');
    expect(link('chart', 'histogram', '--pairs', 'pairs.parquet', '--out', 'h.json', '--json').stdout).toBe(
      '{"kind":"histogram","out":"h.json"}\n',
    );
    const spec = JSON.parse(readFileSync(at('h.json'), 'utf8')) as { $schema: string; config: object };
    expect(spec.$schema).toMatch(/vega-lite\/v6/);
    expect(spec.config).toHaveProperty('axis');
  });

  test.each([
    { name: 'no kind', words: ['--model', 'model.json'], says: /no kind of chart; name one of match-weights, m-u, em-history/ },
    { name: 'an unknown kind', words: ['histgram', '--pairs', 'pairs.parquet'], says: /unknown kind: histgram; did you mean histogram\?/ },
    { name: 'a missing option', words: ['waterfall', '--pairs', 'pairs.parquet', '--left', 'a'], says: /waterfall needs --right; see/ },
    {
      name: 'an option of another kind',
      words: ['histogram', '--pairs', 'pairs.parquet', '--model', 'model.json'],
      says: /histogram takes no --model/,
    },
    {
      name: 'an unknown picture',
      words: ['m-u', '--model', 'model.json', '--out', 'x.pdf'],
      says: /unknown kind of picture: x\.pdf; name a \.svg/,
    },
    { name: 'a model that is not trained', words: ['m-u', '--model', untrained], says: /comparison without m or u: first_name/ },
    { name: 'a model that is not there', words: ['m-u', '--model', 'nothing.json'], says: /file not found: nothing\.json/ },
    {
      name: 'a report that is none',
      words: ['em-history', '--report', 'model.json'],
      says: /no EM history in model\.json; make it with clinfuse link train --json/,
    },
    { name: 'pairs that are none', words: ['histogram', '--pairs', people], says: /column not found: match_weight/ },
    {
      name: 'ids of another name',
      words: ['waterfall', '--pairs', 'pairs.parquet', '--left', 'a', '--right', 'b'],
      says: /column not found: unique_id_l/,
    },
    {
      name: 'a pair that is not there',
      words: ['waterfall', ...ofPairs, '--left', 'a', '--right', 'b'],
      says: /no pair of the two records in pairs\.parquet/,
    },
    {
      name: 'pairs without their factors',
      words: ['waterfall', '--pairs', join(oracle, 'splink5', 'custom.pairs.parquet'), '--id', 'record_id', '--left', 'a', '--right', 'b'],
      says: /no bf_ or mw_ columns/,
    },
    {
      name: 'a source that is no column',
      words: ['completeness', '--in', people, '--source', 'facility'],
      says: /column not found: facility.*did you mean facility_id\?/,
    },
    {
      name: 'a source of too many values',
      words: ['completeness', '--in', people, '--source', 'record_id'],
      says: /too many sources: record_id has 1,280 values; name a column of at most 40/,
    },
    {
      name: 'an output that is the input',
      words: ['m-u', '--model', 'model.json', '--out', 'model.json'],
      says: /output: named twice: model\.json/,
    },
  ])('$name is refused in one line, and nothing is written', async ({ words, says }) => {
    const placed = words.map((word) => (/^(?!\/).*\.(parquet|json|pdf)$/.test(word) ? at(word) : word));
    const out = words.includes('--out') ? [] : ['--out', at('bad.svg')];
    const fault = await (await program()).parseAsync(['link', 'chart', ...placed, ...out], { from: 'user' }).catch((cause: Error) => cause);
    expect(fault).toBeInstanceOf(UserError);
    expect((fault as Error).message.replaceAll(`${home}/`, '')).toMatch(says);
    expect((fault as Error).message).not.toContain('\n');
    expect(existsSync(at('bad.svg'))).toBe(false);
  });

  test('what is refused ends with exit 2', () => {
    const { status, stdout, stderr } = link('chart', 'histgram', '--out', 'bad.svg');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^clinfuse: chart: unknown kind: histgram; did you mean histogram\?\n$/);
  });
});
