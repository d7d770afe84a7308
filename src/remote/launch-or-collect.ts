// Work elsewhere in two calls of one command: the first launches, a later one collects. What a call does follows from the record beside the
// output and from what the target says:
//
//   record      the job there      what is done                                              what comes back
//   none        none               estimate told, launched, record written                   started
//   none        running, done,     adopted: a launch died before it could be written down,   as with a record
//               failed             or the record was removed
//   none        gone               launched; what was sent may be used again                started
//   running     running            heartbeat noted                                           running
//   running     silent too long    stopped, record put aside                                 error
//   running     done               collected, checked, in place; stopped; marked             collected
//   running     failed, gone       stopped, record put aside with the end of the log         error
//   running     of another id      nothing                                                   error: cancel it first
//   placed      (any)              stopped, marked                                           collected
//   collected   (none)             nothing where the result is still in place                collected
//
// The result takes its place before the job is stopped, and is marked after: a call that dies in between leaves nothing running that the
// next call does not stop, and fetches nothing twice that is here.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { writeFolder } from '../base/files.ts';
import { duration } from '../base/text.ts';
import type { Job, JobState, Target } from './job.ts';
import { endedFile, type JobRecord, putAside, readRecord, writeRecord } from './job-record.ts';
import { checkResult } from './result.ts';

export type LaunchOptions = {
  readonly job: Job;
  readonly target: Target;
  /** The output: a folder the result becomes, or a file that lies among those the result consists of. */
  readonly output: string;
  readonly kind: 'folder' | 'file';
  /** Milliseconds without a word after which a job is given up. */
  readonly timeOut: number;
  readonly clock: () => number;
  readonly log: (line: string) => void;
};

export type LaunchOutcome = {
  readonly outcome: 'started' | 'running' | 'collected';
  readonly id: string;
  readonly target: string;
  /** ISO times of this machine. */
  readonly launchedAt: string;
  readonly heartbeat: string | null;
  readonly revision: string | null;
};

/**
 * Launches a job, tells how it stands, or collects it.
 *
 * @throws UserError `job.changed`, `job.failed`, `job.silent`; those of the target and of `checkResult`
 */
export async function launchOrCollect(options: LaunchOptions): Promise<LaunchOutcome> {
  const { job, target, output } = options;
  const record = readRecord(output);
  if (record && record.phase !== 'collected') {
    refuseOther(record, options);
    const isHere = record.phase === 'placed' && isInPlace(options);
    return isHere ? outcome('collected', await settle(record, options)) : look(record, options);
  }
  if (record?.id === job.id && isInPlace(options)) return outcome('collected', record);
  refuseForeign(options, record !== undefined || existsSync(endedFile(output)));
  const found = await target.find(job.id);
  if (found && (await target.status(found)).state !== 'gone') {
    options.log(`found: job ${job.id} on ${target.name}, launched by a call that did not end`);
    return look(newRecord(found, options, ''), options);
  }
  // Where nothing is left that runs or ran, what was sent is left for the launch to go on with.
  const estimate = await target.estimate(job);
  options.log(estimate);
  const launched = newRecord(await target.launch(job), options, estimate);
  writeRecord(output, launched);
  return outcome('started', launched);
}

/**
 * Stops the job of an output and puts its record aside; nothing of it runs afterwards.
 *
 * @param options.id also a job of this id that was launched without anybody writing it down
 * @returns whether there was one
 */
export async function cancel({
  output,
  target,
  clock,
  id,
}: Pick<LaunchOptions, 'output' | 'target' | 'clock'> & { readonly id?: string }): Promise<boolean> {
  const record = readRecord(output);
  if (record && record.phase !== 'collected') {
    await target.stop(record.handle);
    putAside(output, { reason: 'cancelled', endedAt: new Date(clock()).toISOString(), log: null });
    return true;
  }
  const found = id === undefined ? undefined : await target.find(id);
  if (found) await target.stop(found);
  return found !== undefined;
}

function newRecord(handle: JobRecord['handle'], { job, target, clock }: LaunchOptions, estimate: string): JobRecord {
  const times = { launchedAt: new Date(clock()).toISOString(), heartbeat: null };
  return { id: job.id, target: target.name, stage: job.stage, phase: 'running', handle: { ...handle }, ...times, estimate, revision: null };
}

const outcome = (what: LaunchOutcome['outcome'], { id, target, launchedAt, heartbeat, revision }: JobRecord): LaunchOutcome => ({
  ...{ outcome: what, id, target, launchedAt, heartbeat, revision },
});

/** How it stands with a launched job, and what follows from it. */
async function look(record: JobRecord, options: LaunchOptions): Promise<LaunchOutcome> {
  const { target, output, clock, timeOut } = options;
  const state = await target.status(record.handle);
  switch (state.state) {
    case 'running': {
      const silence = clock() - Math.max(state.heartbeat ?? 0, Date.parse(record.launchedAt));
      if (silence > timeOut) return giveUp(record, options, { state: 'failed', reason: `not heard of for ${duration(silence / 1000)}` });
      const now = { ...record, heartbeat: state.heartbeat === undefined ? record.heartbeat : new Date(state.heartbeat).toISOString() };
      writeRecord(output, now);
      return outcome('running', now);
    }
    case 'done': {
      await collect(record, state.revision, options);
      const placed: JobRecord = { ...record, phase: 'placed', revision: state.revision };
      writeRecord(output, placed);
      return outcome('collected', await settle(placed, options));
    }
    case 'failed':
      return giveUp(record, options, state);
    case 'gone':
      return giveUp(record, options, { state: 'failed', reason: 'nothing of it is left there' });
  }
}

/** Whether what was collected, or at least what has to be of it, is still there. */
function isInPlace({ job, output, kind }: LaunchOptions): boolean {
  const folder = kind === 'folder' ? output : dirname(output);
  return job.outputs.every((path) => existsSync(join(folder, path)));
}

/** Nothing is to run once the result is here. */
async function settle(record: JobRecord, { target, output }: LaunchOptions): Promise<JobRecord> {
  await target.stop(record.handle);
  const collected: JobRecord = { ...record, phase: 'collected' };
  writeRecord(output, collected);
  return collected;
}

async function giveUp(
  record: JobRecord,
  { target, output, clock, log }: LaunchOptions,
  { reason, log: words }: Extract<JobState, { readonly state: 'failed' }>,
): Promise<never> {
  await target.stop(record.handle);
  writeRecord(output, record);
  const aside = putAside(output, { reason, endedAt: new Date(clock()).toISOString(), log: words ?? null });
  if (words) log(words.replace(/^/gm, '  '));
  throw new UserError(
    'job.failed',
    `job: failed on ${target.name}: ${reason}; its record and the end of its log: ${aside}; run again to launch anew`,
  );
}

function refuseOther(record: JobRecord, { job, target, output }: LaunchOptions): void {
  if (record.id === job.id && record.target === target.name) return;
  const what = record.id === job.id ? `on another machine: ${record.target}` : `with other settings or inputs, on ${record.target}`;
  throw new UserError(
    'job.changed',
    `job: launched ${record.launchedAt} ${what}; cancel it first: clinfuse job cancel ${output}, or run the command as it was`,
  );
}

/** Found out before hours of work are paid for. */
function refuseForeign({ job, output, kind }: LaunchOptions, isOurs: boolean): void {
  if (isOurs || kind === 'file' || !existsSync(output)) return;
  if (readdirSync(output).some((name) => name !== '.gitignore' && !job.outputs.some((path) => path.split('/')[0] === name)))
    throw new UserError('output.foreign', `output: folder holds what this job does not write: ${output}; name a new or empty folder`);
}

async function collect({ handle }: JobRecord, revision: string, { target, job, output, kind, log }: LaunchOptions): Promise<void> {
  const place = resolve(output);
  const staging = join(dirname(place), `.${basename(place)}.collecting`);
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true, mode: 0o700 });
  try {
    log(`collecting from ${target.name}`);
    await target.collect(handle, { revision, into: staging });
    const { files } = await checkResult(staging, { id: job.id, revision });
    const made = join(staging, 'out');
    if (kind === 'folder') {
      const names = [...new Set(files.map(({ path }) => path.split('/')[0]!))];
      await writeFolder(place, { names }, (folder) => {
        for (const name of names) renameSync(join(made, name), join(folder, name));
      });
    } else {
      // The file that was asked for comes last: where it is, the others are.
      const last = basename(place);
      for (const name of [...readdirSync(made).filter((one) => one !== last), last])
        renameSync(join(made, name), join(dirname(place), name));
    }
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}
