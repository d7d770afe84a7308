import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';

import { silent } from '../../src/base/progress.ts';
import { openHub } from '../../src/models/hub.ts';
import { type JobPlace, readJob, sendJob } from '../../src/remote/hub-transport.ts';
import { runHubJob } from '../../src/remote/hub-worker.ts';
import { type JobState, jobInput, nameJob } from '../../src/remote/job.ts';
import { readJobFile } from '../../src/remote/job-folder.ts';
import { writeManifest } from '../../src/remote/result.ts';
import { cut, type HubServer, hubServer } from '../models/hub-server.ts';

const token = 'hf_secret';
const name = 'team/clinfuse-job-1';
const home = mkdtempSync(join(tmpdir(), 'clinfuse-hub-worker-'));
const folder = join(home, 'job');
afterAll(() => rmSync(home, { recursive: true, force: true }));
mkdirSync(join(home, 'model'));
writeFileSync(join(home, 'model', 'config.json'), '{}');
writeFileSync(join(home, 'model', 'weights'), Buffer.alloc(5000, 1));
writeFileSync(join(home, 'pairs.csv'), 'text\na\n');
const job = nameJob({
  ...{ stage: 'infer', command: ['nothing'], outputs: ['a.txt'] },
  inputs: { model: await jobInput(join(home, 'model')), 'pairs.csv': await jobInput(join(home, 'pairs.csv')) },
});

let server: HubServer;
let place: JobPlace;
let said: string[];
let waits: number[];
let now = 0;
beforeEach(async () => {
  [said, waits] = [[], []];
  server = await hubServer({ token });
  const log = (line: string) => void said.push(line);
  const hub = await openHub({ endpoint: server.endpoint, token, kind: 'dataset', log, wait: async () => {} });
  place = { hub, name, progress: silent, log };
});
afterEach(() => server.close());

/** Does what a job of a folder does: files, then the manifest. */
async function done(): Promise<JobState> {
  mkdirSync(join(folder, 'out'), { recursive: true });
  writeFileSync(join(folder, 'out', 'a.txt'), 'made');
  const { revision } = await writeManifest(folder, readJobFile(folder));
  return { state: 'done', revision };
}
const work = (run: (onBeat: () => void) => Promise<JobState> = done) =>
  runHubJob({ ...place, folder, run, clock: () => now, every: 1000, wait: async (ms) => void waits.push(ms) });
const titles = () => server.datasets.get(name)!.titles;

describe('a worker of the hub', () => {
  test('finds its inputs as they were sent, and its result takes the place of its words', async () => {
    await sendJob(job, place);
    let seen: string[] = [];
    await work(() => {
      seen = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
      return done();
    });
    expect(seen).toEqual(['in', 'in/model', 'in/model/config.json', 'in/model/weights', 'in/pairs.csv', 'job.json']);
    expect([...server.datasets.get(name)!.files.keys()].filter((path) => !path.startsWith('in/'))).toEqual([
      ...['job.json', 'manifest.json', 'out/a.txt'],
    ]);
    expect((await readJob(place))?.said).toMatchObject({ state: 'done' });
    expect(titles()).toEqual([`Job ${job.id}`, 'Heartbeat', 'Result']);
  });

  test('tells that it lives now and then, and goes on where that is not heard', async () => {
    await sendJob(job, place);
    await work(async (onBeat) => {
      onBeat();
      now += 1000;
      onBeat();
      onBeat();
      now += 1000;
      server.fail(/commit/, ...Array(6).fill(cut));
      onBeat();
      return done();
    });
    expect(titles()).toEqual([`Job ${job.id}`, 'Heartbeat', 'Heartbeat', 'Result']);
    expect(said.at(-1)).toMatch(/not told that it lives: hub: not reached/);
  });

  test('keeps trying to send what it made', async () => {
    await sendJob(job, place);
    await work(async () => {
      server.fail(/commit/, ...Array(14).fill(cut));
      return done();
    });
    expect(waits).toEqual([30_000, 60_000]);
    expect((await readJob(place))?.said).toMatchObject({ state: 'done' });
  });

  test('does nothing twice: what was said of this launch stands', async () => {
    await sendJob(job, place);
    await work(() => Promise.resolve({ state: 'failed', reason: 'exit code 1', log: 'out of luck' }));
    const never = () => Promise.reject(new Error('begun again'));
    expect(await work(never)).toEqual({ state: 'failed', reason: 'exit code 1', log: 'out of luck' });
    expect((await readJob(place))?.said).toEqual({ state: 'failed', reason: 'exit code 1', log: 'out of luck' });
    await sendJob(job, place);
    expect((await readJob(place))?.said).toBeUndefined();
    expect(await work()).toMatchObject({ state: 'done' });
  });

  test('a fault of its own is a reason like another', async () => {
    await sendJob(job, place);
    expect(await work(() => Promise.reject(new Error('no space left')))).toEqual({ state: 'failed', reason: 'no space left' });
    expect((await readJob(place))?.said).toEqual({ state: 'failed', reason: 'no space left' });
  });

  test('without a job there is nothing to do', async () => {
    await expect(work()).rejects.toThrow(/none was sent: team\/clinfuse-job-1/);
    expect(await readJob(place)).toBeUndefined();
  });

  test('a data set that everybody sees is sent nothing', async () => {
    server.add(name, {}, false, 'datasets');
    await expect(sendJob(job, place)).rejects.toThrow(/everybody can see team\/clinfuse-job-1/);
  });
});
