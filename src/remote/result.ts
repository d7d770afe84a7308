// What a job leaves: its files, and a manifest that names each with size and SHA-256. The manifest is written last, in one step: where there
// is one, all files were there, and whether a copy of them is whole can be seen. The revision is the hash of the list.
//
//   manifest.json   {"id":"3f2a...","attempt":"...","revision":"9c1e...","files":[{"path":"training_metrics.json","size":512,"sha256":"..."}]}
//   out/            the files

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { filesAt, hashFile, hashText } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';

const manifest = z.strictObject({
  id: z.string(),
  attempt: z.string(),
  revision: z.string(),
  files: z.array(z.strictObject({ path: z.string().min(1), size: z.int().min(0), sha256: z.string() })),
});

export type Manifest = z.infer<typeof manifest>;

type ResultFile = Manifest['files'][number];

const revisionOf = (files: readonly ResultFile[]): string => hashText(JSON.stringify(files.map(({ path, sha256 }) => [path, sha256])));

/** Lists what is in `out/` and writes manifest.json. */
export async function writeManifest(folder: string, { id, attempt }: Pick<Manifest, 'id' | 'attempt'>): Promise<Manifest> {
  const files: ResultFile[] = [];
  for (const path of filesAt(join(folder, 'out'))) {
    const file = join(folder, 'out', path);
    files.push({ path, size: statSync(file).size, sha256: await hashFile(file) });
  }
  const made = { id, attempt, revision: revisionOf(files), files };
  replaceText(join(folder, 'manifest.json'), `${JSON.stringify(made)}\n`);
  return made;
}

/** The manifest of a finished job; nothing before it is finished. */
export function readManifest(folder: string): Manifest | undefined {
  const file = join(folder, 'manifest.json');
  return existsSync(file) ? parseManifest(readFileSync(file, 'utf8')) : undefined;
}

/** @throws UserError `job.damaged` for what is no manifest, or names a file outside its folder */
export function parseManifest(text: string): Manifest {
  let read: Manifest;
  try {
    read = manifest.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged('manifest.json', cause);
  }
  if (read.revision !== revisionOf(read.files)) throw damaged('manifest.json');
  const outside = read.files.find(({ path }) => path.split('/').some((part) => /^(|\.|\.\.)$/.test(part)) || /[\\\0]/.test(path));
  if (outside)
    throw new UserError('job.path', `job: its result names a file outside its folder: ${JSON.stringify(outside.path)}; do not use it`);
  return read;
}

/**
 * Checks that a copy of a result is whole, and of the job asked for.
 *
 * @throws UserError `job.damaged`, `job.other-result`
 */
export async function checkResult(folder: string, wanted: Pick<Manifest, 'id' | 'revision'>): Promise<Manifest> {
  const read = readManifest(folder);
  if (!read) throw damaged('manifest.json');
  if (read.id !== wanted.id || read.revision !== wanted.revision)
    throw new UserError('job.other-result', `job: the result is of another job: ${read.id}, not ${wanted.id}; run again`);
  for (const { path, size, sha256 } of read.files) {
    const file = join(folder, 'out', path);
    if (!existsSync(file) || statSync(file).size !== size || (await hashFile(file)) !== sha256) throw damaged(path);
  }
  return read;
}

const damaged = (path: string, cause?: unknown) =>
  new UserError('job.damaged', `job: result arrived damaged: ${path}; run again, it is fetched anew`, { cause });
