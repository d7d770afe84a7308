import { Command } from 'commander';

import { listCommand } from './registry/list.ts';
import { promoteCommand } from './registry/promote.ts';
import { pushCommand } from './registry/push.ts';
import { showCommand } from './registry/show.ts';

/** Trained models, their figures, and which of them is the champion. */
export function registryCommand(): Command {
  const area = new Command('registry').description('Trained models, their figures, and which of them is the champion');
  for (const one of [promoteCommand(), listCommand(), showCommand(), pushCommand()]) area.addCommand(one);
  return area;
}
