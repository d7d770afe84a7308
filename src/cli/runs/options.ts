import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { findRun } from '../../training/run-store.ts';
import type { RunRecord } from '../../training/tracking.ts';
import type { VerbOption } from '../verb.ts';

export const storeOption: VerbOption = {
  flags: '--runs <folder>',
  help: 'folder with runs somewhere below it (default: CLINFUSE_RUNS, or runs)',
};

export const storeSchema = z.string().min(1).optional();

export const storeFolder = (given: string | undefined): string => given ?? (process.env['CLINFUSE_RUNS'] || 'runs');

export const runArgument = {
  name: 'run',
  help: 'folder of a run or of llm train, or a name or id that runs list shows',
  list: true,
} as const;

export const runsSchema = z.array(z.string().min(1)).optional();

/** The runs that are meant, in the order they were named. */
export function runsNamed(verb: string, words: readonly string[] | undefined, store: string | undefined): RunRecord[] {
  if (!words?.length)
    throw new UserError('cli.option', `${verb}: no run named; give its folder, or a name or id that \`clinfuse runs list\` shows`);
  return words.map((word) => findRun(word, storeFolder(store)));
}

/** A figure in few digits. */
export const figure = (value: number): string => (Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : value.toPrecision(4));
