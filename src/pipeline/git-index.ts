// Which files git tracks, read from its index (versions 2 to 4): an output that is in the cache must not be in git as well.
//
//   DIRC, version, count; then per file 40 bytes of times and sizes, its hash, flags (16 bits, 16 more where bit 14 is set), and its path
//   2, 3    path, then 1 to 8 zero bytes up to a multiple of 8
//   4       how many bytes of the path before to drop (base 128, high bits first), what to put there instead, one zero byte
//
// Source: git, Documentation/gitformat-index.adoc.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/** Whether git tracks a file, or a file in a folder. */
export function isTracked(place: string, gitRoot: string): boolean {
  const path = Buffer.from(relative(gitRoot, place));
  return trackedFiles(gitRoot).some(
    (file) => file.subarray(0, path.length).equals(path) && (file.length === path.length || file[path.length] === slash),
  );
}

const slash = '/'.charCodeAt(0);

function trackedFiles(gitRoot: string): readonly Buffer[] {
  const folder = gitFolder(gitRoot);
  const file = join(folder, 'index');
  if (!existsSync(file)) return [];
  const index = readFileSync(file);
  const version = index.readUInt32BE(4);
  if (index.toString('latin1', 0, 4) !== 'DIRC' || version < 2 || version > 4) return [];
  const hashBytes = /^\s*objectformat\s*=\s*sha256\s*$/im.test(readText(join(folder, 'config'))) ? 32 : 20;
  const files: Buffer[] = [];
  let at = 12;
  for (let left = index.readUInt32BE(8); left > 0; left--) {
    const flags = index.readUInt16BE(at + 40 + hashBytes);
    let start = at + 42 + hashBytes + (flags & 0x4000 ? 2 : 0);
    let kept: Buffer = Buffer.alloc(0);
    if (version === 4) {
      const { value, next } = readOffset(index, start);
      const before = files.at(-1) ?? Buffer.alloc(0);
      kept = before.subarray(0, before.length - value);
      start = next;
    }
    const end = index.indexOf(0, start);
    files.push(Buffer.concat([kept, index.subarray(start, end)]));
    at = version === 4 ? end + 1 : at + (Math.floor((end - at) / 8) + 1) * 8;
  }
  return files;
}

/** A number of git's: seven bits a byte, the highest first; each byte that follows counts from one on. */
function readOffset(bytes: Buffer, start: number): { readonly value: number; readonly next: number } {
  let next = start;
  let byte = bytes[next++]!;
  let value = byte & 0x7f;
  while (byte & 0x80) {
    byte = bytes[next++]!;
    value = ((value + 1) << 7) | (byte & 0x7f);
  }
  return { value, next };
}

/** `.git`, or where a `.git` that is a file (a worktree, a submodule) says it is. */
function gitFolder(gitRoot: string): string {
  const path = join(gitRoot, '.git');
  if (statSync(path).isDirectory()) return path;
  return resolve(
    gitRoot,
    readText(path)
      .replace(/^gitdir:\s*/, '')
      .trim(),
  );
}

const readText = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
