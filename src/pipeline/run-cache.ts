// Runs that were made before: what a stage wrote, found by what it read. Shared with DVC, name for name.
//
//   .dvc/cache/runs/<k[:2]>/<k>/<v>    one run, as dvc.lock has it
//
//   k = sha256 of the entry with the paths of its outputs alone     v = sha256 of the whole entry
//
// both over Python's JSON, without any `size` and `nfiles`, at whatever depth; so a parameter of that name does not count either. That
// is DVC's rule, and to keep its names ours. Source: DVC, stage/cache.py.

import { hash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import type { Fingerprint, LockEntry, ParameterValue } from './lock-entry.ts';
import { lockYaml, readLockEntry } from './lock-file.ts';
import { placer } from './objects.ts';
import { pythonJson } from './python-json.ts';
import { isInside, type Repository } from './repository.ts';
import type { Stage } from './stage.ts';
import { isList, isMapping, type ValueMap } from './values.ts';
import { writeYaml } from './write-yaml.ts';
import { parseYaml } from './yaml-values.ts';

/** What a run starts from. */
export type AskedRun = Pick<LockEntry, 'command' | 'dependencies' | 'parameters'>;

export type Runs = {
  /** The newest run from the same start whose outputs `has` finds all in the cache. Outputs outside the repository are never taken from a run. */
  readonly find: (
    stage: Pick<Stage, 'workdir' | 'outputs'>,
    asked: AskedRun,
    has: (fingerprint: Fingerprint) => Promise<boolean>,
  ) => Promise<LockEntry | undefined>;
  readonly save: (entry: LockEntry) => Promise<void>;
};

export function openRuns(repository: Repository): Runs {
  const folder = join(repository.cacheFolder, 'runs');
  const put = placer(repository);
  const folderOf = (key: string) => join(folder, key.slice(0, 2), key);

  return {
    find: async ({ workdir, outputs }, asked, has) => {
      if (outputs.some(({ path }) => !isInside(resolve(workdir, path), repository.root))) return undefined;
      const paths = outputs.map(({ path }) => path);
      const place = folderOf(runKey({ ...asked, outputs: paths.map((path) => ({ path, md5: '', size: 0 })) }));
      for (const entry of runsIn(place)) {
        const found = await Promise.all(entry.outputs.map(has));
        if (found.every(Boolean)) return entry;
      }
      return undefined;
    },
    save: async (entry) => {
      const file = join(folderOf(runKey(entry)), runValue(entry));
      if (!existsSync(file)) await put(file, (temporary) => writeFile(temporary, writeYaml(lockYaml(entry))));
    },
  };
}

/** What a run is found by. */
export function runKey(entry: LockEntry): string {
  const outputs = lockYaml({ ...entry }).get('outs') as readonly ValueMap[];
  return named(new Map(lockYaml(entry)).set('outs', outputs?.map((one) => one.get('path')!) ?? []));
}

/** What a run is called among those with the same key. */
export const runValue = (entry: LockEntry): string => named(lockYaml(entry));

const named = (value: ParameterValue): string => hash('sha256', pythonJson(withoutSizes(value)));

function withoutSizes(value: ParameterValue): ParameterValue {
  if (isList(value)) return value.map(withoutSizes);
  if (!isMapping(value)) return value;
  return new Map([...value].filter(([key]) => key !== 'size' && key !== 'nfiles').map(([key, item]) => [key, withoutSizes(item)]));
}

/** Runs of a folder, newest first; what cannot be read is no run. */
function runsIn(folder: string): readonly LockEntry[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .map((file) => ({ file, time: statSync(file).mtimeMs }))
    .sort((a, b) => b.time - a.time)
    .flatMap(({ file }) => {
      try {
        return [readLockEntry(parseYaml(readFileSync(file, 'utf8'), { file }), file)];
      } catch (cause) {
        if (cause instanceof UserError) return [];
        throw cause;
      }
    });
}
