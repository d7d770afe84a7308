import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { followRun } from '../../src/training/mlflow-follow.ts';
import { openRunLog } from '../../src/training/run-log.ts';
import { type Fault, type MlflowServer, mlflowServer, silent, status } from './mlflow-server.ts';

let home: string;
let server: MlflowServer;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'clinfuse-follow-'));
  server = await mlflowServer();
});
afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

/** A run of twenty steps, followed from its start; the server's faults come first. */
async function followed({
  faults = [],
  limitMs = 20_000,
  timeoutMs = 10_000,
}: {
  faults?: readonly Fault[];
  limitMs?: number;
  timeoutMs?: number;
} = {}) {
  server.fail(...faults);
  const said: string[] = [];
  const log = openRunLog(home, { name: 'followed', experiment: 'tests', clock: () => 1 });
  const follower = followRun(home, {
    server: { uri: server.uri, timeoutMs, wait: async () => {} },
    isRunning: () => false,
    log: (line) => said.push(line),
  });
  for (let step = 1; step <= 20; step++) await log.metrics([{ step, key: 'loss', value: 1 / step, time: step }]);
  await log.finish('finished', {});
  await follower.stop(limitMs);
  return said;
}
const steps = () => server.runs[0]?.metrics.map(({ step }) => step);
const all = Array.from({ length: 20 }, (_, i) => i + 1);

describe('a run that is followed', () => {
  test('is there when it ends, and its page is told', async () => {
    expect(await followed()).toEqual([`MLflow: ${server.uri}/#/experiments/1/runs/${server.runs[0]!.info.run_id}`]);
    expect(steps()).toEqual(all);
    expect(server.runs[0]!.info.status).toBe('FINISHED');
  });

  test('a server that is broken at first: said once, and all is there', async () => {
    const said = await followed({ faults: Array<Fault>(3).fill(status(500)) });
    expect(said).toEqual([
      expect.stringMatching(/^mlflow: .* is busy \(500\); .* \(training goes on\)$/),
      expect.stringMatching(/^mlflow: .* is back$/),
      expect.stringMatching(/^MLflow: /),
    ]);
    expect(steps()).toEqual(all);
  });

  test.each([
    { name: 'refuses', faults: Array<Fault>(50).fill(status(401)), limitMs: 20_000 },
    { name: 'is broken for good', faults: Array<Fault>(50).fill(status(500)), limitMs: 20_000 },
    { name: 'never answers', faults: Array<Fault>(50).fill(silent), limitMs: 200 },
  ])('a server that $name ends nothing; the command that sends the rest is told', async ({ faults, limitMs }) => {
    const said = await followed({ faults, limitMs });
    expect(said.at(-1)).toMatch(/^mlflow: not all of the run was sent.*; send the rest with: clinfuse runs push /);
  });
});
