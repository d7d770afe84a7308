import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';

import { jobFileOf, jobInput, nameJob } from '../../src/remote/job.ts';
import { claim, folderState } from '../../src/remote/job-folder.ts';
import { readManifest } from '../../src/remote/result.ts';
import { type RunJobOptions, runJob } from '../../src/remote/run-job.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-worker-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const folder = join(home, "o'neil's job");
const secret = 'hf_aVeryLongSecretIndeed';

/** Sends a job whose program is the shell. */
async function send(script: string, attempt = 'first'): Promise<void> {
  mkdirSync(join(folder, 'in'), { recursive: true });
  writeFileSync(join(folder, 'in', 'data.csv'), 'text\n');
  const inputs = { 'data.csv': await jobInput(join(folder, 'in', 'data.csv')) };
  const job = nameJob({ stage: 'infer', command: ['-c', script], inputs, outputs: ['answers.csv'] });
  writeFileSync(join(folder, 'job.json'), JSON.stringify(jobFileOf(job, attempt)));
}

const work = (more: Partial<RunJobOptions> = {}) =>
  runJob(folder, {
    program: ['/bin/sh'],
    environment: { ...process.env, HF_TOKEN: secret },
    pull: () => Promise.reject(new Error('no hub here')),
    signal: new AbortController().signal,
    clock: () => 1000,
    ...more,
  });

const makes = 'mkdir out; cp in/data.csv out/answers.csv';

beforeEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the worker', () => {
  test('does the job in its folder, and says last of all that there is a result', async () => {
    await send(`[ -e manifest.json ] && exit 1; cat status.json; ${makes}`);
    const { revision, id } = { ...(await work()), ...readManifest(folder)! };
    expect(folderState(folder)).toEqual({ state: 'done', revision });
    expect(readManifest(folder)).toMatchObject({ id, attempt: 'first', files: [{ path: 'answers.csv', size: 5 }] });
    expect(readFileSync(join(folder, 'log.txt'), 'utf8')).toBe('{"state":"running","heartbeat":1000}');
  });

  test('does a finished job not again', async () => {
    await send(`echo once >> ../count; ${makes}`);
    expect(await work()).toEqual(await work());
    expect(readFileSync(join(home, 'count'), 'utf8')).toBe('once\n');
  });

  test.each([
    { name: 'a command that fails', script: `${makes}; echo no memory; exit 3`, reason: /^exit code 3$/, log: 'no memory' },
    { name: 'a command that is killed', script: `${makes}; kill -9 $$`, reason: /^ended by SIGKILL$/, log: '' },
    { name: 'a command that makes nothing', script: 'echo done', reason: /^output not made: answers.csv$/, log: 'done' },
    { name: 'a command that removes its input', script: 'rm in/data.csv; cp in/data.csv out', reason: /^exit code 1$/, log: /data.csv/ },
  ])('leaves of $name a reason and the end of the log, no result', async ({ script, reason, log }) => {
    await send(script);
    expect(await work()).toEqual(folderState(folder));
    expect(folderState(folder)).toEqual({
      state: 'failed',
      reason: expect.stringMatching(reason),
      log: typeof log === 'string' ? log : expect.stringMatching(log),
    });
    expect(existsSync(join(folder, 'manifest.json'))).toBe(false);
  });

  test('does not begin with half an upload', async () => {
    await send(`touch ../begun; ${makes}`);
    writeFileSync(join(folder, 'in', 'data.csv'), 'te');
    expect(await work()).toMatchObject({ state: 'failed', reason: 'input arrived damaged: data.csv; launch again' });
    expect(existsSync(join(home, 'begun'))).toBe(false);
  });

  test('fetches from the hub what is there, and nothing where that fails', async () => {
    const job = nameJob({
      stage: 'infer',
      command: ['-c', 'cp -r in/model out'],
      inputs: { model: { hub: 'o/n', revision: 'v1' } },
      outputs: [],
    });
    mkdirSync(folder);
    writeFileSync(join(folder, 'job.json'), JSON.stringify(jobFileOf(job, 'first')));
    expect(await work()).toMatchObject({ state: 'failed', reason: 'no hub here' });
    const pull = async ({ name, revision, out }: { name: string; revision: string | undefined; out: string }) => {
      mkdirSync(out, { recursive: true });
      writeFileSync(join(out, 'config.json'), `${name}@${revision}`);
    };
    expect(await work({ pull })).toMatchObject({ state: 'done' });
    expect(readFileSync(join(folder, 'out', 'config.json'), 'utf8')).toBe('o/n@v1');
  });

  test('shows no secret of its environment in what it leaves', async () => {
    await send(`printf 'a %s\\nhalf %s' "$HF_TOKEN" "$HF_TOKEN"; exit 1`);
    const state = await work();
    expect(state).toMatchObject({ state: 'failed', log: 'a ***\nhalf ***' });
    const { stdout } = spawnSync('grep', ['-rlF', secret, folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  test.each([
    { name: 'by the word left in its folder', stop: () => writeFileSync(join(folder, 'stop'), '') },
    { name: 'by the removal of its folder', stop: () => rmSync(folder, { recursive: true }) },
  ])('stops its command when told $name', async ({ stop }) => {
    await send('echo $$ > pid; echo begun; while :; do sleep 0.01; done');
    let isTold = false;
    const pid = () => Number(readFileSync(join(folder, 'pid'), 'utf8'));
    let group = 0;
    const ended = await work({
      every: 5,
      onBeat: () => {
        if (isTold || !existsSync(join(folder, 'log.txt'))) return;
        isTold = true;
        group = pid();
        stop();
      },
    });
    expect(ended).toMatchObject({ state: 'failed', reason: 'stopped' });
    expect(() => process.kill(-group, 0)).toThrow(/ESRCH/);
  });

  test('told to stop before it begins, does not begin', async () => {
    await send(`touch ../begun; ${makes}`);
    writeFileSync(join(folder, 'stop'), '');
    expect(await work()).toMatchObject({ state: 'failed', reason: 'stopped' });
    expect(existsSync(join(home, 'begun'))).toBe(false);
  });

  test('is one at a time', async () => {
    await send(makes);
    claim(folder);
    await expect(work()).rejects.toThrow(`job: being done already: ${folder}, by process ${process.pid} of ${hostname()}`);
  });

  test('that was killed is followed by another', async () => {
    await send(makes);
    const { pid } = spawnSync('/bin/true');
    writeFileSync(join(folder, 'worker.json'), JSON.stringify({ host: hostname(), pid, started: 'then', command: null }));
    expect(folderState(folder)).toMatchObject({ state: 'failed', reason: expect.stringContaining('ended without a word') });
    expect(await work()).toMatchObject({ state: 'done' });
  });

  test('of another machine is taken to live', async () => {
    await send(makes);
    writeFileSync(join(folder, 'worker.json'), JSON.stringify({ host: 'elsewhere', pid: 1, started: 'then', command: null }));
    expect(folderState(folder)).toEqual({ state: 'running', heartbeat: undefined });
  });

  test('does nothing where there is no job', async () => {
    mkdirSync(folder);
    await expect(work()).rejects.toThrow(/not the folder of a job/);
  });

  test('leaves a result that a later launch does not take for its own', async () => {
    await send(makes);
    await work();
    await send(makes, 'second');
    expect(folderState(folder)).toMatchObject({ state: 'running' });
  });
});
