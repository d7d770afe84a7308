import { Command } from 'commander';

import { cancelCommand } from './job/cancel.ts';
import { runCommand } from './job/run.ts';
import { statusCommand } from './job/status.ts';

/** Work on other machines. */
export function jobCommand(): Command {
  const area = new Command('job').description('Work on other machines: how it stands, and how to stop it');
  for (const one of [runCommand(), statusCommand(), cancelCommand()]) area.addCommand(one);
  return area;
}
