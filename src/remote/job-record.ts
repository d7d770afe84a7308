// What is known here of a job elsewhere: one small file beside the output it is to become, `OUTPUT.job.json`. Written when the launch has
// succeeded, and in one step each time, so that what it says has happened.
//
//   running     launched; it may also be done or dead there by now
//   placed      the result is in its place here; the job there is yet to be stopped
//   collected   and stopped: nothing is left there

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';

const jobRecord = z.strictObject({
  id: z.string(),
  /** As it was given to `--on`. */
  target: z.string(),
  stage: z.string(),
  phase: z.enum(['running', 'placed', 'collected']),
  handle: z.record(z.string(), z.string()),
  /** Times of this machine, ISO. */
  launchedAt: z.string(),
  heartbeat: z.string().nullable(),
  /** What was said before the launch. */
  estimate: z.string(),
  /** Content of the collected result. */
  revision: z.string().nullable(),
});

export type JobRecord = z.infer<typeof jobRecord>;

export const recordFile = (output: string): string => `${resolve(output)}.job.json`;

/** Where the record of a job goes that ended without a result. */
export const endedFile = (output: string): string => recordFile(output).replace(/\.json$/, '.ended.json');

/** @throws UserError `job.record` for a file that is none */
export function readRecord(output: string): JobRecord | undefined {
  const file = recordFile(output);
  if (!existsSync(file)) return undefined;
  try {
    return jobRecord.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new UserError('job.record', `job: not the record of a job: ${file}; look whether its job still runs, then remove the file`, {
      cause,
    });
  }
}

export function writeRecord(output: string, record: JobRecord): void {
  replaceText(recordFile(output), `${JSON.stringify(record, null, 2)}\n`);
}

/** Moves the record out of the way, with what became of the job and the end of its log; returns where to. */
export function putAside(
  output: string,
  ending: { readonly reason: string; readonly endedAt: string; readonly log: string | null },
): string {
  const aside = endedFile(output);
  replaceText(aside, `${JSON.stringify({ ...readRecord(output), ...ending }, null, 2)}\n`);
  rmSync(recordFile(output), { force: true });
  return aside;
}
