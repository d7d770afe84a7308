// What a killed run leaves: processes that still write, files half-written, persistent outputs in the middle of a change. The next run puts
// all that in order before it looks at anything. Killed itself while it does, it leaves the claim of the dead run where it is, and the one
// after begins again; every step may be taken twice.

import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { sweepPartial } from '../base/files.ts';
import { placeOf } from './graph.ts';
import type { Fingerprint } from './lock-entry.ts';
import { readLock } from './lock-file.ts';
import type { ReproLock } from './repro-lock.ts';
import { startOf, stopGroup } from './shell.ts';
import type { Workplace } from './workplace.ts';

/** Ends what a killed run left behind: its processes first, then the traces of its unfinished stages in what is kept between runs. */
export async function clearAbandoned(lock: ReproLock, workplace: Workplace, onNote: (text: string) => void): Promise<void> {
  if (lock.abandoned.length === 0) return;
  const { cache, prints, repository } = workplace;
  const underWay = lock.abandoned.flat();
  for (const { groups } of underWay) for (const group of groups) await stopGroup(group);
  for (const folder of writtenFolders(workplace)) sweepPartial(folder, (pid) => startOf(pid) !== undefined);
  for (const { stage, persisted } of underWay) {
    onNote(`repro: an earlier run was killed in ${stage}`);
    for (const { place, before } of persisted) {
      const now = (await prints.of(place)) ?? null;
      if (isDeepStrictEqual(now, before) || (now && isLocked(now, { place, workplace }))) continue;
      if (now) {
        const aside = join(repository.scratchFolder, 'cut-off', stage, basename(place));
        putAside(place, aside);
        onNote(`repro: ${stage}: what it had made of ${basename(place)} is kept in ${aside}`);
      }
      if (before) await cache.checkout(before, place);
    }
  }
  lock.forgetAbandoned();
}

/** Folders in which this program, or a stage that is one of its verbs, may have left something half-written. */
function writtenFolders({ graph, pipeline, repository }: Workplace): ReadonlySet<string> {
  const places = graph.stages.flatMap((stage) =>
    [...stage.dependencies, ...stage.outputs.map(({ path }) => path)].map((path) => placeOf(stage, path)),
  );
  return new Set([pipeline.folder, repository.scratchFolder, ...places.map((place) => dirname(place))]);
}

/** Whether dvc.lock names just this content: the stage was done when its run was killed, or DVC has done it since. */
function isLocked(
  { md5 }: Fingerprint,
  { place, workplace: { graph, pipeline } }: { readonly place: string; readonly workplace: Workplace },
): boolean {
  const lock = readLock(pipeline.folder);
  return graph.stages.some((stage) =>
    lock.get(stage.name)?.outputs.some((output) => output.md5 === md5 && placeOf(stage, output.path) === place),
  );
}

function putAside(place: string, aside: string): void {
  rmSync(aside, { recursive: true, force: true });
  mkdirSync(dirname(aside), { recursive: true });
  try {
    renameSync(place, aside);
  } catch {
    // The scratch folder may lie on another disk.
    cpSync(place, aside, { recursive: true });
    rmSync(place, { recursive: true, force: true });
  }
}
