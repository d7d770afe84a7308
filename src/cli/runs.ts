import { Command } from 'commander';

import { compareCommand } from './runs/compare.ts';
import { listCommand } from './runs/list.ts';
import { plotCommand } from './runs/plot.ts';
import { pushCommand } from './runs/push.ts';
import { showCommand } from './runs/show.ts';

/** Runs of training: what was tried, how it went, what came out of it. */
export function runsCommand(): Command {
  const area = new Command('runs').description('Runs of training: what was tried, how it went, what came out of it');
  for (const one of [listCommand(), showCommand(), compareCommand(), plotCommand(), pushCommand()]) area.addCommand(one);
  return area;
}
