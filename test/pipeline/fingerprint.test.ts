import { hash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { temporaryFolder } from '../../src/base/files.ts';
import { fingerprints } from '../../src/pipeline/fingerprint.ts';
import type { LockedPath } from '../../src/pipeline/lock-entry.ts';
import { readLock } from '../../src/pipeline/lock-file.ts';
import { openRepository, type Repository } from '../../src/pipeline/repository.ts';
import { restNs } from '../../src/pipeline/state.ts';
import { buildOracleFiles, oracle } from './oracle.ts';

const scratch = temporaryFolder();
afterAll(scratch.remove);

let count = 0;
function repositoryWith(files: Readonly<Record<string, string>>): Repository {
  const folder = join(scratch.path, String(count++));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  mkdirSync(join(folder, '.dvc'), { recursive: true });
  return openRepository(folder);
}

describe('fingerprints are those of DVC', () => {
  let repository: Repository;
  const locked = new Map<string, LockedPath>();

  beforeAll(() => {
    repository = openRepository(scratch.path);
    buildOracleFiles(repository.root);
    writeFileSync(join(repository.root, 'dvc.lock'), oracle.lock);
    for (const { dependencies } of readLock(repository.root).values()) for (const one of dependencies) locked.set(one.path, one);
  });

  test.each([...Object.keys(oracle.files).map((name) => `in/${name}`), ...Object.values(oracle.single)])('%s', async (path) => {
    const found = await fingerprints(repository).of(join(repository.root, path));
    expect({ path, ...found }).toEqual(locked.get(path));
  });
});

describe('fingerprints', () => {
  test('nothing there, no fingerprint', async () => {
    const { root, ...rest } = repositoryWith({ a: '' });
    expect(await fingerprints({ root, ...rest }).of(join(root, 'b'))).toBeUndefined();
    expect(await fingerprints({ root, ...rest }).of(join(root, 'a/b'))).toBeUndefined();
  });

  test.each([
    { name: 'a link to nothing', make: (at: string) => symlinkSync('nowhere', join(at, 'x')), says: 'link to nothing' },
    { name: 'a link to itself', make: (at: string) => symlinkSync('x', join(at, 'x')), says: 'link to nothing' },
    { name: 'a .dvcignore inside', make: (at: string) => writeFileSync(join(at, '.dvcignore'), ''), says: '.dvcignore inside' },
    { name: 'a name outside UTF-8', make: (at: string) => writeFileSync(Buffer.from(`${at}/\xff`, 'latin1'), ''), says: 'not UTF-8' },
  ])('a folder with $name is refused', async ({ make, says }) => {
    const repository = repositoryWith({ 'data/a': 'a' });
    make(join(repository.root, 'data'));
    await expect(fingerprints(repository).of(join(repository.root, 'data'))).rejects.toThrow(says);
  });

  test.skipIf(process.getuid?.() === 0)('what may not be read is named', async () => {
    const repository = repositoryWith({ 'data/a': 'a', 'folder/b': 'b' });
    chmodSync(join(repository.root, 'data/a'), 0o000);
    chmodSync(join(repository.root, 'folder'), 0o000);
    await expect(fingerprints(repository).of(join(repository.root, 'data'))).rejects.toThrow('may not be read');
    await expect(fingerprints(repository).of(join(repository.root, 'folder'))).rejects.toThrow('may not be read');
    chmodSync(join(repository.root, 'folder'), 0o755);
  });

  test('a repository inside a folder is not part of it', async () => {
    const repository = repositoryWith({ 'data/a': 'a', 'data/sub/b': 'b', 'data/sub/.dvc/config': '' });
    expect((await fingerprints(repository).of(join(repository.root, 'data')))?.fileCount).toBe(1);
  });

  test('a file larger than the buffers', async () => {
    const repository = repositoryWith({});
    const bytes = Buffer.alloc(3_500_000, 'clinfuse');
    writeFileSync(join(repository.root, 'a'), bytes);
    const found = await fingerprints(repository).of(join(repository.root, 'a'));
    expect(found).toEqual({ md5: hash('md5', bytes), size: 3_500_000 });
  });
});

describe('what is remembered of files', () => {
  /** Fingerprint through a memory that is written and read anew. */
  const read = async (repository: Repository, path: string) => {
    const prints = fingerprints(repository);
    const found = await prints.of(join(repository.root, path));
    prints.save();
    return found?.md5;
  };

  test('an unchanged file is not read again', async () => {
    const repository = repositoryWith({ a: 'one' });
    const first = await read(repository, 'a');
    const memory = join(repository.scratchFolder, 'files.json');
    const forged = readFileSync(memory, 'utf8').replace(first!, '0'.repeat(32));
    writeFileSync(memory, forged);
    expect(await read(repository, 'a')).toBe('0'.repeat(32));
  });

  test('a change of the same size is seen, however quickly it follows', async () => {
    const repository = repositoryWith({ a: '0000' });
    for (let i = 0; i < 30; i++) {
      writeFileSync(join(repository.root, 'a'), String(1000 + i));
      const prints = fingerprints(repository);
      const reading = prints.of(join(repository.root, 'a'));
      await reading;
      writeFileSync(join(repository.root, 'a'), String(2000 + i));
      prints.save();
      const later = await read(repository, 'a');
      expect(later).toBe(hash('md5', String(2000 + i)));
    }
  });

  test('a change of the same size is seen when its time was set back', async () => {
    const repository = repositoryWith({ a: 'one' });
    const path = join(repository.root, 'a');
    const { atime, mtime } = statSync(path);
    const first = await read(repository, 'a');
    writeFileSync(path, 'two');
    utimesSync(path, atime, mtime);
    expect(await read(repository, 'a')).not.toBe(first);
  });

  test('a new exec bit, a new and a removed file are seen', async () => {
    const repository = repositoryWith({ 'data/a': 'a', 'data/b': 'b' });
    const data = join(repository.root, 'data');
    const [prints, later] = [fingerprints(repository), fingerprints(repository)];
    const first = await prints.of(data);
    writeFileSync(join(data, 'c'), 'c');
    expect((await later.of(data))?.fileCount).toBe(3);
    rmSync(join(data, 'c'));
    expect(await later.of(data)).toEqual(first);
    chmodSync(join(data, 'a'), 0o755);
    expect(await later.of(join(data, 'a'))).toMatchObject({ isExecutable: true });
  });

  test('two memories written one after the other keep what both have learnt', async () => {
    const repository = repositoryWith({ a: 'a', b: 'b', c: 'c' });
    const [one, two] = [fingerprints(repository), fingerprints(repository)];
    await one.of(join(repository.root, 'a'));
    await two.of(join(repository.root, 'b'));
    rmSync(join(repository.root, 'c'));
    one.save();
    two.save();
    const kept = JSON.parse(readFileSync(join(repository.scratchFolder, 'files.json'), 'utf8')) as { files: object };
    expect(Object.keys(kept.files)).toEqual(['a', 'b']);
  });

  test('a broken memory is an empty one', async () => {
    const repository = repositoryWith({ a: 'one' });
    const first = await read(repository, 'a');
    writeFileSync(join(repository.scratchFolder, 'files.json'), '{"version": 1, "files": {"a":');
    expect(await read(repository, 'a')).toBe(first);
    expect(existsSync(join(repository.scratchFolder, 'files.json'))).toBe(true);
  });

  const ms = (value: number) => BigInt(Math.round(value * 1000)) * 1000n;
  const at = 1_700_000_000_000;
  test.each([
    { name: 'changed a minute ago', ctime: at - 60_000.5, mtime: at - 60_000.5, rest: 0 },
    { name: 'changed 4 ms ago', ctime: at - 3.5, mtime: at - 3.5, rest: 16.5 },
    { name: 'written long ago, renamed just now', ctime: at - 0.5, mtime: at - 60_000, rest: 19.5 },
    { name: 'a clock of whole seconds, 1 s ago', ctime: at - 1000, mtime: at - 1000, rest: 1000 },
    { name: 'a clock of whole seconds, 3 s ago', ctime: at - 3000, mtime: at - 3000, rest: 0 },
    { name: 'in the future', ctime: at + 5000.5, mtime: at, rest: 5020.5 },
  ])('$name: must rest $rest ms', ({ ctime, mtime, rest }) => {
    expect(restNs({ ctimeNs: ms(ctime), mtimeNs: ms(mtime) }, ms(at))).toBe(ms(rest));
  });
});
