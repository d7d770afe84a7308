import type { Command } from 'commander';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { bytesText, duration, shortened } from '../../base/text.ts';
import { runAddress } from '../../training/mlflow-follow.ts';
import { readPushed } from '../../training/mlflow-push.ts';
import { figuresOf } from '../../training/run-figures.ts';
import type { RunRecord } from '../../training/tracking.ts';
import { textTable } from '../table.ts';
import { verb } from '../verb.ts';
import { figure, runArgument, runsNamed, runsSchema, storeOption, storeSchema } from './options.ts';

/** `clinfuse runs show`: all that is known of one run. */
export function showCommand(): Command {
  return verb({
    name: 'show',
    argument: runArgument,
    summary: 'settings, figures and files of one run',
    example: 'clinfuse runs show runs/medquad/rank-16',
    options: [storeOption],
    schema: z.strictObject({ run: runsSchema, runs: storeSchema }),
    run: async ({ run: words, runs: store }) => {
      const [run, more] = runsNamed('show', words, store);
      if (more) throw new UserError('cli.option', 'show: more than one run; see clinfuse runs compare --help');
      const { metrics, ...rest } = run!;
      return { text: tell(run!), json: { ...rest, figures: figuresOf(metrics), pushed: readPushed(run!.folder) } };
    },
  });
}

function tell(run: RunRecord): string {
  const { steps, last, best } = figuresOf(run.metrics);
  const pairs = (values: Readonly<Record<string, string>>) =>
    Object.entries(values).map(([name, value]) => `  ${name.padEnd(18)} ${shortened(value, 100)}`);
  const table = textTable(
    [
      { name: '  metric' },
      { name: 'last', isNumber: true },
      { name: 'at step', isNumber: true },
      { name: 'best', isNumber: true },
      { name: 'at step', isNumber: true },
    ],
    Object.entries(last).map(([key, { step, value }]) => {
      const top = best[key];
      return [`  ${key}`, figure(value), String(step), top ? figure(top.value) : '', top ? String(top.step) : ''];
    }),
  );
  return [
    `${run.name} (${run.id.slice(0, 8)}), experiment ${run.experiment}: ${run.status}`,
    `Began ${new Date(run.created).toISOString().slice(0, 19).replace('T', ' ')} UTC, took ${duration(run.durationMs / 1000)}, ${steps ?? 'no'} steps`,
    `Log: ${run.folder}`,
    ...Object.entries(readPushed(run.folder)).map(
      ([address, place]) => `MLflow: ${runAddress(address, place)} (${place.events} of ${run.events} lines)`,
    ),
    ...(Object.keys(run.params).length > 0 ? ['', 'Settings', ...pairs(run.params)] : []),
    ...(Object.keys(run.tags).length > 0 ? ['', 'Tags', ...pairs(run.tags)] : []),
    ...(Object.keys(last).length > 0 ? ['', table] : []),
    ...(run.artifacts.length > 0 ? ['', 'Files', ...run.artifacts.map(({ path, size }) => `  ${path} (${bytesText(size)})`)] : []),
  ].join('\n');
}
