// One run at a time in a repository. Who wants to run puts a claim, a file of its own, into a folder, and only then looks around: with no
// other living claim there it holds the lock, else it takes its claim back, waits and tries again. Of two that come at once the later
// one's claim is seen by nobody but itself sees the other: never do both hold. The claim of a dead process is no claim, yet tells what it had
// started: the next run stops what is left of it before it does anything (src/pipeline/run.ts).
//
// Node cannot take the lock DVC takes (flock), but can see it: a running DVC is waited for as well. DVC does not see ours.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import type { Fingerprint } from './lock-entry.ts';
import { type ProcessGroup, startOf } from './shell.ts';

/** A stage under way, as a claim tells of it: enough to undo it should its runner die. */
export type StageUnderWay = {
  readonly stage: string;
  readonly groups: readonly ProcessGroup[];
  /** Persistent outputs and their content, in the cache, from before the stage; null where there was none. */
  readonly persisted: readonly { readonly place: string; readonly before: Fingerprint | null }[];
};

export type Claim = {
  readonly pid: number;
  readonly started: string;
  readonly host: string;
  /** ISO 8601. */
  readonly since: string;
  readonly underWay: readonly StageUnderWay[];
};

export type ReproLock = {
  /** What dead runs had under way, one list for each. They stay on file until `forgetAbandoned`. */
  readonly abandoned: readonly (readonly StageUnderWay[])[];
  readonly forgetAbandoned: () => void;
  /** Puts down what is under way, before it is. */
  readonly record: (underWay: readonly StageUnderWay[]) => void;
  readonly release: () => void;
};

/**
 * Waits until no other run is under way in the repository, and holds it.
 *
 * @param folder place of the claims
 * @param options.dvcTmp `.dvc/tmp`, where a running DVC shows
 * @param options.since the time, for whoever waits for us
 * @param options.onWait gets, once for each holder, a line that says who it is
 */
export async function takeReproLock(
  folder: string,
  {
    dvcTmp,
    since,
    onWait,
    signal,
  }: { readonly dvcTmp: string; readonly since: string; readonly onWait: (line: string) => void; readonly signal: AbortSignal },
): Promise<ReproLock> {
  mkdirSync(folder, { recursive: true });
  const name = `${process.pid}-${randomBytes(4).toString('hex')}.json`;
  const file = join(folder, name);
  const claim: Claim = { pid: process.pid, started: startOf(process.pid) ?? '', host: hostname(), since, underWay: [] };
  const write = (underWay: readonly StageUnderWay[]) => {
    writeFileSync(`${file}.new`, JSON.stringify({ ...claim, underWay }));
    renameSync(`${file}.new`, file);
  };
  for (let told = '', seen = ''; ; ) {
    signal.throwIfAborted();
    write([]);
    const others = readClaims(folder, name);
    const living = others.find((other) => isAlive(other.claim));
    const holder = living ? claimText(folder, living) : dvcText(dvcTmp);
    if (holder === undefined) {
      return {
        abandoned: others.map(({ claim: { underWay } }) => underWay),
        forgetAbandoned: () => {
          for (const other of others) rmSync(join(folder, other.name), { force: true });
        },
        record: write,
        release: () => rmSync(file, { force: true }),
      };
    }
    rmSync(file, { force: true });
    // One seen only once may have been asking, as we are.
    if (holder === seen && holder !== told) {
      onWait(`waiting for ${holder}`);
      told = holder;
    }
    seen = holder;
    await wait(20 + 80 * Math.random(), undefined, { signal });
  }
}

/** Who holds the lock now, in words, or nobody. */
export function reproHolder(folder: string, dvcTmp: string): string | undefined {
  const living = readClaims(folder, '').find(({ claim }) => isAlive(claim));
  return living ? claimText(folder, living) : dvcText(dvcTmp);
}

type NamedClaim = { readonly name: string; readonly claim: Claim };

function readClaims(folder: string, own: string): readonly NamedClaim[] {
  let names: readonly string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // No run has ever been here.
  }
  return names
    .filter((name) => name.endsWith('.json') && name !== own)
    .flatMap((name) => {
      try {
        return [{ name, claim: JSON.parse(readFileSync(join(folder, name), 'utf8')) as Claim }];
      } catch {
        // Taken back while we looked.
        return [];
      }
    });
}

/** A process on another machine cannot be looked at, so it is taken for alive. */
function isAlive({ pid, started, host }: Claim): boolean {
  return host !== hostname() || startOf(pid) === started;
}

function claimText(folder: string, { name, claim: { pid, host, since } }: NamedClaim): string {
  const elsewhere = host === hostname() ? '' : `; should it be gone, remove ${join(folder, name)}`;
  return `the run of process ${pid} on ${host}, since ${since}${elsewhere}`;
}

/** A DVC at work shows as a held lock on `.dvc/tmp/lock`, and while a stage of its runs, as a living process in `.dvc/tmp/rwlock`. */
function dvcText(tmp: string): string | undefined {
  const pid = lockedBy(join(tmp, 'lock')) ?? rwlockPids(join(tmp, 'rwlock')).find((one) => startOf(one) !== undefined);
  return pid === undefined ? undefined : `DVC, process ${pid}, at work in this repository`;
}

/** Linux lists who holds which file: `3: FLOCK ADVISORY WRITE 3246 fe:00:9978047 0 EOF`. */
function lockedBy(file: string): number | undefined {
  try {
    const { ino } = statSync(file);
    const line = readFileSync('/proc/locks', 'utf8')
      .split('\n')
      .find((one) => one.includes('FLOCK') && one.includes(`:${ino} `));
    return line === undefined ? undefined : Number(line.trim().split(/\s+/)[4]);
  } catch {
    return undefined;
  }
}

/** `{"write": {path: {pid, cmd}}, "read": {path: [{pid, cmd}]}}`. */
function rwlockPids(file: string): readonly number[] {
  try {
    return [...readFileSync(file, 'utf8').matchAll(/"pid": ?(\d+)/g)].map(([, pid]) => Number(pid));
  } catch {
    return [];
  }
}
