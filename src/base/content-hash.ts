// What names content: SHA-256 of a file, and of the list of a folder's files with theirs.

import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from './errors.ts';
import { compareCodePoints } from './text.ts';

/** SHA-256 of a file's bytes, in hex. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/**
 * Files of a folder by relative path, in one order everywhere; of a file: one empty path. Hidden files do not count.
 *
 * @throws UserError `input.missing` for a place that is not there or holds nothing
 */
export function filesAt(place: string): string[] {
  if (!existsSync(place)) throw new UserError('input.missing', `input: not found: ${place}; name a file or folder`);
  if (!statSync(place).isDirectory()) return [''];
  const files = readdirSync(place, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !path.split('/').some((part) => part.startsWith('.')) && statSync(join(place, path)).isFile())
    .sort(compareCodePoints);
  if (files.length === 0) throw new UserError('input.missing', `input: empty folder: ${place}; name a file, or a folder with files`);
  return files;
}

/** SHA-256 of a file or folder: of the list of its files with their hashes. Where it lies does not matter. */
export async function fingerprint(place: string): Promise<string> {
  const files: string[][] = [];
  for (const file of filesAt(place)) files.push([file, await hashFile(file === '' ? place : join(place, file))]);
  return hashText(JSON.stringify(files));
}

/** SHA-256 of a text, in hex. */
export const hashText = (text: string): string => createHash('sha256').update(text).digest('hex');
