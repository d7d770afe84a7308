// A job that travels through a data set of the hub, private and of its own: OWNER/clinfuse-job-ID. Whoever sends something sends it as one
// commit, so that what can be read is whole: neither half an upload nor a log is ever taken for a result.
//
//   by the launch      job.json, in/NAME...                     replaces whatever an earlier launch left
//   by the worker      status.json                              {attempt, state: running, heartbeat}, or {attempt, state: failed, reason, log}
//   by the worker      manifest.json, out/...                   the result, in place of status.json
//
// What is read counts only if it is of the same attempt as job.json.

import { randomUUID } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { filesAt } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { temporaryFolder } from '../base/files.ts';
import type { Progress } from '../base/progress.ts';
import type { Hub, Upload } from '../models/hub.ts';
import { pull } from '../models/pull.ts';
import { pushFiles } from '../models/push-files.ts';
import { type Job, type JobFile, type JobState, jobFile, jobFileOf } from './job.ts';
import { parseManifest } from './result.ts';

/** The repository of a job. */
export type JobPlace = {
  readonly hub: Hub;
  /** OWNER/NAME of a data set. */
  readonly name: string;
  readonly progress: Progress;
  readonly log: (line: string) => void;
};

export const repositoryOf = ({ owner, id }: { readonly owner: string; readonly id: string }): string => `${owner}/clinfuse-job-${id}`;

const status = z.union([
  z.strictObject({ attempt: z.string(), state: z.literal('running'), heartbeat: z.number() }),
  z.strictObject({ attempt: z.string(), state: z.literal('failed'), reason: z.string(), log: z.string().optional() }),
]);

/** What can be read of a job. */
export type JobWord = {
  readonly commit: string;
  readonly job: JobFile;
  /** What its worker said last; nothing before it began. */
  readonly said: JobState | undefined;
};

/** Sends a job with its inputs. Models that are on the hub are not sent: the worker fetches them. */
export async function sendJob(job: Job, { hub, name, progress, log }: JobPlace): Promise<void> {
  const scratch = temporaryFolder();
  try {
    const file = join(scratch.path, 'job.json');
    writeFileSync(file, JSON.stringify(jobFileOf(job, randomUUID())));
    const inputs = Object.entries(job.inputs).flatMap(([input, given]) =>
      'path' in given ? filesAt(given.path).map((path) => [join('in', input, path), join(given.path, path)] as const) : [],
    );
    const files = [['job.json', file] as const, ...inputs].map(([path, source]) => toSend(path, source));
    await pushFiles({ hub, name, files, title: `Job ${job.id}`, replaces: /^(?!\.gitattributes$)/, progress, log });
  } finally {
    scratch.remove();
  }
}

/**
 * How it stands with a job; nothing where none was sent.
 *
 * @throws UserError `hub.unreachable` and the other `hub.*`: what cannot be asked is not taken for nothing
 */
export async function readJob({ hub, name }: Pick<JobPlace, 'hub' | 'name'>): Promise<JobWord | undefined> {
  const found = await hub.find(name);
  if (!found) return undefined;
  const { commit } = found;
  const paths = new Set((await hub.files(name, commit)).map(({ path }) => path));
  if (!paths.has('job.json')) return undefined;
  const text = async (path: string) => (paths.has(path) ? await readText({ hub, name, commit, path }) : undefined);
  const job = parse(jobFile, (await text('job.json'))!, name);
  const manifest = await text('manifest.json');
  if (manifest !== undefined) {
    const { attempt, revision } = parseManifest(manifest);
    if (attempt === job.attempt) return { commit, job, said: { state: 'done', revision } };
  }
  const word = await text('status.json');
  if (word === undefined) return { commit, job, said: undefined };
  const { attempt, ...said } = parse(status, word, name);
  return { commit, job, said: attempt === job.attempt ? said : undefined };
}

/** Puts a word of the worker's down. */
export async function sendWord(
  said: Extract<JobState, { readonly state: 'running' | 'failed' }>,
  place: JobPlace & { readonly attempt: string },
) {
  const scratch = temporaryFolder();
  try {
    const file = join(scratch.path, 'status.json');
    writeFileSync(file, JSON.stringify({ attempt: place.attempt, ...said }));
    const title = said.state === 'running' ? 'Heartbeat' : 'Failed';
    await pushFiles({ ...place, files: [toSend('status.json', file)], title });
  } finally {
    scratch.remove();
  }
}

/** Sends what is in the folder of a finished job. */
export async function sendResult(folder: string, place: JobPlace): Promise<void> {
  const out = filesAt(join(folder, 'out')).map((path) => toSend(join('out', path), join(folder, 'out', path)));
  const files = [toSend('manifest.json', join(folder, 'manifest.json')), ...out];
  await pushFiles({ ...place, files, title: 'Result', replaces: /^(status\.json|out\/.*)$/ });
}

/** Fetches a job and its inputs into a folder; the result, with its manifest, into one. */
export async function fetchPart(
  part: 'inputs' | 'result',
  { commit, into, hub, name, progress, log }: JobPlace & { readonly commit: string; readonly into: string },
): Promise<void> {
  const files = part === 'inputs' ? ['job.json', 'in/*'] : ['manifest.json', 'out/*'];
  await pull({ hub, name, revision: commit, out: into, files, progress, log });
}

const toSend = (path: string, source: string): Upload['files'][number] => ({
  path: path.replaceAll('\\', '/').replace(/\/$/, ''),
  source,
  size: statSync(source).size,
});

async function readText({
  hub,
  ...place
}: {
  readonly hub: Hub;
  readonly name: string;
  readonly commit: string;
  readonly path: string;
}): Promise<string> {
  try {
    const { bytes } = await hub.read({ ...place, from: 0 });
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError('hub.unreachable', `hub: connection broke: ${place.path} of ${place.name}; run again`, { cause });
  }
}

function parse<T>(schema: z.ZodType<T>, text: string, name: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new UserError('job.folder', `job: not understood: ${name}; it was sent by another version, or changed by hand`, { cause });
  }
}
