import { Command } from 'commander';

import { dedupeCommand } from './link/dedupe.ts';

/** Linkage: which records of a table are candidates for one person? */
export function linkCommand(): Command {
  const area = new Command('link').description('Linkage: which records of a table are candidates for one person?');
  for (const one of [dedupeCommand()]) area.addCommand(one);
  return area;
}
