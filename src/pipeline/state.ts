// What files held when they were last read, so that a run over unchanged files costs one look at each and no reading.
//
// A file counts as unchanged while its size, its times of change (content and inode, in nanoseconds) and its inode are the same. The
// time of the inode is in it because a program may set the other one back.
//
// The trap: a clock of files ticks every few milliseconds. Read right after a write, changed again within the same tick, a file of the
// same size looks unchanged for ever. So what was read is only remembered when the file had rested, by its own clock, for longer than
// a tick before the reading began:
//
//   changed 10:00:00.000, read 10:00:00.004   a write at .006 may carry the same time: wait until .020, then read
//   changed 10:00:00.000, read 10:00:00.021   a later write must carry a later time: remember
//
// A clock of whole seconds would take too long to wait for: such files are read again until they have rested. So are those with times
// in the future. Source: git, Documentation/technical/racy-git.txt.

import { type BigIntStats, existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';
import type { Repository } from './repository.ts';

/** The coarsest tick of a clock that counts in fractions of a second, with room to spare. */
const tickNs = 20_000_000n;
const coarseTickNs = 2_000_000_000n;

type Times = Pick<BigIntStats, 'size' | 'mtimeNs' | 'ctimeNs' | 'ino'>;

export type State = {
  /** MD5 of a file that has not changed since it was remembered. */
  readonly find: (path: string, stats: Times) => string | undefined;
  readonly remember: (path: string, stats: Times, md5: string) => void;
  /** Writes what is new, together with what other processes have written meanwhile. */
  readonly save: () => void;
};

type Entry = readonly [times: string, md5: string];

/** Opens what is remembered of the files of a repository; a broken or missing memory is an empty one. */
export function openState(repository: Repository): State {
  const file = join(repository.scratchFolder, 'files.json');
  const entries = readEntries(file);
  const fresh = new Map<string, Entry>();
  // Asked for every file, so it is no more than a comparison of texts.
  const within = repository.root === '/' ? '/' : `${repository.root}/`;
  const nameOf = (path: string) => (path.startsWith(within) ? path.slice(within.length) : path);

  return {
    find: (path, stats) => {
      const name = nameOf(path);
      const entry = fresh.get(name) ?? entries.get(name);
      return entry?.[0] === timesText(stats) ? entry[1] : undefined;
    },
    remember: (path, stats, md5) => {
      fresh.set(nameOf(path), [timesText(stats), md5]);
    },
    save: () => {
      if (fresh.size === 0) return;
      const all = new Map([...readEntries(file), ...fresh]);
      for (const name of all.keys()) {
        if (!fresh.has(name) && !existsSync(isAbsolute(name) ? name : join(repository.root, name))) all.delete(name);
      }
      try {
        replaceText(file, JSON.stringify({ version, files: Object.fromEntries(all) }));
      } catch (cause) {
        // A repository that may only be read can still be looked at; it is only slower the next time.
        if (!(cause instanceof UserError && cause.code === 'output.unwritable')) throw cause;
      }
      for (const [name, entry] of fresh) entries.set(name, entry);
      fresh.clear();
    },
  };
}

const version = 1;

const timesText = ({ size, mtimeNs, ctimeNs, ino }: Times): string => `${size} ${mtimeNs} ${ctimeNs} ${ino}`;

function readEntries(file: string): Map<string, Entry> {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as { readonly version?: unknown; readonly files?: Record<string, Entry> };
    return new Map(read.version === version ? Object.entries(read.files ?? {}) : []);
  } catch {
    return new Map();
  }
}

/** How long a file must still rest before what is read from it now can be told from what is written later: 0 when it has. */
export function restNs({ mtimeNs, ctimeNs }: Pick<Times, 'mtimeNs' | 'ctimeNs'>, nowNs: bigint): bigint {
  const isCoarse = ctimeNs % 1_000_000_000n === 0n && mtimeNs % 1_000_000_000n === 0n;
  const rested = ctimeNs + (isCoarse ? coarseTickNs : tickNs);
  return rested > nowNs ? rested - nowNs : 0n;
}

/** Waits for a file to rest when that is a matter of milliseconds; returns whether it has rested. */
export async function letRest(stats: Pick<Times, 'mtimeNs' | 'ctimeNs'>): Promise<boolean> {
  for (;;) {
    const wait = restNs(stats, now());
    if (wait === 0n) return true;
    // Our clock counts milliseconds, so a file may seem to be from a little later than now.
    if (wait > 2n * tickNs) return false;
    await setTimeout(Number(wait / 1_000_000n) + 1);
  }
}

const now = (): bigint => BigInt(Date.now()) * 1_000_000n;
