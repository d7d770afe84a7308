// Fetches a model into a folder. The revision is pinned to its commit first; every file lands in a folder beside the target under its
// checksum, so that an interrupted pull goes on where it stopped, whatever it was interrupted by, and nothing is fetched twice. When all
// are there and have the right checksums, they take the target's place at once.

import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, existsSync, linkSync, mkdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { writeFolder } from '../base/files.ts';
import { type Progress, type Step, silent } from '../base/progress.ts';
import { bytesText } from '../base/text.ts';
import { type Checksum, type Hub, type HubFile, notFound } from './hub.ts';

export type PullOptions = {
  readonly hub: Hub;
  /** OWNER/NAME. */
  readonly name: string;
  readonly revision?: string | undefined;
  readonly out: string;
  /** Names to fetch, `*` for any letters; default: all that a model consists of. */
  readonly files?: readonly string[] | undefined;
  readonly progress?: Progress;
  readonly log?: (line: string) => void;
  readonly wait?: (ms: number) => Promise<void>;
};

export type PullResult = {
  readonly name: string;
  readonly commit: string;
  readonly out: string;
  readonly files: number;
  readonly bytes: number;
  /** Of them, bytes that an earlier pull had left. */
  readonly bytesKept: number;
  readonly skipped: readonly string[];
};

/** Pickled weights (which run code when opened) and other programs' formats: nothing here reads them. */
const unused = /\.(bin|pt|pth|ckpt|pkl|msgpack|h5|onnx|onnx_data|tflite|mlmodel|ot)$|(^|\/)\./i;

/**
 * Fetches a model from the hub.
 *
 * @throws UserError `hub.*`; `pull.*` for what arrives damaged or would not fit; `output.*` as `writeFolder`
 */
export async function pull({
  hub,
  name,
  revision,
  out,
  files: wanted,
  progress = silent,
  log = () => {},
  wait,
}: PullOptions): Promise<PullResult> {
  const found = await hub.find(name, revision);
  if (!found) throw notFound(revision === undefined ? name : `${name}@${revision}`);
  const { commit } = found;
  const all = await hub.files(name, commit);
  const isWanted = wanted ? nameTest(wanted) : (path: string) => !unused.test(path);
  const files = all.filter(({ path }) => isWanted(path));
  const skipped = all.filter(({ path }) => !isWanted(path)).map(({ path }) => path);
  if (files.length === 0) throw new UserError('pull.empty', `pull: no file to fetch: ${name}; it has ${shown(skipped)}`);
  for (const { path } of files) refuseOutside(path, name);
  if (!wanted && skipped.length > 0) log(`left out: ${shown(skipped)}`);

  const target = resolve(out);
  const staging = join(dirname(target), `.${basename(target)}.pull`);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  // What is fetched lies beside the half-written folder, which goes when a run ends; what is fetched stays until all is there.
  const bytesKept = await writeFolder(out, { names: files.map(({ path }) => path.split('/')[0]!) }, async (folder) => {
    mkdirSync(staging, { recursive: true });
    const kept = files.reduce((sum, file) => sum + keptBytes(file, { staging, target }), 0);
    refuseTooLarge(bytes - kept, dirname(target));
    if (kept > 0) log(`${bytesText(kept)} of ${bytesText(bytes)} are here already`);
    const step = progress.step(`pulling ${name}`, { total: bytes, unit: 'bytes' });
    for (const file of files) await fetchFile(file, { hub, name, commit, staging, target, step, log, wait });
    step.finish();
    for (const { path, checksum } of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      link(join(staging, checksum.value), join(folder, path));
    }
    return kept;
  });
  rmSync(staging, { recursive: true, force: true });
  return { name, commit, out, files: files.length, bytes, bytesKept, skipped };
}

const shown = (paths: readonly string[]) =>
  paths.length === 0 ? 'none' : `${paths.slice(0, 4).join(', ')}${paths.length > 4 ? ` and ${paths.length - 4} more` : ''}`;

function nameTest(patterns: readonly string[]): (path: string) => boolean {
  const tests = patterns.map((one) => new RegExp(`^${one.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`, 'i'));
  return (path) => tests.some((test) => test.test(path));
}

/** The server names the files: none may lie outside the folder. */
function refuseOutside(path: string, name: string): void {
  const parts = path.split('/');
  if (parts.every((part) => part !== '' && part !== '.' && part !== '..') && !/[\\\0:]/.test(path)) return;
  throw new UserError('pull.path', `pull: ${name} names a file outside its folder: ${JSON.stringify(path)}; do not use it`);
}

function refuseTooLarge(bytes: number, folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bytes > bavail * bsize) {
    throw new UserError(
      'output.disk-full',
      `pull: not enough space: ${bytesText(bytes)} to fetch, ${bytesText(bavail * bsize)} free in ${folder}; free some`,
    );
  }
}

type Places = { readonly staging: string; readonly target: string };

/** What of a file is here: fetched whole or in part, or in the folder that an earlier pull made. */
function keptBytes({ path, size, checksum }: HubFile, { staging, target }: Places): number {
  const whole = join(staging, checksum.value);
  if (sizeOf(whole) === size || sizeOf(join(target, path)) === size) return size;
  return Math.min(size, sizeOf(`${whole}.part`) ?? 0);
}

const sizeOf = (path: string): number | undefined => (existsSync(path) ? statSync(path).size : undefined);

type Fetching = Places & {
  readonly hub: Hub;
  readonly name: string;
  readonly commit: string;
  readonly step: Step;
  readonly log: (line: string) => void;
  readonly wait?: ((ms: number) => Promise<void>) | undefined;
};

async function fetchFile(file: HubFile, { staging, target, step, ...from }: Fetching): Promise<void> {
  const { path, size, checksum } = file;
  const whole = join(staging, checksum.value);
  const part = `${whole}.part`;
  if (sizeOf(whole) === size) {
    step.advance(size, path);
    return;
  }
  const earlier = join(target, path);
  if (sizeOf(earlier) === size && (await hashOf(earlier, checksum, size)) === checksum.value) {
    link(earlier, whole);
    step.advance(size, path);
    return;
  }
  await download(file, { part, step, ...from });
  if ((await hashOf(part, checksum, size)) !== checksum.value) {
    rmSync(part);
    throw new UserError('pull.checksum', `pull: arrived damaged: ${path} (its checksum is another); run again, it is fetched anew`);
  }
  link(part, whole);
  rmSync(part);
}

const triesWithoutBytes = 5;

/** Fetches the rest of a file, going on after cuts as long as something arrives. */
async function download(
  { path, size }: HubFile,
  { hub, name, commit, part, step, log, wait = pause }: Omit<Fetching, keyof Places> & { readonly part: string },
): Promise<void> {
  const file = await open(part, 'a');
  try {
    let done = (await file.stat()).size;
    if (done > size) await file.truncate((done = 0));
    step.advance(done, path);
    for (let failures = 0; done < size; ) {
      const before = done;
      let fault: unknown;
      try {
        const { from, bytes } = await hub.read({ name, commit, path, from: done });
        if (from !== done) {
          step.advance(from - done);
          await file.truncate((done = from));
        }
        for await (const chunk of bytes) {
          if (done + chunk.length > size) throw tooLong(path, size);
          await file.appendFile(chunk);
          done += chunk.length;
          step.advance(chunk.length, path);
        }
      } catch (cause) {
        // A full disk is for `writeFolder` to explain.
        if (cause instanceof UserError || isDiskFault(cause)) throw cause;
        fault = cause;
      }
      if (done === size) break;
      failures = done > before ? 0 : failures + 1;
      if (failures === triesWithoutBytes) {
        throw new UserError(
          'hub.unreachable',
          `pull: connection keeps breaking: ${path} at ${bytesText(done)} of ${bytesText(size)}; run again to go on from there`,
          { cause: fault },
        );
      }
      log(`connection lost at ${bytesText(done)} of ${bytesText(size)} (${path}); going on from there`);
      await wait(500 * 2 ** failures);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

const isDiskFault = (cause: unknown): boolean => /^(ENOSPC|EDQUOT|EFBIG|EIO|EROFS)$/.test((cause as NodeJS.ErrnoException).code ?? '');

const tooLong = (path: string, size: number) =>
  new UserError('pull.checksum', `pull: arrived damaged: ${path} is longer than its ${bytesText(size)}; run again`);

async function hashOf(path: string, { kind }: Checksum, size: number): Promise<string> {
  const hash = createHash(kind === 'sha256' ? 'sha256' : 'sha1');
  if (kind === 'git') hash.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** A second name for a file; a copy where the disk knows no such thing. */
function link(from: string, to: string): void {
  if (existsSync(to)) return;
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
