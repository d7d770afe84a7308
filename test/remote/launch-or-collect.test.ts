import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';

import { commandTarget } from '../../src/remote/command-target.ts';
import { type Job, jobInput, nameJob } from '../../src/remote/job.ts';
import { claim, writeStatus } from '../../src/remote/job-folder.ts';
import { readRecord, recordFile, writeRecord } from '../../src/remote/job-record.ts';
import { cancel, type LaunchOptions, launchOrCollect } from '../../src/remote/launch-or-collect.ts';
import { runJob } from '../../src/remote/run-job.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-launch-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const root = join(home, 'jobs');
const output = join(home, 'train');
writeFileSync(join(home, 'data.csv'), 'text\nabc\n');

/** A job whose program is the shell: its command is what the shell is told. */
async function jobOf(script: string): Promise<Job> {
  const inputs = { 'data.csv': await jobInput(join(home, 'data.csv')) };
  return nameJob({ stage: 'train', command: ['-c', script], inputs, outputs: ['metrics.json'] });
}

const job = await jobOf(`mkdir -p out/adapter && cp in/data.csv out/adapter/weights && echo '{}' > out/metrics.json && echo made`);
const folder = join(root, job.id);
// A queue that takes jobs and never begins them: the tests do.
const target = commandTarget({ template: ': {folder}', root, environment: process.env });

let now = Date.parse('2026-11-21T12:00:00Z');
const minute = 60_000;
const log: string[] = [];
const options: LaunchOptions = {
  job,
  target,
  output,
  kind: 'folder',
  timeOut: 60 * minute,
  clock: () => now,
  log: (line) => log.push(line),
};
const call = (more: Partial<LaunchOptions> = {}) => launchOrCollect({ ...options, ...more });
const work = () =>
  runJob(folder, {
    program: ['/bin/sh'],
    environment: process.env,
    pull: () => Promise.reject(new Error('no hub here')),
    signal: new AbortController().signal,
    clock: () => now,
  });

beforeEach(() => {
  for (const name of readdirSync(home)) if (name !== 'data.csv') rmSync(join(home, name), { recursive: true, force: true });
  log.length = 0;
});

/** What was before the call that is looked at. */
const before = {
  nothing: () => {},
  'launched, not begun': () => call(),
  'launched, not written down': () => target.launch(job),
  'inputs sent, launch killed': async () => {
    await target.launch(job);
    rmSync(join(folder, 'job.json'));
  },
  'all sent, launch killed': async () => {
    await target.launch(job);
    for (const name of readdirSync(folder)) if (name.startsWith('launcher.')) rmSync(join(folder, name));
  },
  'begun, not written down': async () => {
    await target.launch(job);
    claim(folder);
  },
  'done, not written down': async () => {
    await target.launch(job);
    await work();
  },
  'failed, not written down': async () => {
    await target.launch(await jobOf('exit 3'));
    await target.launch(job);
    writeStatus(folder, { state: 'failed', reason: 'exit code 3', log: '' });
  },
  running: async () => {
    await call();
    claim(folder);
    writeStatus(folder, { state: 'running', heartbeat: now });
  },
  'not begun for long': async () => {
    await call();
    now += 61 * minute;
  },
  done: async () => {
    await call();
    await work();
  },
  failed: async () => {
    await call();
    writeStatus(folder, { state: 'failed', reason: 'exit code 3', log: 'no memory\nended' });
  },
  'worker killed': async () => {
    await call();
    const { pid } = spawnSync('/bin/true');
    writeFileSync(join(folder, 'worker.json'), JSON.stringify({ host: hostname(), pid, started: 'then', command: null }));
    writeFileSync(join(folder, 'log.txt'), 'step 17\n');
  },
  gone: async () => {
    await call();
    rmSync(folder, { recursive: true });
  },
  'half-copied': async () => {
    await before.done();
    writeFileSync(join(folder, 'out/adapter/weights'), 'text');
  },
  'collect killed while copying': async () => {
    await before.done();
    mkdirSync(join(home, '.train.collecting/out'), { recursive: true });
    writeFileSync(join(home, '.train.collecting/out/metrics.json'), 'half');
  },
  'collect killed before stopping': async () => {
    await before.done();
    const record = readRecord(output)!;
    await call();
    await target.launch(job);
    writeRecord(output, { ...record, phase: 'placed', revision: 'r' });
  },
  'collect killed before stopping, output removed': async () => {
    await before.done();
    writeRecord(output, { ...readRecord(output)!, phase: 'placed', revision: 'r' });
  },
  collected: async () => {
    await before.done();
    await call();
  },
  'collected, output removed': async () => {
    await before.collected();
    rmSync(output, { recursive: true });
  },
  'an earlier output of the same kind': () => {
    mkdirSync(output);
    writeFileSync(join(output, 'metrics.json'), '{}');
  },
  'an output of something else': () => {
    mkdirSync(output);
    writeFileSync(join(output, 'thesis.txt'), 'mine');
  },
} as const;

type Expected = {
  readonly was: keyof typeof before;
  readonly does: RegExp;
  readonly phase: 'running' | 'collected' | undefined;
  readonly aside?: RegExp;
  readonly isThere: boolean;
  readonly isHere: boolean;
};

const table: readonly Expected[] = [
  { was: 'nothing', does: /^started$/, phase: 'running', isThere: true, isHere: false },
  { was: 'launched, not begun', does: /^running$/, phase: 'running', isThere: true, isHere: false },
  { was: 'launched, not written down', does: /^running$/, phase: 'running', isThere: true, isHere: false },
  { was: 'inputs sent, launch killed', does: /^started$/, phase: 'running', isThere: true, isHere: false },
  { was: 'all sent, launch killed', does: /^started$/, phase: 'running', isThere: true, isHere: false },
  { was: 'begun, not written down', does: /^running$/, phase: 'running', isThere: true, isHere: false },
  { was: 'done, not written down', does: /^collected$/, phase: 'collected', isThere: false, isHere: true },
  { was: 'failed, not written down', does: /exit code 3/, phase: undefined, aside: /exit code 3/, isThere: false, isHere: false },
  { was: 'running', does: /^running$/, phase: 'running', isThere: true, isHere: false },
  { was: 'not begun for long', does: /not heard of for 61 min/, phase: undefined, aside: /not heard of/, isThere: false, isHere: false },
  { was: 'done', does: /^collected$/, phase: 'collected', isThere: false, isHere: true },
  { was: 'failed', does: /failed on command:.*exit code 3/, phase: undefined, aside: /no memory\\nended/, isThere: false, isHere: false },
  { was: 'worker killed', does: /ended without a word/, phase: undefined, aside: /step 17/, isThere: false, isHere: false },
  { was: 'gone', does: /nothing of it is left/, phase: undefined, aside: /nothing of it/, isThere: false, isHere: false },
  { was: 'half-copied', does: /damaged: adapter\/weights; run again/, phase: 'running', isThere: true, isHere: false },
  { was: 'collect killed while copying', does: /^collected$/, phase: 'collected', isThere: false, isHere: true },
  { was: 'collect killed before stopping', does: /^collected$/, phase: 'collected', isThere: false, isHere: true },
  { was: 'collect killed before stopping, output removed', does: /^collected$/, phase: 'collected', isThere: false, isHere: true },
  { was: 'collected', does: /^collected$/, phase: 'collected', isThere: false, isHere: true },
  { was: 'collected, output removed', does: /^started$/, phase: 'running', isThere: true, isHere: false },
  { was: 'an earlier output of the same kind', does: /^started$/, phase: 'running', isThere: true, isHere: true },
  { was: 'an output of something else', does: /holds what this job does not write/, phase: undefined, isThere: false, isHere: true },
];

describe('a call', () => {
  test.each(table)('after $was: $does', async ({ was, does, phase, aside, isThere, isHere }) => {
    await before[was]();
    const said = await call().then(
      ({ outcome }) => outcome,
      (error: Error) => error.message,
    );
    expect(said).toMatch(does);
    expect(said).not.toContain('\n');
    expect(readRecord(output)?.phase).toBe(phase);
    expect(existsSync(folder)).toBe(isThere);
    expect(existsSync(output)).toBe(isHere);
    const ended = recordFile(output).replace('.json', '.ended.json');
    expect(existsSync(ended)).toBe(aside !== undefined);
    if (aside) expect(readFileSync(ended, 'utf8')).toMatch(aside);
    expect(readdirSync(home).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('that collects puts the whole result into place, and nothing of the job', async () => {
    await before.done();
    await call();
    expect(readdirSync(output, { recursive: true }).sort()).toEqual(['adapter', 'adapter/weights', 'metrics.json']);
    expect(readFileSync(join(output, 'adapter/weights'), 'utf8')).toBe('text\nabc\n');
  });

  test('after a half-copied result collects it when it is whole', async () => {
    await before['half-copied']();
    await expect(call()).rejects.toThrow(/damaged/);
    writeFileSync(join(folder, 'out/adapter/weights'), 'text\nabc\n');
    expect(await call()).toMatchObject({ outcome: 'collected' });
  });

  test('after a failure launches anew', async () => {
    await before.failed();
    await expect(call()).rejects.toThrow();
    expect(await call()).toMatchObject({ outcome: 'started' });
    await work();
    expect(await call()).toMatchObject({ outcome: 'collected' });
  });

  test('with other settings or on another machine says so and changes nothing', async () => {
    await before.running();
    await expect(call({ job: await jobOf('true') })).rejects.toThrow(/with other settings or inputs.*clinfuse job cancel/);
    const other = commandTarget({ template: 'true {folder}', root, environment: process.env });
    await expect(call({ target: other })).rejects.toThrow(/on another machine: command:: \{folder\}; cancel it first/);
    expect(await call()).toMatchObject({ outcome: 'running' });
  });

  test('tells what is sent before it launches', async () => {
    await call();
    expect(log).toEqual([expect.stringMatching(/^9 B are copied to .*what the command costs is not known here$/)]);
    expect(readRecord(output)).toMatchObject({ estimate: log[0], launchedAt: new Date(now).toISOString(), heartbeat: null });
  });

  test('notes when the job was last heard of', async () => {
    await before.running();
    now += 2 * minute;
    expect(await call()).toMatchObject({ outcome: 'running', heartbeat: new Date(now - 2 * minute).toISOString() });
  });

  test('whose launch fails leaves no record and no folder', async () => {
    const failing = commandTarget({ template: 'echo no such queue >&2; exit 4; {folder}', root, environment: process.env });
    await expect(call({ target: failing })).rejects.toThrow(/launch failed: exit code 4: no such queue/);
    expect(readdirSync(home).filter((name) => !['jobs', 'data.csv'].includes(name))).toEqual([]);
    expect(readdirSync(root)).toEqual([]);
  });

  test('a result of several files beside others: the file asked for, and those that come with it', async () => {
    mkdirSync(join(home, 'answers'));
    writeFileSync(join(home, 'answers', 'other.txt'), 'stays');
    const place = { output: join(home, 'answers', 'metrics.json'), kind: 'file' } as const;
    expect(await call(place)).toMatchObject({ outcome: 'started' });
    await work();
    expect(await call(place)).toMatchObject({ outcome: 'collected' });
    expect(readdirSync(join(home, 'answers')).sort()).toEqual(['adapter', 'metrics.json', 'metrics.json.job.json', 'other.txt']);
  });
});

describe('cancel', () => {
  test.each([
    { was: 'nothing', is: false },
    { was: 'launched, not begun', is: true },
    { was: 'launched, not written down', is: true },
    { was: 'done', is: true },
    { was: 'failed', is: true },
    { was: 'gone', is: true },
    { was: 'collected', is: false },
  ] as const)('after $was: $is, and nothing is left there', async ({ was, is }) => {
    await before[was]();
    expect(await cancel({ output, target, clock: () => now, id: job.id })).toBe(is);
    expect(existsSync(folder)).toBe(false);
    expect(await cancel({ output, target, clock: () => now, id: job.id })).toBe(false);
  });
});
