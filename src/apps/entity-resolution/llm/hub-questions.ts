import { rmSync } from 'node:fs';
import { extname, join } from 'node:path';

import { UserError } from '../../../base/errors.ts';
import type { Progress } from '../../../base/progress.ts';
import { type Hub, notFound } from '../../../models/hub.ts';
import { pull } from '../../../models/pull.ts';
import { type Split, splitsByName } from '../../../training/dataset-files.ts';

export type HubQuestions = {
  readonly hub: Hub;
  /** OWNER/NAME. */
  readonly name: string;
  readonly revision?: string | undefined;
  readonly split: Split;
  /** Where the answers go; the questions lie beside them as long as they are needed. */
  readonly out: string;
  readonly progress: Progress;
  readonly log: (line: string) => void;
};

/**
 * Fetches the tables of one split of a data set, found by their names: Parquet or CSV, whichever there is. A run that was killed goes on
 * with what it had fetched.
 *
 * @throws UserError `questions.missing` for a data set without them, `hub.*`, `pull.*`
 */
export async function pullQuestions({
  hub,
  name,
  revision,
  split,
  out,
  progress,
  log,
}: HubQuestions): Promise<{ readonly files: readonly string[]; readonly remove: () => void }> {
  const found = await hub.find(name, revision);
  if (!found) throw notFound(revision === undefined ? name : `${name}@${revision}`);
  const all = (await hub.files(name, found.commit)).map(({ path }) => path).sort();
  const tables = (format: string) => splitsByName(all.filter((path) => extname(path) === format))[split];
  const chosen = [tables('.parquet'), tables('.csv')].find(({ length }) => length > 0);
  if (!chosen) {
    throw new UserError(
      'questions.missing',
      `questions: no ${split} split of Parquet or CSV in ${name}; it has ${all.slice(0, 6).join(', ') || 'no files'}`,
    );
  }
  const folder = `${out}.questions`;
  await pull({ hub, name, revision: found.commit, out: folder, files: chosen, progress, log });
  return {
    files: chosen.map((path) => join(folder, path)),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
