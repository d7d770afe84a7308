// `er llm infer --on runpod:...` as a program of its own, from the launch to the answers: what is printed, written down, and left behind.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { endingOf } from '../fixtures/ending.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { type HubServer, held, hubServer } from '../models/hub-server.ts';
import { type RunpodServer, runpodServer } from '../remote/runpod-server.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const [token, key] = ['hf_tokenOfTheHub', 'rpa_keyOfTheAccount'];
const home = mkdtempSync(join(tmpdir(), 'clinfuse-job-runpod-'));
const at = (...names: string[]) => join(home, ...names);
afterAll(() => rmSync(home, { recursive: true, force: true }));

let hub: HubServer;
let runpod: RunpodServer;
beforeEach(async () => {
  hub = await hubServer({ token });
  runpod = await runpodServer({ key, entry: [process.execPath, main], home: at('pods') });
});
afterEach(async () => {
  await runpod.close();
  await hub.close();
});

/** Beside the servers' own event loop, so not with spawnSync. */
function clinfuse(words: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const hubSettings = { HF_HOME: at('hf'), HF_TOKEN: token, HF_TOKEN_PATH: '', HF_HUB_OFFLINE: '', HF_ENDPOINT: hub.endpoint };
  const env = { ...process.env, ...hubSettings, RUNPOD_API_KEY: key, RUNPOD_ENDPOINT: runpod.endpoint, ...more };
  const child = spawn(process.execPath, [main, ...words], { cwd: home, env });
  return endingOf(child);
}

const infer = (model: string, out: string) => [
  ...[
    'er',
    'llm',
    'infer',
    '--model',
    model,
    '--input',
    'pairs.csv',
    '--out',
    out,
    '--max-length',
    '128',
    '--threads',
    '1',
    '--no-quantize',
  ],
];
const elsewhere = (out: string) => [...infer('hf:team/base', out), '--on', 'runpod:image=registry/clinfuse:1,hours=1,price=0.4'];

beforeAll(async () => {
  await writeTinyModel(at('model'));
  writeFileSync(at('pairs.csv'), 'record_id_1,record_id_2,text\na_1,b_1,one and the same\na_2,b_2,two of them\n');
  hub = await hubServer({ token });
  runpod = await runpodServer({ key, entry: [], home: at('pods') });
  expect((await clinfuse(['er', 'llm', 'prepare-base', '--model', 'model', '--out', 'base'])).status).toBe(0);
  expect((await clinfuse(infer('base', 'here/answers.csv'))).status).toBe(0);
  await Promise.all([hub.close(), runpod.close()]);
});

describe('er llm infer --on runpod', () => {
  test('is launched, is not ready, is collected: the answers of this machine, by a model that the pod fetched', async () => {
    const files = Object.fromEntries(readdirSync(at('base')).map((name) => [name, readFileSync(at('base', name))]));
    hub.add('team/base', files, true);
    const { fault, asked, release } = held();
    hub.fail(/GET \/team\/base\/resolve/, fault);
    const first = await clinfuse(elsewhere('there/answers.csv'));
    expect(first).toMatchObject({
      status: 75,
      stdout: expect.stringMatching(/^started: job [0-9a-f]{16} on runpod:image=.*run the same command again/),
    });
    expect(first.stderr).toMatch(/1 x NVIDIA A40 \(SECURE\) at \$0\.40 an hour \(as you say\): about \$0\.40 for 1 h, at most \$9\.60/);
    const record = readFileSync(at('there', 'answers.csv.job.json'), 'utf8');
    await asked;
    const second = await clinfuse(elsewhere('there/answers.csv'));
    expect(second).toMatchObject({ status: 75, stdout: expect.stringMatching(/^still running: job .*last heard of/) });
    release();
    await runpod.empty();
    const third = await clinfuse(elsewhere('there/answers.csv'));
    expect(third).toMatchObject({ status: 0, stdout: expect.stringMatching(/^collected: there\/answers\.csv/) });
    expect(readFileSync(at('there', 'answers.csv'), 'utf8')).toBe(readFileSync(at('here', 'answers.csv'), 'utf8'));
    expect(readdirSync(at('there')).sort()).toEqual(['answers.csv', 'answers.csv.job.json', 'inference_metrics.json']);

    expect({ pods: runpod.pods.size, most: runpod.most(), datasets: hub.datasets.size }).toEqual({ pods: 0, most: 1, datasets: 0 });
    expect(hub.requests.filter((one) => /PUT|commit/.test(one) && one.includes('team/base'))).toEqual([]);
    const told = [first, second, third].flatMap(({ stdout, stderr }) => [stdout, stderr]);
    const { env: _, ...request } = runpod.made[0]!.request;
    const everything = [
      ...told,
      record,
      readFileSync(at('there', 'answers.csv.job.json'), 'utf8'),
      runpod.made[0]!.output,
      JSON.stringify(request),
    ];
    expect(everything.filter((text) => text.includes(token) || text.includes(key))).toEqual([]);
  });

  test('is looked at and cancelled by the name of its output', async () => {
    hub.add('team/base', {}, true);
    await clinfuse(elsewhere('cancelled.csv'));
    expect((await clinfuse(['job', 'status', 'cancelled.csv'])).stdout).toMatch(/^(not begun yet|running|failed)/);
    expect((await clinfuse(['job', 'cancel', 'cancelled.csv'])).stdout).toMatch(/^cancelled: cancelled\.csv: nothing of it runs/);
    expect({ pods: runpod.pods.size, datasets: hub.datasets.size }).toEqual({ pods: 0, datasets: 0 });
    expect(existsSync(at('cancelled.csv.job.json'))).toBe(false);
  });

  test('gives up by itself after its limit, and says so', async () => {
    hub.add('team/base', { 'config.json': '{}' }, true);
    hub.fail(/GET \/team\/base\/resolve/, held().fault);
    mkdirSync(at('limited'));
    const job = {
      id: '0123456789abcdef',
      attempt: '1',
      stage: 'infer',
      command: ['doctor'],
      inputs: { model: { hub: 'team/base' } },
      outputs: [],
    };
    writeFileSync(at('limited', 'job.json'), JSON.stringify(job));
    const { status, stderr } = await clinfuse(['job', 'run', 'limited', '--limit', '0.0002']);
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/failed: not done within its limit of 0\.0002 h/),
    });
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['no key', { RUNPOD_API_KEY: '' }, /job: no key for RunPod: set RUNPOD_API_KEY/],
    ['a key file there is none of', { RUNPOD_API_KEY: '', RUNPOD_API_KEY_PATH: 'none' }, /job: key file cannot be read: none/],
    ['a key that is not accepted', { RUNPOD_API_KEY: 'rpa_another' }, /runpod: key not accepted \(401\)/],
    ['no token for the hub', { HF_TOKEN: '' }, /job: no token: a pod is sent its work through the hub/],
    ['offline', { HF_HUB_OFFLINE: '1' }, /job: offline: HF_HUB_OFFLINE is set/],
  ])('%s: one line, exit 2, nothing launched', async (_, environment, says) => {
    const { status, stdout, stderr } = await clinfuse([...elsewhere('none.csv'), '--quiet'], environment);
    expect({ status, stdout, stderr }).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(says) });
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toMatch(/rpa_|hf_t/);
    expect({ pods: runpod.made.length, datasets: hub.datasets.size, record: existsSync(at('none.csv.job.json')) }).toEqual({
      ...{ pods: 0, datasets: 0, record: false },
    });
  });
});
