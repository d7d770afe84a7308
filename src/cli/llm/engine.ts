// `--engine`: fine-tuning by another program, found on the PATH and started as a group of its own, so that Ctrl-C stops all of it.

import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { z } from 'zod';

import type { EngineFolder, Launch } from '../../apps/llm/engine.ts';
import { UserError } from '../../base/errors.ts';
import { thousands } from '../../base/text.ts';
import { killRunning, runCommand } from '../../pipeline/shell.ts';
import { type EngineName, engineNames } from '../../training/engine-rules.ts';
import { countOption } from '../option-schemas.ts';
import type { VerbOption } from '../verb.ts';

export const engineOptions: readonly VerbOption[] = [
  { flags: '--engine <name>', help: 'trl or axolotl: train with that program, for more than one GPU (default: our own trainer)' },
  { flags: '--processes <count>', help: 'with --engine: GPUs that share a step (default: 1)' },
];

export const engineSchemas = {
  engine: z.enum(engineNames).optional(),
  processes: countOption.refine((count) => count > 0, { message: 'not a whole number from 1 up' }).optional(),
};

/** Options that mean nothing to our own trainer, or nothing to the others, are refused: none is dropped in silence. */
export function checkEngineOptions({ engine, processes, threads }: { engine?: unknown; processes?: unknown; threads?: unknown }): void {
  const [option, hint] =
    engine === undefined && processes !== undefined
      ? ['--processes', 'it belongs to --engine trl or axolotl']
      : engine !== undefined && threads !== undefined
        ? ['--threads', 'it belongs to our own trainer; leave it out with --engine']
        : [];
  if (option) throw new UserError('cli.option', `train: ${option}: ${hint}`);
}

/** What a folder holds that is ready to be run. */
export function tellFolder({ folder, steps, rows: { train, validation, cut, left } }: EngineFolder): string {
  const rows = `${thousands(train)} rows${cut ? `, ${thousands(cut)} cut` : ''}${left ? `, ${thousands(left)} left out (nothing to learn after the cut)` : ''}`;
  return `${rows}; ${thousands(validation)} to evaluate on; ${thousands(steps)} steps: ${folder}`;
}

/** How the program is started; nothing where it is not on the PATH. */
export function launcher(engine: EngineName, log: (line: string) => void): Launch | undefined {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  if (!path.some((folder) => isProgram(join(folder, engine)))) return undefined;
  return async ({ script, onOutput, onStep, signal = new AbortController().signal }) => {
    const lines = lineReader((line) => {
      const bar = /\s(\d+)\/(\d+) \[/.exec(line);
      if (bar) onStep({ step: Number(bar[1]), of: Number(bar[2]) });
      else if (line !== '') log(line);
    });
    // A second Ctrl-C ends us at once, and what was started with us.
    process.on('exit', killRunning);
    const { code } = await runCommand(`exec ${quoted(resolve(script))}`, {
      folder: process.cwd(),
      environment: { ...process.env, SHELL: '/bin/sh', PYTHONUNBUFFERED: '1' },
      onStart: () => {},
      onOutput: (text) => {
        onOutput(text);
        lines(text);
      },
      signal,
    });
    return signal.aborted ? undefined : { code: code ?? 1 };
  };
}

/** Pieces of text as lines; a bar that is drawn anew with a carriage return is a line each time. */
function lineReader(onLine: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop()!;
    for (const line of lines) onLine(stripVTControlCharacters(line).trim());
  };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
