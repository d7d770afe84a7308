// MD5 of a file's bytes: one buffer is hashed while the next is read.

import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

import { UserError } from '../base/errors.ts';

const bufferBytes = 1 << 20;

export type HashedFile = {
  readonly md5: string;
  /** What the file system said of the file before it was read. */
  readonly stats: BigIntStats;
  /** Whether it said the same afterwards. */
  readonly isSteady: boolean;
};

/**
 * Hashes one file.
 *
 * @param ready awaited between looking at the file and reading it
 * @throws UserError `pipeline.unreadable`; the system's own error when the file is not there
 */
export async function hashFile(path: string, ready: (stats: BigIntStats) => Promise<void> = async () => {}): Promise<HashedFile> {
  const handle = await openToRead(path);
  try {
    const stats = await handle.stat({ bigint: true });
    await ready(stats);
    const md5 = await md5Of(handle, Number(stats.size));
    const after = await handle.stat({ bigint: true });
    const isSteady = after.size === stats.size && after.mtimeNs === stats.mtimeNs && after.ctimeNs === stats.ctimeNs;
    return { md5, stats, isSteady };
  } finally {
    await handle.close();
  }
}

async function md5Of(handle: FileHandle, size: number): Promise<string> {
  const hash = createHash('md5');
  const length = Math.min(bufferBytes, size + 1);
  let [filling, full] = [Buffer.allocUnsafe(length), size < bufferBytes ? Buffer.alloc(0) : Buffer.allocUnsafe(length)];
  let position = 0;
  let reading = handle.read(filling, 0, length, position);
  for (;;) {
    const { bytesRead } = await reading;
    if (bytesRead === 0) return hash.digest('hex');
    position += bytesRead;
    [filling, full] = [full.length === 0 ? Buffer.allocUnsafe(length) : full, filling];
    reading = handle.read(filling, 0, length, position);
    hash.update(full.subarray(0, bytesRead));
  }
}

async function openToRead(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      throw new UserError('pipeline.unreadable', `pipeline: file may not be read: ${path}; check its owner and permissions`, { cause });
    }
    throw cause;
  }
}
