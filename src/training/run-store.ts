// A store of runs is any folder with runs somewhere below it: `runs/EXPERIMENT/RUN`, the outputs of `llm train`, what was copied from
// another machine. Nothing lists them but the file system, so there is nothing to get out of step.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { eventsFile } from './run-events.ts';
import { type RunRecord, readRun } from './tracking.ts';

/** Folders of runs at or below a folder, in the order of their paths. Hidden folders and links are not looked into. */
export function findRunFolders(folder: string): string[] {
  if (existsSync(eventsFile(folder))) return [folder];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
    .map(({ name }) => join(folder, name))
    .sort()
    .flatMap(findRunFolders);
}

export type Store = {
  /** Newest first. */
  readonly runs: readonly RunRecord[];
  /** Logs that cannot be read, and why. */
  readonly unreadable: readonly { readonly folder: string; readonly fault: string }[];
};

/**
 * Reads all runs of a store.
 *
 * @throws UserError `tracking.store` where there is no such folder
 */
export function readStore(folder: string): Store {
  if (!existsSync(folder)) {
    throw new UserError('tracking.store', `runs: folder not found: ${folder}; name one with runs below it (--runs, or CLINFUSE_RUNS)`);
  }
  const runs: RunRecord[] = [];
  const unreadable: { folder: string; fault: string }[] = [];
  for (const place of findRunFolders(folder)) {
    try {
      runs.push(readRun(place));
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause;
      unreadable.push({ folder: place, fault: cause.message });
    }
  }
  return { runs: runs.sort((a, b) => b.created - a.created || (a.folder < b.folder ? -1 : 1)), unreadable };
}

/**
 * The run that a word means: its folder, the folder of `llm train` around it, its name, or its id or how that begins.
 *
 * @throws UserError `tracking.unknown-run`, `tracking.ambiguous-run`, those of `readRun` and `readStore`
 */
export function findRun(word: string, store: string): RunRecord {
  for (const folder of [word, join(word, 'log')]) if (existsSync(eventsFile(folder))) return readRun(folder);
  const { runs } = readStore(store);
  const found = runs.filter(({ id, name }) => name === word || (word.length >= 4 && id.startsWith(word)));
  if (found.length === 1) return found[0]!;
  if (found.length === 0) {
    throw new UserError(
      'tracking.unknown-run',
      `runs: no run: ${word}; give a folder, or a name or id that \`runs list\` shows for ${store}`,
    );
  }
  const ids = found.map(({ id }) => id.slice(0, 8)).join(', ');
  throw new UserError('tracking.ambiguous-run', `runs: ${found.length} runs are meant by ${word}: ${ids}; give an id`);
}
