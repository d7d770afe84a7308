import type { Command } from 'commander';
import { z } from 'zod';

import { duration } from '../../base/text.ts';
import { decidingKey, figuresOf } from '../../training/run-figures.ts';
import { readStore } from '../../training/run-store.ts';
import type { RunRecord } from '../../training/tracking.ts';
import { textTable } from '../table.ts';
import { verb } from '../verb.ts';
import { figure, storeFolder, storeOption, storeSchema } from './options.ts';

/** `clinfuse runs list`: all runs of a store, newest first. */
export function listCommand(): Command {
  return verb({
    name: 'list',
    summary: 'runs below a folder, newest first',
    example: 'clinfuse runs list --runs runs',
    options: [storeOption, { flags: '--experiment <name>', help: 'only those of this experiment' }],
    schema: z.strictObject({ runs: storeSchema, experiment: z.string().optional() }),
    run: async ({ runs: store, experiment }, { log }) => {
      const folder = storeFolder(store);
      const { runs, unreadable } = readStore(folder);
      for (const { fault } of unreadable) log(`runs: left out: ${fault}`);
      const rows = runs.filter((run) => experiment === undefined || run.experiment === experiment).map(rowOf);
      return { text: rows.length > 0 ? tell(rows) : `No runs below ${folder}`, json: { runs: rows, unreadable } };
    },
  });
}

function rowOf(run: RunRecord) {
  const { id, name, experiment, status, created, durationMs, folder } = run;
  const { steps, last, best } = figuresOf(run.metrics);
  const key = decidingKey(run);
  return {
    ...{ id, name, experiment, status, steps, created: new Date(created).toISOString(), durationMs, folder },
    loss: last['loss']?.value ?? null,
    best: key !== undefined && best[key] ? { metric: key, ...best[key] } : null,
  };
}

function tell(rows: readonly ReturnType<typeof rowOf>[]): string {
  const columns = [
    ...[{ name: 'id' }, { name: 'name' }, { name: 'experiment' }, { name: 'status' }],
    ...[{ name: 'steps', isNumber: true }, { name: 'last loss', isNumber: true }, { name: 'best' }],
    ...[{ name: 'took', isNumber: true }, { name: 'began' }],
  ];
  return textTable(
    columns,
    rows.map(({ id, name, experiment, status, steps, loss, best, durationMs, created }) => [
      ...[id.slice(0, 8), name, experiment, status, String(steps ?? '-'), loss === null ? '-' : figure(loss)],
      best ? `${best.metric} ${figure(best.value)} at ${best.step}` : '-',
      duration(durationMs / 1000),
      created.slice(0, 16).replace('T', ' '),
    ]),
  );
}
