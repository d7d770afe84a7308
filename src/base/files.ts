// Outputs are whole or absent: everything is written beside its place and renamed there in one step. What was there before
// stays until that step; an interrupted or failed run leaves it untouched. `discardPartial` is called by the CLI on Ctrl-C.

import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';

import { UserError } from './errors.ts';

const partial = new Set<string>();

/** Pipelines put one beside the outputs they cache: no reason to refuse a folder, and it stays. */
const ignoreFile = '.gitignore';

/**
 * Writes a folder in one step. `fill` gets an empty folder beside the target; when it returns, that folder takes the target's place.
 *
 * @param options.names top-level names this output consists of. An existing folder that holds anything else is not ours, and is refused
 * @param options.inputs folders read while writing: the output may not be one of them, hold one or lie in one
 * @throws UserError `output.foreign`, `output.overlap`, `output.unwritable`, `output.disk-full`
 */
export async function writeFolder<T>(
  target: string,
  { names, inputs = [] }: { readonly names: readonly string[]; readonly inputs?: readonly string[] },
  fill: (folder: string) => Promise<T> | T,
): Promise<T> {
  const place = resolve(target);
  for (const input of inputs) refuseOverlap(place, resolve(input));
  refuseForeign(place, names);
  return whole(place, true, fill);
}

/**
 * Writes one file in one step: `fill` gets the name of a file beside the target to write, which then takes the target's place.
 *
 * @throws UserError `output.unwritable`, `output.disk-full`
 */
export async function writeFile<T>(target: string, fill: (file: string) => Promise<T> | T): Promise<T> {
  const place = resolve(target);
  if (existsSync(place) && statSync(place).isDirectory()) {
    throw new UserError('output.foreign', `output: is a folder: ${target}; name a file`);
  }
  return whole(place, false, fill);
}

/** Writes text as one file in one step. */
export function writeText(target: string, text: string | Uint8Array): Promise<void> {
  return writeFile(target, (file) => {
    const handle = openSync(file, 'w');
    try {
      const bytes = typeof text === 'string' ? Buffer.from(text) : text;
      for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  });
}

/**
 * Writes text as one file in one step, before it returns: for small files that several tasks of one process read, change and write.
 *
 * @throws UserError `output.unwritable`, `output.disk-full`
 */
export function replaceText(target: string, text: string): void {
  const place = resolve(target);
  const beside = partialName(place);
  try {
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(beside, text, { flush: true });
    renameSync(beside, place);
  } catch (cause) {
    rmSync(beside, { force: true });
    throw explainWriteFault(cause, place);
  }
}

/**
 * Adds text to the end of a file, for logs that grow: what an interrupted run leaves may end in half a line.
 *
 * @throws UserError `output.unwritable`, `output.disk-full`
 */
export function appendText(target: string, text: string): void {
  try {
    appendFileSync(target, text);
  } catch (cause) {
    throw explainWriteFault(cause, target);
  }
}

/** Writes a value as indented JSON in one step. */
export function writeJson(target: string, value: unknown): Promise<void> {
  return writeText(target, jsonText(value));
}

/** JSON as we write it into files. */
export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** A folder for scratch files in the system's temporary place; `remove` it when done. Goes with the half-written outputs on Ctrl-C. */
export function temporaryFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'clinfuse-'));
  partial.add(path);
  const remove = () => {
    rmSync(path, { recursive: true, force: true });
    partial.delete(path);
  };
  return { path, remove };
}

/** Removes whatever is half-written; for the moment the process is told to stop. */
export function discardPartial(): void {
  for (const path of partial) rmSync(path, { recursive: true, force: true });
  partial.clear();
}

/**
 * Removes what processes that are gone left half-written in a folder.
 *
 * @param isAlive whether a process still runs, and may go on writing
 */
export function sweepPartial(folder: string, isAlive: (pid: number) => boolean): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const pid = name.match(/^\..+\.partial-(\d+)$/)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

const partialName = (place: string): string => join(dirname(place), `.${basename(place)}.partial-${process.pid}`);

async function whole<T>(place: string, isFolder: boolean, fill: (path: string) => Promise<T> | T): Promise<T> {
  const beside = partialName(place);
  try {
    mkdirSync(isFolder ? beside : dirname(place), { recursive: true });
    partial.add(beside);
    const result = await fill(beside);
    if (isFolder && existsSync(join(place, ignoreFile))) copyFileSync(join(place, ignoreFile), join(beside, ignoreFile));
    replace(beside, place);
    return result;
  } catch (cause) {
    rmSync(beside, { recursive: true, force: true });
    throw explainWriteFault(cause, place);
  } finally {
    partial.delete(beside);
  }
}

/** A folder cannot be renamed onto a full one, so the old one steps aside first and is removed last. */
function replace(from: string, to: string): void {
  if (!existsSync(to) || !statSync(to).isDirectory()) {
    renameSync(from, to);
    return;
  }
  const aside = join(dirname(to), `.${basename(to)}.old-${process.pid}`);
  renameSync(to, aside);
  try {
    renameSync(from, to);
  } catch (cause) {
    renameSync(aside, to);
    throw cause;
  }
  rmSync(aside, { recursive: true, force: true });
}

function refuseForeign(place: string, names: readonly string[]): void {
  if (!existsSync(place)) return;
  if (!statSync(place).isDirectory()) throw new UserError('output.foreign', `output: is a file: ${place}; name a folder`);
  const foreign = readdirSync(place).find((name) => !names.includes(name) && name !== ignoreFile);
  if (foreign !== undefined) {
    throw new UserError(
      'output.foreign',
      `output: folder holds something not written by this command: ${join(place, foreign)}; name a new or empty folder`,
    );
  }
}

function refuseOverlap(place: string, input: string): void {
  const inside = (inner: string, outer: string) => !relative(outer, inner).startsWith('..');
  if (inside(place, input) || inside(input, place)) {
    throw new UserError('output.overlap', `output: overlaps the input: ${place}; name a folder outside ${input}`);
  }
}

/** Turns the system's (or DuckDB's) words for an unwritable place or a full disk into the user's. */
export function explainWriteFault(cause: unknown, place: string): unknown {
  const text = cause instanceof Error ? `${(cause as NodeJS.ErrnoException).code ?? ''} ${cause.message}` : '';
  if (/ENOSPC|EDQUOT|EFBIG|No space left|File too large/i.test(text)) {
    return new UserError('output.disk-full', `output: disk full while writing ${place}; nothing was changed, free space and run again`, {
      cause,
    });
  }
  if (/EACCES|EPERM|EROFS|ENOTDIR|EEXIST|Permission denied|Read-only file system/.test(text) && !(cause instanceof UserError)) {
    return new UserError('output.unwritable', `output: cannot be written: ${place}; check its owner and permissions`, { cause });
  }
  return cause;
}
