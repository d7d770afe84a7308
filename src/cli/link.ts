import { Command } from 'commander';

import { chartCommand } from './link/chart.ts';
import { clusterCommand } from './link/cluster.ts';
import { dedupeCommand } from './link/dedupe.ts';
import { evaluateCommand } from './link/evaluate.ts';
import { predictCommand } from './link/predict.ts';
import { trainCommand } from './link/train.ts';

/** Linkage: which records of a table are candidates for one person? */
export function linkCommand(): Command {
  const area = new Command('link').description('Linkage: which records of a table are candidates for one person?');
  for (const one of [dedupeCommand(), trainCommand(), predictCommand(), clusterCommand(), evaluateCommand(), chartCommand()])
    area.addCommand(one);
  return area;
}
