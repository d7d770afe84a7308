import type { Command } from 'commander';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { openMlflow } from '../../training/mlflow-client.ts';
import { runAddress } from '../../training/mlflow-follow.ts';
import { openPush, type Pushed } from '../../training/mlflow-push.ts';
import { readStore } from '../../training/run-store.ts';
import type { RunRecord } from '../../training/tracking.ts';
import { isRunning, mlflowAccess } from '../mlflow-access.ts';
import { verb } from '../verb.ts';
import { runArgument, runsNamed, runsSchema, storeFolder, storeOption, storeSchema } from './options.ts';

/** `clinfuse runs push`: sends runs to an MLflow server, exactly once however often it is called. */
export function pushCommand(): Command {
  return verb({
    name: 'push',
    argument: runArgument,
    summary: 'sends runs, or what is missing of them, to an MLflow server',
    example: 'clinfuse runs push --all --runs copied-runs --tracking-uri http://localhost:5000',
    options: [
      { flags: '--tracking-uri <address>', help: 'the server (default: MLFLOW_TRACKING_URI)' },
      { flags: '--all', help: 'all runs below the folder' },
      { flags: '--experiment <name>', help: 'instead of the experiment each run names' },
      storeOption,
    ],
    schema: z.strictObject({
      run: runsSchema,
      runs: storeSchema,
      all: z.boolean().optional(),
      trackingUri: z.string().min(1).optional(),
      experiment: z.string().min(1).optional(),
    }),
    run: async ({ run: words, runs: store, all, trackingUri, experiment }, { log, progress }) => {
      if (all && words?.length) throw new UserError('cli.option', 'push: --all and runs by name; give one of them');
      const runs = all ? [...readStore(storeFolder(store)).runs].reverse() : runsNamed('push', words, store);
      const client = openMlflow({ ...mlflowAccess(trackingUri), log });
      const step = progress.step('pushing', { total: runs.length, unit: 'runs' });
      const pushed: { readonly run: RunRecord; readonly result: Pushed }[] = [];
      try {
        for (const run of runs) {
          const pushing = openPush(run.folder, { client, experiment, isRunning });
          try {
            pushed.push({ run, result: await pushing.push() });
          } finally {
            pushing.close();
          }
          step.advance(1, run.name);
        }
      } finally {
        step.finish();
      }
      const rows = pushed.map(({ run, result }) => ({ id: run.id, name: run.name, ...result, page: runAddress(client.address, result) }));
      return { text: rows.length > 0 ? rows.map(tell).join('\n') : 'No runs to push', json: { runs: rows } };
    },
  });
}

function tell({ name, metrics, files, left, page }: Pushed & { readonly name: string; readonly page: string }): string {
  const what = metrics + files > 0 ? `${metrics} figures and ${files} files sent` : 'was there already';
  return [`${name}: ${what}, ${page}`, ...left.map((one) => `  not sent: ${one}`)].join('\n');
}
