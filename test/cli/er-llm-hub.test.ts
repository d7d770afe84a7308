// Data sets, answers and models between `er llm` and a hub on this machine, as programs of their own.

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Database } from '../../src/sql/duckdb.ts';
import { endingOf } from '../fixtures/ending.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { cut, cutAfter, type HubServer, hubServer, status } from '../models/hub-server.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const sample = resolve(import.meta.dirname, '../../examples/data');
const token = 'hf_secret';
const home = mkdtempSync(join(tmpdir(), 'clinfuse-er-llm-hub-'));
const at = (...names: string[]) => join(home, ...names);

let server: HubServer;
beforeEach(async () => {
  server = await hubServer({ token });
});
afterEach(() => server.close());

/** Beside the server's own event loop, so not with spawnSync. */
function erLlm(words: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const settings = { HF_HOME: at('hf'), HF_TOKEN: token, HF_TOKEN_PATH: '', HF_HUB_OFFLINE: '', HF_ENDPOINT: server.endpoint };
  const child = spawn(process.execPath, [main, 'er', 'llm', ...words], { cwd: home, env: { ...process.env, ...settings, ...more } });
  return endingOf(child);
}

const prepare = (out: string) => ['prepare-dataset', '--in', sample, '--out', out, '--max-pairs', '24'];
const infer = (...words: string[]) => ['infer', '--model', 'base', '--max-length', '256', '--threads', '1', '--no-quantize', ...words];

let pairs: Buffer;
beforeAll(async () => {
  await writeTinyModel(at('model'), { max_position_embeddings: 512 });
  server = await hubServer({ token });
  expect(await erLlm([...prepare('dataset'), '--quiet'])).toMatchObject({ status: 0, stderr: '' });
  expect((await erLlm(['prepare-base', '--model', 'model', '--out', 'base'])).status).toBe(0);
  await server.close();
  await using db = await Database.open();
  const source = `select record_id_1, record_id_2, messages[1].content as text from '${at('dataset/data/test.parquet')}'`;
  await db.run(`copy (${source}) to '${at('pairs.parquet')}'`);
  pairs = readFileSync(at('pairs.parquet'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe('prepare-dataset --push', () => {
  test('makes a private data set of the whole folder in one commit, and says in it where it went', async () => {
    const { status: code, stdout, stderr } = await erLlm([...prepare('sent'), '--push', 'team/pairs', '--json']);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(JSON.parse(stdout).pushed).toMatchObject({ name: 'team/pairs', isPrivate: true });
    const made = server.datasets.get('team/pairs')!;
    expect(made).toMatchObject({ isPrivate: true, titles: ['Upload data set'] });
    const names = ['README.md', 'data/test.parquet', 'data/train.parquet', 'data/validation.parquet', 'dataset_info.json'];
    expect([...made.files.keys()].sort()).toEqual(names);
    for (const name of names) expect(made.files.get(name)!.equals(readFileSync(at('sent', name)))).toBe(true);
    expect(JSON.parse(readFileSync(at('sent', 'dataset_info.json'), 'utf8')).hf_repo).toBe('team/pairs');
    expect(server.models.size).toBe(0);
    expect(`${stdout}${stderr}`).not.toContain(token);
    expect([...server.storageTokens]).toEqual([undefined]);
  });

  test('pairs of an earlier data set go in the same commit: no patient comes into two splits by what is left over', async () => {
    server.add('team/pairs', { 'data/train-00000-of-00002.parquet': 'old', 'notes.txt': 'ours' }, true, 'datasets');
    expect((await erLlm([...prepare('sent'), '--push', 'team/pairs'])).status).toBe(0);
    const { files, titles } = server.datasets.get('team/pairs')!;
    expect([...files.keys()].filter((name) => name.includes('00000'))).toEqual([]);
    expect(files.has('notes.txt')).toBe(true);
    expect(titles).toHaveLength(1);
  });

  test('a busy hub is waited for, a cut connection is taken up again, and what was sent is not sent again', async () => {
    server.fail(/preupload/, status(429, { 'retry-after': '0' }));
    server.fail(/^PUT/, cut);
    server.fail(/commit/, status(400));
    const broken = await erLlm([...prepare('sent'), '--push', 'team/pairs']);
    expect(broken).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/busy \(429\)[\s\S]*was not reached[\s\S]*refused \(400\): team\/pairs/),
    });
    expect(server.datasets.get('team/pairs')!.files.size).toBe(0);
    const sent = server.requests.filter((one) => one.startsWith('PUT')).length;
    expect((await erLlm([...prepare('sent'), '--push', 'team/pairs'])).status).toBe(0);
    // dataset_info.json and README.md are small; the tables had arrived.
    expect(server.requests.filter((one) => one.startsWith('PUT'))).toHaveLength(sent);
  });

  test.each<[string, Record<string, string>, string[], RegExp]>([
    ['no token', { HF_TOKEN: '' }, [], /prepare-dataset: no token: set HF_TOKEN/],
    ['a token that may not write', { HF_TOKEN: 'hf_other' }, [], /not without a valid token \(401\): team\/pairs/],
    ['offline', {}, ['--offline'], /prepare-dataset: offline: --offline was given/],
    ['no name of a repository', {}, ['--push', 'pairs'], /--push: not of the form OWNER\/NAME/],
  ])('%s: one line, exit 2', async (_, environment, words, says) => {
    const { status: code, stderr } = await erLlm([...prepare('none'), '--push', 'team/pairs', ...words, '--quiet'], environment);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(says) });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(server.datasets.size).toBe(0);
    // What only the hub can refuse is refused when the data set is here; it stays.
    const isHere = environment['HF_TOKEN'] === 'hf_other';
    expect({ asked: server.requests.length > 0, made: existsSync(at('none')) }).toEqual({ asked: isHere, made: isHere });
    rmSync(at('none'), { recursive: true, force: true });
  });

  test('a public data set is not written to unless that is said', async () => {
    server.add('team/open', {}, false, 'datasets');
    const refused = await erLlm([...prepare('sent'), '--push', 'team/open', '--quiet']);
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringMatching(/everybody can see team\/open; say --public/) });
    expect((await erLlm([...prepare('sent'), '--push', 'team/open', '--public'])).status).toBe(0);
  });
});

describe('infer --hf-input', () => {
  test('answers the rows of a data set at a revision, and sends answers and figures as one commit', async () => {
    server.add('team/gray', { 'data/train-00000-of-00001.parquet': pairs }, true, 'datasets');
    const revision = server.datasets.get('team/gray')!.commit;
    const words = infer('--hf-input', `team/gray@${revision}`, '--hf-output', 'team/answers', '--out', 'answers.parquet', '--json');
    const { status: code, stdout, stderr } = await erLlm(words);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const report = JSON.parse(stdout);
    const made = server.datasets.get('team/answers')!;
    expect(made).toMatchObject({ isPrivate: true, titles: ['Predictions'] });
    expect([...made.files.keys()].sort()).toEqual(['data/train.parquet', 'inference_metrics.json']);
    expect(JSON.parse(made.files.get('inference_metrics.json')!.toString())).toEqual(report);
    await using db = await Database.open();
    const columns = (await db.describe(`'${at('answers.parquet')}'`)).map(({ name }) => name);
    expect(columns).toEqual([...['record_id_1', 'record_id_2', 'prediction', 'confidence', 'logit_0', 'logit_1', 'clinical_log_odds']]);
    expect(made.files.get('data/train.parquet')!.equals(readFileSync(at('answers.parquet')))).toBe(true);
    expect(readdirSync(home).filter((name) => /questions|scored/.test(name))).toEqual([]);
  });

  test('a cut connection is taken up where it broke; answers that could not be sent are sent by the next run, which asks nothing again', async () => {
    const large = readFileSync(at('dataset/data/train.parquet'));
    server.add('team/gray', { 'data/train.parquet': large }, true, 'datasets');
    server.fail(/resolve.*parquet$/, cutAfter(500, large));
    server.fail(/commit/, status(400));
    const words = infer('--hf-input', 'team/gray', '--hf-output', 'team/answers', '--out', 'later.parquet', '--json');
    const broken = await erLlm(words);
    expect(broken).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/connection lost at .*going on from there[\s\S]*refused \(400\)/),
    });
    server.requests.length = 0;
    const { stdout } = await erLlm(words);
    expect(JSON.parse(stdout)).toMatchObject({ examples: 24, resumed: 24 });
    expect(server.requests.filter((one) => one.includes('/resolve/'))).toEqual([]);
    expect(server.datasets.get('team/answers')!.titles).toEqual(['Predictions']);
  });

  test.each<[string, string[], RegExp]>([
    ['a data set there is none of', ['--hf-input', 'team/none'], /hub: not found: team\/none/],
    ['a revision there is none of', ['--hf-input', 'team/gray@v9'], /hub: not found: team\/gray@v9/],
    [
      'a split there is none of',
      ['--hf-input', 'team/gray', '--split', 'validation'],
      /no validation split of Parquet or CSV in team\/gray; it has test\.csv/,
    ],
    ['a file and a data set', ['--hf-input', 'team/gray', '--input', 'pairs.parquet'], /name either --input or --dataset, or --hf-input/],
    ['an output for what is here', ['--input', 'pairs.parquet', '--hf-output', 'team/out'], /--hf-output goes with --hf-input/],
    ['an output that everybody sees', ['--hf-input', 'team/gray', '--hf-output', 'team/open'], /everybody can see team\/open/],
    ['offline', ['--hf-input', 'team/gray', '--offline'], /infer: offline: --offline was given/],
  ])('%s: one line, exit 2, nothing written', async (_, words, says) => {
    server.add('team/gray', { 'test.csv': 'text\nx\n' }, true, 'datasets');
    server.add('team/open', {}, false, 'datasets');
    const { status: code, stderr } = await erLlm(infer(...words, '--out', 'none.parquet', '--quiet'));
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(says) });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(readdirSync(home).filter((name) => name.includes('none'))).toEqual([]);
    expect(server.requests.filter((one) => /resolve|commit/.test(one))).toEqual([]);
  });
});

describe('models', () => {
  test('prepare-base --push sends the model it wrote', async () => {
    const { status: code, stdout } = await erLlm(['prepare-base', '--model', 'model', '--out', 'base', '--push', 'team/base']);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(`${server.endpoint}/team/base/commit/`) });
    expect(server.models.get('team/base')).toMatchObject({ isPrivate: true });
    expect([...server.models.get('team/base')!.files.keys()]).toEqual(expect.arrayContaining(['config.json', 'model.safetensors']));
  });

  test('export --push sends nothing that was not promoted', async () => {
    cpSync(at('base'), at('adapter'), { recursive: true });
    writeFileSync(at('decision.json'), '{"promoted": false}');
    const words = ['--model', 'base', '--adapter', 'adapter', '--decision', 'decision.json', '--out', 'export', '--push', 'team/merged'];
    expect(await erLlm(['export', ...words])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^not exported: the model was not promoted/),
    });
    expect(server.requests).toEqual([]);
  });
});
