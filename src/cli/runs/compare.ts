import type { Command } from 'commander';
import { z } from 'zod';

import { type Comparison, compareRuns } from '../../apps/runs/compare.ts';
import { shortened } from '../../base/text.ts';
import { textTable } from '../table.ts';
import { verb } from '../verb.ts';
import { figure, runArgument, runsNamed, runsSchema, storeOption, storeSchema } from './options.ts';

/** `clinfuse runs compare`: what differs between runs, and their figures side by side. */
export function compareCommand(): Command {
  return verb({
    name: 'compare',
    argument: runArgument,
    summary: 'settings that differ between runs, and their figures side by side',
    example: 'clinfuse runs compare rank-8 rank-16 --runs runs',
    options: [storeOption],
    schema: z.strictObject({ run: runsSchema, runs: storeSchema }),
    run: async ({ run, runs: store }) => {
      const comparison = compareRuns(runsNamed('compare', run, store));
      return { text: tell(comparison), json: comparison };
    },
  });
}

function tell({ runs, params, alike, metrics }: Comparison): string {
  const heads = runs.map(({ name, id }, _, all) => ({
    name: all.filter((one) => one.name === name).length > 1 ? `${name} ${id.slice(0, 8)}` : name,
    isNumber: true,
  }));
  const settings = params.map(({ name, values }) => [name, ...values.map((value) => (value === null ? '-' : shortened(value, 30)))]);
  const figures = metrics.flatMap(({ key, last, best }) => {
    const row = (said: string, of: typeof last) => [said, ...of.map((one) => (one ? `${figure(one.value)} at ${one.step}` : '-'))];
    return [row(`${key}, last`, last), ...(best.some((one) => one !== null) ? [row(`${key}, best`, best)] : [])];
  });
  return [
    textTable([{ name: 'what differs' }, ...heads], [['status', ...runs.map(({ status }) => status)], ...settings]),
    `(alike: ${alike} settings)`,
    '',
    textTable([{ name: 'figures' }, ...heads], figures),
  ].join('\n');
}
