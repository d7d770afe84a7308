// A job on RunPod from launch to collection: the hub and RunPod's API on this machine, the pod a real process that does real work.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { silent } from '../../src/base/progress.ts';
import { openHub } from '../../src/models/hub.ts';
import { type Job, jobInput, nameJob } from '../../src/remote/job.ts';
import { readRecord, recordFile } from '../../src/remote/job-record.ts';
import { cancel, launchOrCollect } from '../../src/remote/launch-or-collect.ts';
import { openRunpod } from '../../src/remote/runpod-api.ts';
import { runpodTarget } from '../../src/remote/runpod-target.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { cut, type HubServer, held, hubServer } from '../models/hub-server.ts';
import { lost, type RunpodServer, runpodServer, says } from './runpod-server.ts';

const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const [token, key] = ['hf_tokenOfTheHub', 'rpa_keyOfTheAccount'];
const home = mkdtempSync(join(tmpdir(), 'clinfuse-runpod-'));
const at = (...names: string[]) => join(home, ...names);
afterAll(() => rmSync(home, { recursive: true, force: true }));

let job: Job;
beforeAll(async () => {
  await writeTinyModel(at('model'));
  const command = ['er', 'llm', 'prepare-base', '--model', '{in}/model', '--out', '{out}/base'];
  const inputs = { model: await jobInput(at('model')) };
  job = nameJob({ stage: 'export', command, inputs, outputs: ['base/config.json'] });
});

let hub: HubServer;
let runpod: RunpodServer;
let said: string[];
const log = (line: string) => void said.push(line);
beforeEach(async () => {
  said = [];
  hub = await hubServer({ token });
  runpod = await runpodServer({ key, entry: [process.execPath, main], home: at('pods'), secrets: { hub: token } });
});
afterEach(async () => {
  await runpod.close();
  await hub.close();
  for (const name of ['base', 'base.job.json', 'base.job.ended.json', 'pods']) rmSync(at(name), { recursive: true, force: true });
});

const wait = async () => {};
const repository = () => `team/clinfuse-job-${job.id}`;
const target = (more = '') =>
  runpodTarget({
    name: `runpod:image=registry/clinfuse:1${more}`,
    runpod: openRunpod({ endpoint: runpod.endpoint, key, log, wait }),
    hub: () => openHub({ endpoint: hub.endpoint, token, kind: 'dataset', log, wait }),
    environment: { HF_TOKEN: token, HF_ENDPOINT: hub.endpoint, RUNPOD_ENDPOINT: runpod.endpoint },
    progress: silent,
    log,
  });
const options = (more = '') =>
  ({ job, target: target(more), output: at('base'), kind: 'folder', timeOut: 3_600_000, clock: Date.now, log }) as const;
const call = (more = '') => launchOrCollect(options(more));
const here = () => existsSync(at('base', 'base', 'model.safetensors'));
/** What a job must leave: no pod that costs, nothing of a patient on the hub. */
const nothingLeft = () => expect({ pods: runpod.pods.size, datasets: [...hub.datasets.keys()] }).toEqual({ pods: 0, datasets: [] });

describe('a job on runpod', () => {
  test('is launched, told to run, and collected; then nothing is left there', async () => {
    expect(await call()).toMatchObject({ outcome: 'started', id: job.id, target: 'runpod:image=registry/clinfuse:1' });
    expect(said[0]).toMatch(/go to team\/clinfuse-job-[0-9a-f]{16} on the hub, private, .*1 x NVIDIA A40 \(SECURE\)/);
    const dataset = hub.datasets.get(repository())!;
    expect(dataset.isPrivate).toBe(true);
    expect(runpod.made[0]!.request).toMatchObject({
      ...{ name: `clinfuse-${job.id}`, imageName: 'registry/clinfuse:1', computeType: 'GPU', gpuTypeIds: ['NVIDIA A40'], gpuCount: 1 },
      ...{ cloudType: 'SECURE', containerDiskInGb: 50, dockerStartCmd: ['job', 'run', 'job', '--hub', repository(), '--limit', '24'] },
    });
    expect(await call()).toMatchObject({ outcome: 'running' });
    expect(here()).toBe(false);

    await runpod.empty();
    expect(dataset.titles).toEqual([`Job ${job.id}`, 'Heartbeat', 'Result']);
    expect(await call()).toMatchObject({ outcome: 'collected' });
    expect(here()).toBe(true);
    nothingLeft();
    expect(runpod.most()).toBe(1);
    expect(await call()).toMatchObject({ outcome: 'collected' });
    expect(runpod.made).toHaveLength(1);

    // Key and token are where they must be, and nowhere else.
    expect(runpod.made[0]!.request.env).toMatchObject({ HF_TOKEN: token });
    expect(Object.values(runpod.made[0]!.request.env)).not.toContain(key);
    const sent = [...dataset.earlier.values(), dataset.files].flatMap((files) => [...files.values()].map((one) => one.toString('latin1')));
    const { env: _, ...request } = runpod.made[0]!.request;
    const written = [...said, runpod.made[0]!.output, readFileSync(recordFile(at('base')), 'utf8'), JSON.stringify(request), ...sent];
    expect(written.filter((text) => text.includes(token) || text.includes(key))).toEqual([]);
  });

  test('gets the token as a secret of RunPod where one is named', async () => {
    await call(',secret=hub');
    expect(runpod.made[0]!.request.env['HF_TOKEN']).toBe('{{ RUNPOD_SECRET_hub }}');
    await runpod.empty();
    expect(await call(',secret=hub')).toMatchObject({ outcome: 'collected' });
    nothingLeft();
  });

  test('is found by its name where a launch died before it was written down: there is never a second pod', async () => {
    await target().launch(job);
    expect(await call()).toMatchObject({ outcome: 'running' });
    await target().launch(job);
    expect(runpod.made).toHaveLength(1);
    await runpod.empty();
    expect(await call()).toMatchObject({ outcome: 'collected' });
  });

  test('launched twice at once has one pod in the end, and both launches know it', async () => {
    const handles = await Promise.all([target().launch(job), target().launch(job)]);
    expect(runpod.pods.size).toBe(1);
    for (const handle of handles) expect(await target().status(handle)).toMatchObject({ state: 'running' });
    await target().stop(handles[1]);
    nothingLeft();
  });

  test('is not asked for twice where the answer was lost', async () => {
    runpod.fail(/POST/, lost);
    expect(await call()).toMatchObject({ outcome: 'started' });
    expect(runpod.made).toHaveLength(1);
    expect(said.join('\n')).toMatch(/not reached: .*looking whether the pod was made/);
  });

  test('is cancelled: pod and data set are gone', async () => {
    await call();
    expect(await cancel({ ...options(), id: job.id })).toBe(true);
    nothingLeft();
    expect(readRecord(at('base'))).toBeUndefined();
  });

  test.each<[string, Parameters<typeof says>, RegExp]>([
    ['a key that is not accepted', [401, 'unauthorized'], /^runpod: key not accepted \(401\); set RUNPOD_API_KEY/],
    ['an empty account', [402, 'balance too low'], /^runpod: no credit left \(402\): balance too low/],
    ['no machine free', [500, 'There are no instances currently available'], /^runpod: no machine free \(500\): .*name other machines/],
    ['a machine there is none of', [400, 'gpuTypeIds: NVIDIA A400 is unknown'], /^runpod: refused \(400\): gpuTypeIds: NVIDIA A400/],
    ['a server that asks for too much patience', [429, 'slow down', { 'retry-after': '3600' }], /is busy \(429\)/],
  ])('is not launched with %s: one line, no record, no pod', async (_, answer, line) => {
    runpod.fail(/POST/, says(...answer));
    await expect(call()).rejects.toThrow(line);
    expect({ record: readRecord(at('base')), pods: runpod.made.length }).toEqual({ record: undefined, pods: 0 });
    const sent = hub.requests.filter((one) => one.startsWith('PUT')).length;
    expect(await call()).toMatchObject({ outcome: 'started' });
    // The inputs are there already.
    expect(hub.requests.filter((one) => one.startsWith('PUT'))).toHaveLength(sent);
    expect(hub.datasets.get(repository())!.titles).toEqual([`Job ${job.id}`, `Job ${job.id}`]);
  });

  test('that could not be launched leaves nothing after it is cancelled', async () => {
    runpod.fail(/POST/, says(402, 'balance too low'));
    await expect(call()).rejects.toThrow(/no credit/);
    expect(await cancel({ ...options(), id: job.id })).toBe(true);
    nothingLeft();
  });

  test('waits where RunPod says so', async () => {
    runpod.fail(/POST/, says(429, 'slow down', { 'retry-after': '7' }));
    expect(await call()).toMatchObject({ outcome: 'started' });
    expect(said).toContainEqual(expect.stringMatching(/is busy \(429\); asking again in 7 s/));
  });
});

describe('what goes wrong on the way', () => {
  test('a pod that dies in the middle is told, cleared away, and launched anew by the next call', async () => {
    const { fault, asked } = held();
    hub.fail(/resolve.*in\/model\/model.safetensors/, fault);
    await call();
    await asked;
    runpod.breakDown('pod1x');
    await expect(call()).rejects.toThrow(/failed on runpod.*its pod ended without a word/);
    nothingLeft();
    expect(here()).toBe(false);
    expect(await call()).toMatchObject({ outcome: 'started' });
    await runpod.empty();
    expect(await call()).toMatchObject({ outcome: 'collected' });
    expect(runpod.most()).toBe(1);
  });

  test('a pod that is not heard of any more is given up and deleted', async () => {
    const { fault, asked } = held();
    hub.fail(/resolve.*in\/model\/model.safetensors/, fault);
    await call();
    await asked;
    const later = { ...options(), clock: () => Date.now() + 2 * 3_600_000 };
    await expect(launchOrCollect(later)).rejects.toThrow(/failed on runpod.*not heard of for 1\d\d min/);
    nothingLeft();
  });

  test('a container that is killed is not begun again by the next: it says so and deletes its pod', async () => {
    const { fault, asked } = held();
    hub.fail(/resolve.*in\/model\/model.safetensors/, fault);
    await call();
    await asked;
    runpod.crash('pod1x');
    await runpod.empty();
    expect(runpod.made[0]!.starts).toBe(2);
    await expect(call()).rejects.toThrow(/its container was started again in the middle of it/);
    nothingLeft();
  });

  test('half a result is none: files are there, their commit is not', async () => {
    const isResult = /commit/;
    const pass = () => false;
    hub.fail(isResult, pass, pass, (request, response) => {
      runpod.breakDown('pod1x');
      return cut(request, response, () => {});
    });
    await call();
    await until(() => runpod.pods.get('pod1x')?.desiredStatus === 'EXITED');
    expect(hub.requests.some((one) => one.startsWith('PUT /storage'))).toBe(true);
    await expect(call()).rejects.toThrow(/its pod ended without a word/);
    expect(here()).toBe(false);
    nothingLeft();
  });

  test('a job that fails sends its reason and the end of its log, and no result', async () => {
    const inputs = { model: await jobInput(at('model', 'tokenizer.json')) };
    const bad = nameJob({ ...job, inputs });
    await launchOrCollect({ ...options(), job: bad });
    await runpod.empty();
    await expect(launchOrCollect({ ...options(), job: bad })).rejects.toThrow(
      /failed on runpod:.*: exit code 2; its record and the end of its log/,
    );
    expect(said.join('\n')).toMatch(/clinfuse: /);
    nothingLeft();
  });

  test('a hub that is not reached is not taken for one that knows nothing: nothing is launched, nothing forgotten', async () => {
    await call();
    await runpod.empty();
    const record = readRecord(at('base'));
    hub.fail(/revision/, ...Array(6).fill(cut));
    await expect(call()).rejects.toThrow(/hub: not reached/);
    expect(readRecord(at('base'))).toEqual(record);
    rmSync(recordFile(at('base')));
    hub.fail(/revision/, ...Array(6).fill(cut));
    await expect(call()).rejects.toThrow(/hub: not reached/);
    expect(runpod.made).toHaveLength(1);
    expect(await call()).toMatchObject({ outcome: 'collected' });
  });

  test('a pod that is not gone though it was deleted is not taken for gone: the next call sees to it', async () => {
    const { fault, asked } = held();
    hub.fail(/resolve.*in\/model\/model.safetensors/, fault);
    await call();
    await asked;
    runpod.fail(/DELETE/, (_, response) => {
      response.writeHead(204).end();
      return true;
    });
    await expect(cancel(options())).rejects.toThrow(/pod pod1x was to be deleted and is still there/);
    expect(readRecord(at('base'))).toMatchObject({ phase: 'running' });
    expect(await cancel(options())).toBe(true);
    nothingLeft();
  });

  test('inputs that could not be sent start no pod', async () => {
    hub.fail(/commit/, ...Array(6).fill(cut));
    await expect(call()).rejects.toThrow(/hub: not reached/);
    expect(runpod.made).toEqual([]);
    const sent = hub.requests.filter((one) => one.startsWith('PUT')).length;
    expect(await call()).toMatchObject({ outcome: 'started' });
    // What had arrived is not sent again; job.json is small.
    expect(hub.requests.filter((one) => one.startsWith('PUT')).length).toBe(sent);
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setTimeout(done, 5));
}
