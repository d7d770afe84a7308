import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type MlflowOptions, openMlflow } from '../../src/training/mlflow-client.ts';
import { openPush, readPushed } from '../../src/training/mlflow-push.ts';
import { openRunLog } from '../../src/training/run-log.ts';
import { cutAfter, cutBefore, cutWithin, type Fault, type MlflowServer, mlflowServer, silent, status } from './mlflow-server.ts';
import { longParam, runId, writeTrackedRun } from './tracked-run.ts';

let home: string;
let server: MlflowServer;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'clinfuse-mlflow-'));
  server = await mlflowServer();
});
afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

/** Pushes as a new process would. */
async function push(options: Partial<MlflowOptions> & { folder?: string; experiment?: string } = {}) {
  const { folder = join(home, 'log'), experiment, ...given } = options;
  const client = openMlflow({ uri: server.uri, wait: async () => {}, ...given });
  const pushing = openPush(folder, { client, isRunning: () => true, experiment });
  try {
    return await pushing.push();
  } finally {
    pushing.close();
  }
}

/** All that a server holds of the one run. */
function held({ runs, artifacts }: MlflowServer) {
  const active = runs.filter(({ info }) => info.lifecycle_stage === 'active');
  expect(active).toHaveLength(1);
  const { info, params, tags, metrics } = active[0]!;
  const points = metrics.map(({ key, step, value, timestamp }) => `${key} ${step} ${value} ${timestamp}`).sort();
  const files = [...artifacts].map(([path, text]) => `${path.replace(/^\d+\/[\da-f]+\//, '')}: ${text.length}`).sort();
  return { status: info.status, start: info.start_time, end: info.end_time, params: [...params], tags: [...tags].sort(), points, files };
}

describe('a run on its way to MLflow', () => {
  test('arrives whole: settings, figures with steps and times, files, tags, its end', async () => {
    await writeTrackedRun(home);
    const { events, metrics, files, left } = await push();
    expect({ events, metrics, files, left }).toEqual({ events: 20, metrics: 14, files: 2, left: [] });
    const { status, params, tags, points, files: stored } = held(server);
    expect(status).toBe('FINISHED');
    expect(new Map(params).get('rank')).toBe('8');
    expect(new Map(params).get('targets')).toMatch(/^layer-0,.*\.\.\. \(the first 5920 of \d+ characters\)$/);
    expect(new Map(tags)).toEqual(
      new Map([
        ['clinfuse.pushed_events', '20'],
        ['clinfuse.run_id', runId],
        ['git.commit', 'c0ffee'],
        ['mlflow.source.git.commit', 'c0ffee'],
        ['mlflow.source.name', 'clinfuse'],
        ['mlflow.source.type', 'LOCAL'],
        ['model', 'small'],
        ['param.evaluationEvery', '20'],
      ]),
    );
    expect(points.filter((point) => point.startsWith('loss')).map((point) => point.split(' ').slice(0, 3).join(' '))).toEqual([
      ...['loss 1 2.9', 'loss 2 2.8', 'loss 3 2.7', 'loss 4 2.6', 'loss 5 2.5', 'loss 6 NaN', 'loss 7 2.3'],
    ]);
    expect(points.some((point) => point.startsWith('grad norm_x2c _x221e 2 Infinity '))).toBe(true);
    expect(stored).toEqual([
      ...['artifacts/adapter/adapter config.json: 9', 'artifacts/adapter/weights.bin: 999'],
      ...[`artifacts/params/targets.txt: ${longParam.length}`, 'artifacts/summary.json: 17'],
    ]);
  });

  test('is known again: pushed twice, from a copy, or where the cursor is lost', async () => {
    await writeTrackedRun(home);
    await push();
    const once = held(server);
    expect(await push()).toMatchObject({ metrics: 0, files: 0, events: 20 });
    cpSync(join(home, 'log'), join(home, 'copy'), { recursive: true });
    rmSync(join(home, 'copy', 'pushed.json'));
    expect(await push({ folder: join(home, 'copy') })).toMatchObject({ metrics: 0, files: 0 });
    expect(held(server)).toEqual(once);
    expect(readPushed(join(home, 'copy'))).toEqual({ [server.uri]: { runId: server.runs[0]!.info.run_id, experimentId: '1', events: 20 } });
    // A run stays in the experiment it went to first.
    await push({ experiment: 'another' });
    expect(server.runs).toHaveLength(1);
  });

  test.each([
    { name: 'before a request', fault: cutBefore },
    { name: 'after a request was carried out', fault: cutAfter },
    { name: 'in the middle of an answer', fault: cutWithin },
  ])('cut $name, at each in turn: pushed again by the same process or by another, everything is there once', async ({ fault }) => {
    await writeTrackedRun(home);
    await push();
    const whole = held(server);
    const count = server.requests.length;
    expect(count).toBeGreaterThan(12);
    for (let at = 0; at < count; at++) {
      const fails: (Fault | undefined)[] = [...Array<undefined>(at), fault];
      for (const tries of [1, 6]) {
        await server.close();
        server = await mlflowServer();
        rmSync(join(home, 'log', 'pushed.json'), { force: true });
        server.fail(...fails);
        if (tries === 1) await expect(push({ tries })).rejects.toThrow(/^mlflow: 127\.0\.0\.1:\d+ was not reached; nothing is lost/);
        await push({ tries });
        expect(held(server)).toEqual(whole);
      }
    }
  });

  test('is sent on as it grows, cut at every second request', async () => {
    await writeTrackedRun(home);
    await push();
    const whole = held(server);
    await server.close();
    server = await mlflowServer();
    const lines = readFileSync(join(home, 'log', 'events.jsonl'), 'utf8').split(/(?<=\n)/);
    cpSync(join(home, 'log'), join(home, 'grown'), { recursive: true });
    const client = openMlflow({ uri: server.uri, wait: async () => {} });
    writeFileSync(join(home, 'grown', 'events.jsonl'), '');
    rmSync(join(home, 'grown', 'pushed.json'));
    const growing = openPush(join(home, 'grown'), { client, isRunning: () => true });
    server.fail(...Array.from({ length: 200 }, (_, i) => (i % 2 ? cutAfter : undefined)));
    for (let count = 1; count <= lines.length; count++) {
      writeFileSync(join(home, 'grown', 'events.jsonl'), lines.slice(0, count).join(''));
      await growing.push();
    }
    growing.close();
    const grown = held(server);
    // What was told before the rewind had gone out: it stays, and steps told anew are not told twice.
    const steps = (points: readonly string[]) => points.map((point) => point.replace(/ \S+ \d+$/, ''));
    expect(steps(grown.points)).toEqual(steps(whole.points));
    expect({ ...grown, points: [] }).toEqual({ ...whole, points: [] });
  });

  test('many figures and settings go in as many requests as MLflow allows', async () => {
    const log = openRunLog(join(home, 'log'), { name: 'large', experiment: 'tests', clock: () => 5, id: runId });
    await log.params(Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`p${i}`, 'é'.repeat(5000)])));
    await log.tags(Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`t${i}`, 'x'.repeat(9000)])));
    await log.metrics(Array.from({ length: 2500 }, (_, i) => ({ step: 1, key: `m${i}`, value: i, time: 5 })));
    await push();
    const { params, points, tags, files } = held(server);
    expect([params.length, points.length, files.length]).toEqual([250, 2500, 150]);
    expect(new Map(tags).get('t7')).toHaveLength(7920 + '... (the first 7920 of 9000 characters)'.length);
    expect(server.requests.filter(({ line }) => line.endsWith('log-batch')).length).toBeGreaterThan(5);
  });

  test('of two runs on the server with its id the empty one goes: a request answered too late made it', async () => {
    await writeTrackedRun(home);
    server.fail(undefined, undefined, undefined, cutBefore);
    await expect(push({ tries: 1 })).rejects.toThrow();
    await push();
    server.runs.push({
      ...structuredClone(server.runs[0]!),
      info: { ...server.runs[0]!.info, run_id: 'late' },
      tags: new Map([['clinfuse.run_id', runId]]),
    });
    expect((await push()).runId).toBe(server.runs[0]!.info.run_id);
    expect(server.runs.map(({ info }) => info.lifecycle_stage)).toEqual(['active', 'deleted']);
    server.runs[0]!.info.lifecycle_stage = 'deleted';
    await expect(push()).rejects.toThrow(/^mlflow: run was deleted on the server/);
  });

  test('a file that is gone or changed is left and named; the rest arrives', async () => {
    await writeTrackedRun(home);
    rmSync(join(home, 'log', 'artifacts', 'adapter', 'weights.bin'));
    writeFileSync(join(home, 'log', 'artifacts', 'adapter', 'adapter config.json'), 'other');
    const { left } = await push();
    expect(left).toEqual(['adapter/adapter config.json: changed since the run wrote it', 'adapter/weights.bin: not in the run’s folder']);
    expect(held(server).status).toBe('FINISHED');
  });

  test('one process at a time; a lock of another machine, or of a process that is gone, holds nobody back', async () => {
    await writeTrackedRun(home);
    const lock = join(home, 'log', 'push.lock');
    writeFileSync(lock, `4711 ${hostname()}`);
    await expect(push()).rejects.toThrow(/^push: process 4711 is pushing this run/);
    writeFileSync(lock, '4711 elsewhere');
    expect((await push()).events).toBe(20);
  });
});

describe('a server with faults', () => {
  test.each([
    { name: '500, then well', faults: [status(500), status(500)], waits: [500, 1000] },
    { name: 'too many requests, with the time to wait', faults: [status(429, { 'retry-after': '7' })], waits: [7000] },
    { name: 'a proxy that is lost', faults: [status(502, {}, '<html>')], waits: [500] },
    { name: 'an answer cut in its middle', faults: [cutWithin], waits: [500] },
    { name: 'silence', faults: [silent], waits: [500] },
  ])('$name: asked again', async ({ faults, waits }) => {
    await writeTrackedRun(home);
    const waited: number[] = [];
    server.fail(...faults);
    await push({ timeoutMs: 300, wait: async (ms) => void waited.push(ms) });
    expect(waited).toEqual(waits);
    expect(held(server).points).toHaveLength(14);
  });

  const json = (error_code: string, message: string) => JSON.stringify({ error_code, message });
  test.each([
    { name: '401', fault: status(401), says: /^mlflow: not without a valid login \(401\): [\d.:]+; set MLFLOW_TRACKING_TOKEN/ },
    { name: '401 in spite of a token', fault: status(401), token: 'secret', says: /the token or password may have changed$/ },
    { name: '403', fault: status(403), says: /^mlflow: not allowed \(403\)/ },
    {
      name: '404 of something else',
      fault: status(404, {}, '<html>'),
      says: /^mlflow: no MLflow there \(404\): .*; check MLFLOW_TRACKING_URI$/,
    },
    {
      name: '400',
      fault: status(400, {}, json('INVALID_PARAMETER_VALUE', 'Bad\nname')),
      says: /^mlflow: refused \(400\): experiments.*: Bad name$/,
    },
    { name: 'a page instead of an answer', fault: status(200, {}, '<html>'), says: /^mlflow: not an answer of MLflow/ },
    { name: 'a move', fault: status(301, { location: 'https://elsewhere' }), says: /^mlflow: moved \(301\)/ },
  ])('$name: one line, asked once', async ({ fault, says, token }) => {
    await writeTrackedRun(home);
    server.fail(fault);
    await expect(push({ token })).rejects.toThrow(says);
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    { name: 'none', options: {}, sent: undefined },
    { name: 'a token', options: { token: 'abc', username: 'ada' }, sent: 'Bearer abc' },
    { name: 'a user', options: { username: 'ada', password: 'p:w' }, sent: `Basic ${btoa('ada:p:w')}` },
  ])('credentials go along: $name', async ({ options, sent }) => {
    await writeTrackedRun(home);
    await push(options);
    expect(new Set(server.requests.map(({ authorization }) => authorization))).toEqual(new Set([sent]));
  });

  test('credentials in the address are sent, and told to nobody', async () => {
    await writeTrackedRun(home);
    const { port } = new URL(server.uri);
    const uri = `http://ada:p%40w@127.0.0.1:${port}`;
    await push({ uri });
    expect(server.requests[0]!.authorization).toBe(`Basic ${btoa('ada:p@w')}`);
    expect(Object.keys(readPushed(join(home, 'log')))).toEqual([`http://127.0.0.1:${port}`]);
  });

  test.each(['sqlite:///mlflow.db', 'databricks', 'file:///runs'])('%s is no server', (uri) => {
    expect(() => openMlflow({ uri })).toThrow(/^mlflow: tracking URI is/);
  });
});
