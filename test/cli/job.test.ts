import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { silent } from '../../src/base/progress.ts';
import { openTarget } from '../../src/cli/job/targets.ts';
import { startOf } from '../../src/pipeline/shell.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const root = resolve(import.meta.dirname, '../..');
const sample = join(root, 'examples', 'data');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-jobs-'));
const at = (...names: string[]) => join(home, ...names);
const jobs = at('cache', 'jobs');
const secret = 'hf_aVeryLongSecretIndeed';
const path = [join(root, 'bin'), dirname(process.execPath), process.env['PATH']].join(':');
const env = { ...process.env, PATH: path, CLINFUSE_CACHE: at('cache'), HF_TOKEN: secret, RUNPOD_API_KEY: 'rpa_alsoAVeryLongSecret' };
afterAll(() => {
  for (const id of existsSync(jobs) ? readdirSync(jobs) : []) clinfuse('job', 'cancel', join(jobs, id));
  rmSync(home, { recursive: true, force: true });
});

function clinfuse(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(join(root, 'bin', 'clinfuse'), words, { cwd: home, encoding: 'utf8', env });
  return { status, stdout, stderr };
}

const here = 'command:clinfuse job run {folder}';
const quick = ['--max-length', '256', '--no-quantize', '--threads', '1'];
const train = [
  'er',
  'llm',
  'train',
  '--model',
  'model',
  '--dataset',
  'dataset',
  '--lr',
  '1e-3',
  '--grad-accum',
  '1',
  '--max-samples',
  '16',
  ...quick,
];
const infer = ['er', 'llm', 'infer', '--dataset', 'dataset', '--model', 'model', ...quick];

/** The only job there is. */
const folder = () => join(jobs, readdirSync(jobs)[0]!);
const worker = () => JSON.parse(readFileSync(join(folder(), 'worker.json'), 'utf8')) as { pid: number; command: { group: number } | null };
const until = async (isSo: () => boolean) => {
  while (!isSo()) await wait(10);
};
const begun = () => until(() => existsSync(join(folder(), 'worker.json')) && worker().command !== null);
const over = () =>
  until(() => existsSync(join(folder(), 'manifest.json')) || /failed/.test(readFileSync(join(folder(), 'status.json'), 'utf8')));
/** The dead whom nobody has buried yet do not count. */
const lives = (pid: number) => startOf(pid) !== undefined;

beforeAll(async () => {
  await writeTinyModel(at('model'), { max_position_embeddings: 512 });
  expect(clinfuse('er', 'llm', 'prepare-dataset', '--in', sample, '--out', 'dataset', '--max-pairs', '24', '--quiet').status).toBe(0);
});

describe('a pipeline with stages on another machine', () => {
  test('stops where work is started, and goes on when it is done', { timeout: 180_000 }, async () => {
    const [on, adapter] = [`--on '${here}'`, 'output/train/adapter'];
    const trained = `clinfuse ${train.join(' ')} --epochs 1 --out output/train ${on}`;
    const answers = `clinfuse ${infer.join(' ')} --adapter ${adapter} --out output/answers/predictions.parquet ${on}`;
    const stages = {
      train: { cmd: trained, deps: ['dataset', 'model'], outs: ['output/train'] },
      answer: { cmd: answers, deps: ['dataset', 'model', adapter], outs: ['output/answers'] },
    };
    writeFileSync(at('dvc.yaml'), JSON.stringify({ stages }));
    spawnSync('git', ['init', '-q'], { cwd: home });
    mkdirSync(at('.dvc'));
    const first = clinfuse('repro');
    expect(first.stderr).toContain('stage failed: train: exit code 75 (not ready yet: run again later)');
    expect(first.stderr).toMatch(/started: job [0-9a-f]{16} on command:.*; run the same command again to collect/);
    expect(first.status).toBe(2);
    await over();
    const second = clinfuse('repro');
    expect(second.stderr).toContain('stage failed: answer: exit code 75');
    expect(second.stdout.trim()).toBe('2 stages: 1 ran, 1 failed');
    await over();
    // What an interrupted stage leaves of its output is removed before it runs again, and the record with it: the job is found by its name.
    const third = clinfuse('repro');
    expect(third.stderr).not.toContain('failed');
    expect(third.stdout.trim()).toBe('2 stages: 1 up to date, 1 ran');
    expect(readdirSync(jobs)).toEqual([]);
    expect(JSON.parse(readFileSync(at('output/answers/inference_metrics.json'), 'utf8'))).toMatchObject({ examples: 6, form: 'class' });
    expect(clinfuse('repro').stdout.trim()).toBe('up to date');
  });
});

describe('train --on', () => {
  const endless = ['--epochs', '100000', '--out', 'train', '--on', here];

  test('killed is told, and stopped: nothing of it runs and nothing is taken for a result', { timeout: 120_000 }, async () => {
    const call = (...more: string[]) => clinfuse(...train, ...endless, ...more);
    const started = call();
    expect(started.stdout).toMatch(/^started: job/);
    expect(started.stderr).toContain('what the command costs is not known here');
    expect(started.status).toBe(75);
    await begun();
    expect(clinfuse('job', 'status', 'train').stdout).toMatch(/^running, last heard of/);
    expect(call().stdout).toMatch(/^still running: job .* launched .* ago, last heard of/);
    const other = call('--seed', '7');
    expect(other.stderr).toMatch(
      /^clinfuse: job: launched .* with other settings or inputs, .*; cancel it first: clinfuse job cancel train/,
    );
    expect(other.status).toBe(2);

    const { pid, command } = worker();
    process.kill(pid, 'SIGKILL');
    await until(() => !lives(pid));
    const killed = call();
    expect(killed.stderr.trim().split('\n').at(-1)).toMatch(
      /^clinfuse: job: failed on command:.*ended without a word.*train.job.ended.json/,
    );
    expect(killed.status).toBe(2);
    expect(lives(command!.group)).toBe(false);
    expect([existsSync(at('train')), existsSync(at('train.job.json')), readdirSync(jobs)]).toEqual([false, false, []]);
  });

  test('is cancelled, and nothing of it runs afterwards', { timeout: 60_000 }, async () => {
    expect(clinfuse(...train, ...endless).status).toBe(75);
    await begun();
    const { pid, command } = worker();
    const stopped = clinfuse(...train, ...endless, '--cancel');
    expect(stopped.stdout).toMatch(/^cancelled: train: nothing of it runs/);
    expect(stopped.status).toBe(0);
    expect([lives(pid), lives(command!.group)]).toEqual([false, false]);
    expect(existsSync(at('train.job.json'))).toBe(false);
    expect(clinfuse('job', 'cancel', 'train').stdout).toBe('nothing to cancel: train\n');
  });
});

describe('er llm export --on', () => {
  const words = [
    'er',
    'llm',
    'export',
    '--model',
    'model',
    '--adapter',
    'model',
    '--decision',
    'decision.json',
    '--out',
    'export',
    '--on',
    here,
  ];

  test('what was not promoted is skipped at once, without a machine', () => {
    writeFileSync(at('decision.json'), '{"promoted":false}');
    const { status, stdout } = clinfuse(...words);
    expect([status, stdout.trim()]).toEqual([0, expect.stringMatching(/^not exported: the model was not promoted/)]);
    expect([existsSync(at('export.job.json')), readdirSync(jobs)]).toEqual([false, []]);
  });

  test('without a decision nothing is launched', () => {
    rmSync(at('decision.json'));
    const { status, stderr } = clinfuse(...words);
    expect(stderr).toMatch(/no promotion decision/);
    expect(status).toBe(2);
    expect(readdirSync(jobs)).toEqual([]);
  });
});

describe('llm train --on', () => {
  test('sends any data: the file keeps its extension, the run its name', { timeout: 60_000 }, async () => {
    writeFileSync(at('rows.jsonl'), '{"prompt":"a","completion":"b"}\n'.repeat(4));
    const words = ['llm', 'train', '--model', 'model', '--data', 'rows.jsonl', '--out', 'runs/first', '--on', here];
    expect(clinfuse(...words).status).toBe(75);
    const { command, stage } = JSON.parse(readFileSync(join(folder(), 'job.json'), 'utf8')) as { command: string[]; stage: string };
    const said = ['llm', 'train', '--model', '{in}/model', '--data', '{in}/data.jsonl', '--run-name', 'first', '--out', '{out}'];
    expect([stage, command]).toEqual(['train', said]);
    await over();
    const { status, stderr } = clinfuse(...words);
    expect(stderr).not.toContain('failed');
    expect(status).toBe(0);
    expect(readdirSync(at('runs', 'first'))).toEqual(expect.arrayContaining(['adapter', 'log', 'loss.svg']));
  });
});

describe('tokens', () => {
  test('are on no command line, in no record and in no log', { timeout: 60_000 }, async () => {
    expect(clinfuse(...infer, '--out', 'secret/predictions.csv', '--on', here).status).toBe(75);
    await begun();
    const lines = existsSync('/proc/self/cmdline')
      ? readdirSync('/proc')
          .filter((name) => /^\d+$/.test(name))
          .flatMap((name) => (existsSync(`/proc/${name}/cmdline`) ? [readCommand(name)] : []))
      : spawnSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' }).stdout.split('\n');
    const shown = [secret, env.RUNPOD_API_KEY];
    expect(lines.filter((line) => shown.some((one) => line.includes(one)))).toEqual([]);
    await over();
    const { stdout } = spawnSync('grep', ['-rlF', '-e', shown[0]!, '-e', shown[1]!, home], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(clinfuse('job', 'cancel', 'secret/predictions.csv').status).toBe(0);
  });
});

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

describe('what cannot be done elsewhere', () => {
  test.each([
    { on: 'command:true', says: /no \{folder\} in the command: true/ },
    { on: 'command:run --token hf_abcdefghijklmnopqrstuvwxyz {folder}', says: /--on holds a token/ },
    { on: 'ssh:-oProxyCommand=id', says: /not an address/ },
  ])('$on is refused', ({ on, says }) => {
    expect(() => openTarget(on, { log: () => {}, progress: silent })).toThrow(says);
  });

  test.each([
    { name: 'an unknown machine', words: ['--on', 'cloud'], says: /unknown machine: cloud; write local, / },
    { name: 'a run to go on with', words: ['--resume'], verb: [...train, '--on', here], says: /--resume with --on/ },
    { name: 'nothing to cancel', words: ['--cancel'], says: /--cancel without --on/ },
    { name: 'no time', words: ['--on', here, '--time-out', '0'], says: /--time-out: not more than 0/ },
  ])('$name: one line, exit 2', ({ words, verb = infer, says }) => {
    const { status, stderr } = clinfuse(...verb, '--out', 'none/predictions.csv', ...words);
    expect(stderr.trim().split('\n').length).toBe(1);
    expect(stderr).toMatch(says);
    expect(stderr).not.toContain('bug');
    expect(status).toBe(2);
    expect(existsSync(at('none'))).toBe(false);
  });

  test.each([
    { words: ['status', 'nothing'], says: /none known: nothing/ },
    { words: ['run', 'dataset'], says: /not the folder of a job: dataset/ },
  ])('job $words: one line, exit 2', ({ words, says }) => {
    const { status, stderr } = clinfuse('job', ...words);
    expect(stderr).toMatch(says);
    expect(status).toBe(2);
  });
});
