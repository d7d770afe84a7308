// Work that is done on another machine: what is to be done (`Job`), and where (`Target`).
//
// A job is a clinfuse command whose places are not yet known: `{in}/NAME` stands for an input, `{out}` for the folder it writes. Its id is
// the SHA-256 of all that decides its result (stage, command, contents of inputs), so that the same work has the same name everywhere. A
// launch that dies before anybody could write down that it succeeded leaves a job that the next call finds by its name.
//
// A target knows how to reach one kind of machine and nothing of when to launch or to collect: that is `launch-or-collect`. It may be asked
// anything at any time, by a process that knows nothing but the handle of an earlier one.

import { statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { z } from 'zod';

import { filesAt, fingerprint, hashText } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { compareCodePoints } from '../base/text.ts';

/** A file or folder of this machine, known by its content; or a model that the other machine fetches from the hub by itself. */
export type JobInput =
  | { readonly path: string; readonly fingerprint: string }
  | { readonly hub: string; readonly revision?: string | undefined };

export type Stage = 'train' | 'export' | 'infer';

export type Job = {
  /** 16 hex digits, from stage, command and contents of inputs. */
  readonly id: string;
  readonly stage: Stage;
  /** Arguments of clinfuse, with `{in}/NAME` and `{out}` for places. */
  readonly command: readonly string[];
  /** By name: letters, digits, `.`, `_` and `-`. */
  readonly inputs: Readonly<Record<string, JobInput>>;
  /** What must be in `{out}` when it is done. */
  readonly outputs: readonly string[];
};

/** What a target needs to find a job again: plain data without secrets. */
export type JobHandle = Readonly<Record<string, string>>;

export type JobState =
  /** Begun, or waiting for its turn. `heartbeat`: when it was last heard of, in milliseconds of this machine's clock. */
  | { readonly state: 'running'; readonly heartbeat?: number | undefined }
  /** The whole result can be had; `revision` names its content. Never said of a result older than the launch that the handle is of. */
  | { readonly state: 'done'; readonly revision: string }
  /** `log`: its last lines. */
  | { readonly state: 'failed'; readonly reason: string; readonly log?: string | undefined }
  /** Nothing runs and nothing was left. */
  | { readonly state: 'gone' };

export type Target = {
  /** As it was given to `--on`. */
  readonly name: string;
  /** One line, told before the launch: what is sent where, and what it may cost. Changes nothing. */
  readonly estimate: (job: Job) => Promise<string>;
  /** The job of this id that a launch left, whatever its state; nothing where none is. */
  readonly find: (id: string) => Promise<JobHandle | undefined>;
  /**
   * Sends the inputs and starts the work. What an earlier job of this id left is replaced. When it throws, nothing that costs is left
   * running, as far as can be known; what cannot be known `find` tells later.
   */
  readonly launch: (job: Job) => Promise<JobHandle>;
  readonly status: (handle: JobHandle) => Promise<JobState>;
  /** Copies `manifest.json` and the files it names (`out/...`) into an empty folder. Their checksums are the caller's to check. */
  readonly collect: (handle: JobHandle, result: { readonly revision: string; readonly into: string }) => Promise<void>;
  /** Ends the job and takes away what it left there. Once it returns nothing runs; may be called again. */
  readonly stop: (handle: JobHandle) => Promise<void>;
};

/** Where an input is: a path, or `hf:OWNER/NAME[@REVISION]`. */
export async function jobInput(given: string): Promise<JobInput> {
  if (!given.startsWith('hf:')) return { path: given, fingerprint: await fingerprint(given) };
  const [, hub, revision] = /^hf:([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/.exec(given) ?? [];
  if (hub === undefined)
    throw new UserError('job.hub-name', `job: not a model on the hub: ${given}; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION`);
  return { hub, ...(revision !== undefined && { revision }) };
}

/** What an input is called at the other place: a file keeps its extension, by which it is read. */
export function inputName(name: string, given: string): string {
  if (given.startsWith('hf:')) return name;
  return filesAt(given)[0] === '' ? `${name}${extname(basename(given))}` : name;
}

/** A job with its id. */
export function nameJob({ stage, command, inputs, outputs }: Omit<Job, 'id'>): Job {
  const contents = Object.entries(inputs)
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(([name, input]) => ('path' in input ? [name, input.fingerprint] : [name, input.hub, input.revision ?? null]));
  return { id: hashText(JSON.stringify([stage, command, contents])).slice(0, 16), stage, command, inputs, outputs };
}

/**
 * The command with its places.
 *
 * @param places.input folder of the inputs; `out` the folder to write
 */
export function commandAt({ command }: Pick<Job, 'command'>, { input, out }: { readonly input: string; readonly out: string }): string[] {
  return command.map((word) => word.replace(/^\{in\}(?=\/|$)/, () => input).replace(/^\{out\}(?=\/|$)/, () => out));
}

/** What is read of a job by the program that does it; inputs are in `in/NAME`. */
export const jobFile = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  /** Different for every launch: a result tells which one it is of. */
  attempt: z.string().min(1),
  stage: z.enum(['train', 'export', 'infer']),
  command: z.array(z.string()).min(1),
  inputs: z.record(
    z.string().regex(/^[\w-][\w.-]*$/),
    z.union([z.strictObject({ fingerprint: z.string() }), z.strictObject({ hub: z.string(), revision: z.string().optional() })]),
  ),
  outputs: z.array(z.string()),
});

export type JobFile = z.infer<typeof jobFile>;

/** What goes to the other machine beside the inputs: no path of this one. */
export function jobFileOf({ id, stage, command, inputs, outputs }: Job, attempt: string): JobFile {
  const sent = Object.entries(inputs).map(([name, input]) => [name, 'path' in input ? { fingerprint: input.fingerprint } : input]);
  return { id, attempt, stage, command: [...command], inputs: Object.fromEntries(sent), outputs: [...outputs] };
}

/** Bytes that a job sends along. */
export function uploadBytes({ inputs }: Job): number {
  const files = Object.values(inputs).flatMap((input) =>
    'path' in input ? filesAt(input.path).map((file) => join(input.path, file)) : [],
  );
  return files.reduce((sum, file) => sum + statSync(file).size, 0);
}
