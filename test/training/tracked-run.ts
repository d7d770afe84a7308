// The log of a run with everything that a log can hold, for tests that send it.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { openRunLog } from '../../src/training/run-log.ts';

export const runId = '0123456789abcdef0123456789abcdef';
export const longParam = Array.from({ length: 2000 }, (_, i) => `layer-${i}`).join(',');

/** Settings, figures (some not finite), files, a kill, a rewind with steps told anew, and the end. */
export async function writeTrackedRun(
  folder: string,
  { id = runId, experiment = 'tracked' }: { readonly id?: string; readonly experiment?: string } = {},
): Promise<void> {
  const log = join(folder, 'log');
  let now = 1_760_000_000_000;
  const clock = () => ++now;
  const figures = (step: number, loss: number) => [
    { step, key: 'loss', value: loss, time: clock() },
    { step, key: 'grad norm, ∞', value: step === 2 ? Number.POSITIVE_INFINITY : step / 10, time: now },
  ];
  const first = openRunLog(log, { name: 'rank 8', experiment, clock, id });
  await first.params({ rank: '8', targets: longParam, evaluationEvery: '10' });
  await first.tags({ model: 'small', 'git.commit': 'c0ffee' });
  await first.rewind(-1);
  for (let step = 1; step <= 5; step++) await first.metrics(figures(step, 3 - step / 10));
  await first.finish('killed', { steps: 5 });
  const again = openRunLog(log, { name: 'rank 8', experiment, clock, resume: true });
  await again.params({ rank: '8', targets: longParam, evaluationEvery: '20' });
  await again.rewind(3);
  for (let step = 4; step <= 7; step++) await again.metrics(figures(step, step === 6 ? Number.NaN : 3 - step / 10));
  mkdirSync(join(folder, 'adapter'), { recursive: true });
  writeFileSync(join(folder, 'adapter', 'adapter config.json'), '{"r": 8}\n');
  writeFileSync(join(folder, 'adapter', 'weights.bin'), Buffer.from(Array.from({ length: 999 }, (_, i) => i % 128)));
  await again.artifact(join(folder, 'adapter'));
  await again.finish('finished', { steps: 7 });
}
