import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { killLoop } from '../../test/pipeline/kill-loop.ts';
import { atLeast, atMost, type Row } from '../row.ts';

/** `kill -9` again and again over six stages: how often, and what was not as after an undisturbed run. */
export async function* kills({ folder, quick }: { readonly folder: string; readonly quick: boolean }): AsyncGenerator<Row> {
  const home = join(folder, 'kills');
  mkdirSync(home);
  const count = quick ? 10 : 200;
  const report = await killLoop({ folder: home, kills: count, seed: 1 });
  for (const line of report.differences) console.error(`     ${line}`);
  yield atLeast('kills of a repro in mid-work', report.kills, count);
  yield atMost(`final states lost to them, of ${report.rounds}`, report.differences.length, 0);
}
