import { Command } from 'commander';

import { evidenceTrainCommand } from './er/evidence-train.ts';
import { summaryCommand } from './er/summary.ts';

/** Entity resolution: which records at different facilities are the same patient? */
export function erCommand(): Command {
  const area = new Command('er').description('Entity resolution: which records at different facilities are the same patient?');
  area.addCommand(summaryCommand());
  area.addCommand(evidenceTrainCommand());
  return area;
}
