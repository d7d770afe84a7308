import { existsSync } from 'node:fs';

import { type Environment, type ProcessGroup, runCommand } from './shell.ts';
import type { Stage } from './stage.ts';

/** Runs the commands of a stage one after another until one fails, and says how it did. */
export async function runCommands(
  stage: Stage,
  {
    root,
    environment,
    signal,
    onStart,
    onOutput,
  }: {
    /** Folder of the repository. */
    readonly root: string;
    readonly environment: Environment;
    readonly signal: AbortSignal;
    readonly onStart: (group: ProcessGroup) => void;
    readonly onOutput: (text: string) => void;
  },
): Promise<string | undefined> {
  if (!existsSync(stage.workdir)) return `wdir not found: ${stage.workdir}`;
  for (const command of commandLines(stage)) {
    const { code, signal: by } = await runCommand(command, {
      folder: stage.workdir,
      environment: { ...environment, DVC_ROOT: root, DVC_STAGE: stage.name },
      onStart,
      onOutput,
      signal,
    });
    if (code !== 0)
      return `${by ? `ended by ${by}` : `exit code ${code}${code === againCode ? ' (not ready yet: run again later)' : ''}`}: ${command}`;
    if (signal.aborted) return undefined;
  }
  return undefined;
}

/** A text of several lines is several commands, as for DVC; an item of a list is one. */
function commandLines({ commands, commandsAsList }: Stage): readonly string[] {
  return commandsAsList ? commands : commands.flatMap((text) => text.split(/\r\n|\r|\n/)).filter((line) => line.trim() !== '');
}

/** sysexits' "temporary failure": work that was started elsewhere, and is yet to be collected. */
const againCode = 75;

const keptLines = 20;

type Tail = { readonly add: (text: string) => void; readonly lines: () => readonly string[] };

/** Keeps the last lines of what a stage prints, for the message should it fail. */
export function lastLines(): Tail {
  let text = '';
  return {
    add: (more: string) => {
      text = (text + more).slice(-20_000);
    },
    lines: () =>
      text
        .split(/[\r\n]+/)
        .filter((line) => line.trim() !== '')
        .slice(-keptLines),
  };
}
