// A job where it is done: one folder, whoever started it and however.
//
//   job.json       what is to be done (job)             in/NAME   its inputs
//   worker.json    the process that does it             log.txt   what it printed
//   status.json    {state: running, heartbeat}, or {state: failed, reason, log}
//   out/           what it writes; manifest.json (result) appears last, and says that it is done
//   stop           where this is found, the job ends, or does not begin
//
// Whether a process lives can be asked on its own machine only. From elsewhere, over a shared disk or out of a container, what remains is how
// long ago it was heard of.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';
import { type ProcessGroup, startOf, stopGroup } from '../pipeline/shell.ts';
import { lastLines } from '../pipeline/stage-commands.ts';
import { type JobFile, type JobState, jobFile } from './job.ts';
import { readManifest } from './result.ts';

const worker = z.strictObject({
  host: z.string(),
  pid: z.int(),
  /** When the process started: numbers are used again. */
  started: z.string(),
  /** The command it runs, and all that starts. */
  command: z.strictObject({ group: z.int(), started: z.string() }).nullable(),
});

const status = z.union([
  z.strictObject({ state: z.literal('running'), heartbeat: z.number() }),
  z.strictObject({ state: z.literal('failed'), reason: z.string(), log: z.string() }),
]);

type Worker = z.infer<typeof worker>;
export type WorkerStatus = z.infer<typeof status>;

/** @throws UserError `job.folder` where no job is */
export function readJobFile(folder: string): JobFile {
  try {
    return jobFile.parse(JSON.parse(readFileSync(join(folder, 'job.json'), 'utf8')));
  } catch (cause) {
    throw new UserError('job.folder', `job: not the folder of a job: ${folder}; it has no job.json that can be read`, { cause });
  }
}

export const isJobFolder = (place: string): boolean => existsSync(join(place, 'job.json'));

/** How it stands with the job of a folder. */
export function folderState(folder: string): JobState {
  if (!isJobFolder(folder)) return { state: 'gone' };
  // Asked first: a process that ends in between has left its last word by then.
  const doing = readJson(join(folder, 'worker.json'), worker);
  const isAlive = doing === undefined || mayLive(doing);
  const { attempt } = readJobFile(folder);
  const result = readManifest(folder);
  if (result?.attempt === attempt) return { state: 'done', revision: result.revision };
  const said = readJson(join(folder, 'status.json'), status);
  if (said?.state === 'failed') return said;
  if (!isAlive) return { state: 'failed', reason: 'its process ended without a word (killed, or out of memory)', log: endOfLog(folder) };
  return { state: 'running', heartbeat: said?.heartbeat };
}

/** Puts a word of the worker's down. */
export const writeStatus = (folder: string, said: WorkerStatus): void => replaceText(join(folder, 'status.json'), JSON.stringify(said));

/**
 * Makes this process the worker of a folder. There is never a second one.
 *
 * @returns what puts down the command once it is started
 * @throws UserError `job.taken`
 */
export function claim(folder: string): (command: ProcessGroup) => void {
  const file = join(folder, 'worker.json');
  const earlier = readJson(file, worker);
  if (earlier && folderState(folder).state === 'running') throw taken(folder, earlier);
  const self: Worker = { host: hostname(), pid: process.pid, started: startOf(process.pid) ?? '', command: null };
  // Of two that come at once, one makes the file.
  if (earlier) replaceText(file, JSON.stringify(self));
  else {
    try {
      writeFileSync(file, JSON.stringify(self), { flag: 'wx' });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw taken(folder);
      throw cause;
    }
  }
  return (command) => replaceText(file, JSON.stringify({ ...self, command }));
}

const taken = (folder: string, by?: Worker) =>
  new UserError(
    'job.taken',
    `job: being done already: ${folder}${by ? `, by process ${by.pid} of ${by.host}` : ''}; wait for it, or stop it`,
  );

export const isToStop = (folder: string): boolean => existsSync(join(folder, 'stop')) || !isJobFolder(folder);

/** Pause between looks, and how many of them: half a minute, some heartbeats. */
const lookMs = 50;
const patience = 600;

/**
 * Ends the job of a folder; when it returns, nothing of it runs and nothing will. Of a worker on another machine that is not heard of all the
 * while no more can be known: should it wake, it finds that it is to stop.
 *
 * @throws UserError `job.not-stopped` where it goes on
 */
export async function stopFolder(folder: string): Promise<void> {
  if (!isJobFolder(folder)) return;
  writeFileSync(join(folder, 'stop'), '');
  const doing = () => readJson(join(folder, 'worker.json'), worker);
  const first = doing();
  // Not begun: it will find the word to stop before it begins.
  if (!first) return;
  const isHere = first.host === hostname();
  const stopCommand = async () => {
    const command = doing()?.command;
    if (isHere && command) await stopGroup(command);
  };
  await stopCommand();
  const before = heartbeatOf(folder);
  for (let looks = 0; folderState(folder).state === 'running'; looks++) {
    if (looks === patience) {
      if (!isHere && heartbeatOf(folder) === before) break;
      const hint = 'cancel again, or stop it there';
      throw new UserError('job.not-stopped', `job: told to stop, but goes on: process ${first.pid} of ${first.host}; ${hint}`);
    }
    await wait(lookMs);
  }
  // It may have begun its command in between.
  await stopCommand();
}

const heartbeatOf = (folder: string): number | undefined => {
  const said = readJson(join(folder, 'status.json'), status);
  return said?.state === 'running' ? said.heartbeat : undefined;
};

/** The last lines that the command printed. */
export function endOfLog(folder: string): string {
  const tail = lastLines();
  if (existsSync(join(folder, 'log.txt'))) tail.add(readFileSync(join(folder, 'log.txt'), 'utf8'));
  return tail.lines().join('\n');
}

const mayLive = ({ host, pid, started }: Worker): boolean => host !== hostname() || startOf(pid) === started;

function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // Half of a file that is being written for the first time, or not ours: as if nothing had been said.
    return undefined;
  }
}
