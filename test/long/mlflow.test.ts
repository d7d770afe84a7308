// Against a real MLflow server (bench/peers/setup.sh): all that was pushed is read back value by value, after kills of either side, too.

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { followRun } from '../../src/training/mlflow-follow.ts';
import { keyOf } from '../../src/training/mlflow-runs.ts';
import { openRunLog } from '../../src/training/run-log.ts';
import { readRun } from '../../src/training/tracking.ts';
import { writeTrackedRun } from '../training/tracked-run.ts';
import { type MlflowProcess, startMlflow } from './mlflow-process.ts';

const cache = process.env['CLINFUSE_CACHE'] || join(homedir(), '.cache', 'clinfuse');
const program = join(cache, 'peers', 'mlflow', 'bin', 'mlflow');
const main = resolve(import.meta.dirname, '../../src/cli/main.ts');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-mlflow-long-'));
let server: MlflowProcess;

/** MLflow's databases hold the largest number in place of infinity. */
const asStored = (value: number) => (value === Number.POSITIVE_INFINITY ? Number.MAX_VALUE : value);

describe.skipIf(!existsSync(program))('a real MLflow server', () => {
  beforeAll(async () => void (server = await startMlflow(program, join(home, 'server'))));
  afterAll(async () => {
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });

  const words = (...folders: string[]) => [main, 'runs', 'push', ...folders, '--tracking-uri', server.uri, '--json', '--quiet'];
  const push = (...folders: string[]): { runId: string; metrics: number; left: string[] }[] => {
    const { status, stdout, stderr } = spawnSync(process.execPath, words(...folders), { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout).runs;
  };
  /** The server closes connections that rest, at times just as they are used again. */
  const get = (url: string, init?: RequestInit) => fetch(url, init).catch(() => fetch(url, init));
  const ask = async (path: string) => (await get(`${server.uri}/api/2.0/${path}`)).json() as Promise<Record<string, never>>;

  /** What the server holds, beside what the log says; the log's last figure of a step counts, as the run was pushed at once. */
  async function compare(folder: string, runId: string) {
    const run = readRun(folder);
    const found = (await ask(`mlflow/runs/get?run_id=${runId}`))['run'] as unknown as {
      info: { status: string; start_time: number; end_time: number };
      data: { params?: { key: string; value: string }[]; tags: { key: string; value: string }[] };
    };
    const params = new Map((found.data.params ?? []).map(({ key, value }) => [key, value]));
    for (const [key, value] of Object.entries(run.params)) {
      const tag = found.data.tags.find((one) => one.key === `param.${key}`)?.value;
      if (value.length <= 6000) expect(tag ?? params.get(key)).toBe(value);
      else
        expect(await (await get(`${server.uri}/api/2.0/mlflow-artifacts/artifacts/${await place(runId)}/params/${key}.txt`)).text()).toBe(
          value,
        );
    }
    for (const key of new Set(run.metrics.map((metric) => metric.key))) {
      const answer = await ask(`mlflow/metrics/get-history?run_id=${runId}&metric_key=${encodeURIComponent(keyOf(key))}`);
      const there = answer['metrics'] as unknown as { step: number; timestamp: number; value: number | string }[];
      const said = there.map(({ step, timestamp, value }) => [step, timestamp, Number(value)]).sort(([a], [b]) => a! - b!);
      expect(said).toEqual(run.metrics.filter((one) => one.key === key).map(({ step, time, value }) => [step, time, asStored(value)]));
    }
    for (const { path, size } of run.artifacts) {
      const name = path.split('/').map(encodeURIComponent).join('/');
      const file = await get(`${server.uri}/api/2.0/mlflow-artifacts/artifacts/${await place(runId)}/${name}`);
      expect((await file.arrayBuffer()).byteLength).toBe(size);
    }
    expect([found.info.status, found.info.start_time, found.info.end_time]).toEqual([run.status.toUpperCase(), run.created, run.last]);
  }
  async function place(runId: string): Promise<string> {
    const { run } = (await ask(`mlflow/runs/get?run_id=${runId}`)) as unknown as { run: { info: { artifact_uri: string } } };
    return run.info.artifact_uri.replace('mlflow-artifacts:/', '');
  }
  async function runsIn(experiment: string): Promise<number> {
    const { experiment: found } = (await ask(`mlflow/experiments/get-by-name?experiment_name=${experiment}`)) as unknown as {
      experiment: { experiment_id: string };
    };
    const body = JSON.stringify({ experiment_ids: [found.experiment_id], max_results: 100 });
    const answer = await get(`${server.uri}/api/2.0/mlflow/runs/search`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    return ((await answer.json()) as { runs: unknown[] }).runs.length;
  }

  test('holds a pushed run value by value, and once, also after a push from a copy', async () => {
    await writeTrackedRun(join(home, 'tracked'));
    const folder = join(home, 'tracked', 'log');
    const [pushed] = push(folder);
    await compare(folder, pushed!.runId);
    cpSync(folder, join(home, 'copy'), { recursive: true });
    rmSync(join(home, 'copy', 'pushed.json'));
    expect(push(join(home, 'copy'))).toMatchObject([{ runId: pushed!.runId, metrics: 0, left: [] }]);
    await compare(folder, pushed!.runId);
    expect(await runsIn('tracked')).toBe(1);
  });

  test('pushes killed at any moment and begun again leave one run with every figure once', async () => {
    const folder = join(home, 'killed');
    let now = 1_760_000_000_000;
    const log = openRunLog(folder, { name: 'killed', experiment: 'killed', clock: () => ++now });
    const keys = ['loss', 'eval_loss', 'grad_norm'];
    for (let step = 1; step <= 4000; step++) {
      now += 1000;
      await log.metrics(keys.map((key, i) => ({ step, key, value: (i + 1) / step, time: now })));
      if (step % 400 > 0) continue;
      writeFileSync(join(home, `file-${step}.txt`), 'x'.repeat(step));
      await log.artifact(join(home, `file-${step}.txt`));
    }
    await log.finish('finished', {});
    let kills = 0;
    for (let ms = 600; ms < 3600; ms += 200) {
      const child = spawn(process.execPath, words(folder), { stdio: 'ignore' });
      const timer = setTimeout(() => child.kill('SIGKILL'), ms);
      const signal = await new Promise((done) => child.once('exit', (_, by) => done(by)));
      clearTimeout(timer);
      if (signal === 'SIGKILL') kills += 1;
    }
    expect(kills).toBeGreaterThan(3);
    const [pushed] = push(folder);
    await compare(folder, pushed!.runId);
    expect(await runsIn('killed')).toBe(1);
  });

  test('a server that goes away while a run reports to it: the run goes on, and a later push sends the rest', async () => {
    const folder = join(home, 'followed');
    let now = 1_760_000_000_000;
    const said: string[] = [];
    const log = openRunLog(folder, { name: 'followed', experiment: 'followed', clock: () => ++now });
    const follower = followRun(folder, { server: { uri: server.uri }, isRunning: () => false, log: (line) => said.push(line) });
    const step = async (step: number) => {
      await log.metrics([{ step, key: 'loss', value: 1 / step, time: ++now }]);
      await new Promise((done) => setTimeout(done, 20));
    };
    for (let i = 1; i <= 200; i++) await step(i);
    await server.stop();
    for (let i = 201; i <= 400; i++) await step(i);
    await log.finish('finished', {});
    await follower.stop(5000);
    expect(said.at(-1)).toContain(`send the rest with: clinfuse runs push ${folder}`);
    server = await startMlflow(program, join(home, 'server'), Number(new URL(server.uri).port));
    const [pushed] = push(folder);
    expect(pushed!.metrics).toBeGreaterThan(199);
    await compare(folder, pushed!.runId);
    expect(await runsIn('followed')).toBe(1);
  });
});
