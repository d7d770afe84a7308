import { Command } from 'commander';

/** Entity resolution: which records at different facilities are the same patient? */
export function erCommand(): Command {
  const area = new Command('er').description('Entity resolution: which records at different facilities are the same patient?');
  return area;
}
