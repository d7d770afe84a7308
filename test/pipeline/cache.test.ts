import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { temporaryFolder } from '../../src/base/files.ts';
import { type Cache, openCache } from '../../src/pipeline/cache.ts';
import { fingerprints } from '../../src/pipeline/fingerprint.ts';
import { openObjects } from '../../src/pipeline/objects.ts';
import { openRepository, type Repository } from '../../src/pipeline/repository.ts';

const scratch = temporaryFolder();
afterAll(scratch.remove);

type Files = Readonly<Record<string, string>>;
type Place = { readonly repository: Repository; readonly cache: Cache; readonly at: (path: string) => string };

let count = 0;
function place(files: Files, config = ''): Place {
  const folder = join(scratch.path, String(count++));
  mkdirSync(join(folder, '.dvc'), { recursive: true });
  writeFileSync(join(folder, '.dvc/config'), config);
  write(folder, files);
  return open(folder);
}

function open(folder: string): Place {
  const repository = openRepository(folder);
  return { repository, cache: openCache(repository, fingerprints(repository)), at: (path) => join(folder, path) };
}

function write(folder: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Files under a folder with their text; links show as where they lead. */
function read(folder: string): Files {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  return Object.fromEntries(
    names
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]),
  );
}

const objectOf = ({ repository }: Place, md5: string) => join(repository.cacheFolder, 'files/md5', md5.slice(0, 2), md5.slice(2));
const types = (list: string) => `[cache]\n    type = ${list}\n`;

describe('an output goes into the cache and comes back', () => {
  const folder = { 'a.txt': 'a', 'sub/b.txt': 'b', 'sub/deep/é.txt': 'é', empty: '', twin: 'a' };

  test.each([
    { name: 'as copies', config: '' },
    { name: 'as hard links', config: types('hardlink') },
    { name: 'as symbolic links', config: types('symlink') },
    { name: 'as whatever works first', config: types('"reflink, hardlink,symlink,copy"') },
    { name: 'with the cache elsewhere', config: '[cache]\n    dir = ../../elsewhere\n' },
  ])('$name', async ({ config }) => {
    const here = place(Object.fromEntries(Object.entries(folder).map(([path, text]) => [`out/${path}`, text])), config);
    const print = await here.cache.store(here.at('out'));
    expect(read(here.at('out'))).toEqual(Object.fromEntries(Object.entries(folder).sort()));
    expect(print).toMatchObject({ fileCount: 5, size: 5 });
    expect(await here.cache.has(print)).toBe(true);
    rmSync(here.at('out'), { recursive: true });
    await here.cache.checkout(print, here.at('out'));
    expect(read(here.at('out'))).toEqual(Object.fromEntries(Object.entries(folder).sort()));
    expect(await here.cache.store(here.at('out'))).toEqual(print);
  });

  test('a property: any folder over any other becomes what is asked for', async () => {
    const name = fc.constantFrom('a', 'b', 'c/d', 'c/e', 'c/f/g', 'h', 'h.txt');
    const text = fc.constantFrom('', 'one', 'two');
    const files = fc.dictionary(name, text);
    await fc.assert(
      fc.asyncProperty(files, files, async (wanted, before) => {
        const here = place({});
        for (const one of [wanted, before]) {
          rmSync(here.at('out'), { recursive: true, force: true });
          mkdirSync(here.at('out'));
          write(here.at('out'), one);
          if (one === wanted) await here.cache.keep(here.at('out'));
        }
        const goal = place({});
        mkdirSync(goal.at('out'));
        write(goal.at('out'), wanted);
        const print = await goal.cache.keep(goal.at('out'));
        await here.cache.checkout(print, here.at('out'));
        expect(read(here.at('out'))).toEqual(read(goal.at('out')));
      }),
      { numRuns: 25 },
    );
  });
});

describe('objects', () => {
  test('lie where DVC looks for them, read-only, a folder as its manifest', async () => {
    const here = place({ 'out/b': 'b', 'out/a': 'a' });
    const print = await here.cache.store(here.at('out'));
    expect(readFileSync(objectOf(here, print.md5), 'utf8')).toBe(
      '[{"md5": "0cc175b9c0f1b6a831c399e269772661", "relpath": "a"}, {"md5": "92eb5ffee6ae2fec3ad71c777531578f", "relpath": "b"}]',
    );
    for (const md5 of [print.md5, '0cc175b9c0f1b6a831c399e269772661']) expect(statSync(objectOf(here, md5)).mode & 0o777).toBe(0o444);
  });

  test('one that was written to is found out and removed', async () => {
    const here = place({ out: 'right' });
    const print = await here.cache.store(here.at('out'));
    const object = objectOf(here, print.md5);
    chmodSync(object, 0o644);
    expect(await here.cache.has(print)).toBe(true);
    expect(statSync(object).mode & 0o777).toBe(0o444);
    chmodSync(object, 0o644);
    writeFileSync(object, 'wrong');
    expect(await here.cache.has(print)).toBe(false);
    expect(existsSync(object)).toBe(false);
    await expect(here.cache.checkout(print, here.at('other'))).rejects.toThrow('not in the cache');
    await here.cache.store(here.at('out'));
    expect(readFileSync(object, 'utf8')).toBe('right');
  });

  test('a folder with one file missing is not in the cache', async () => {
    const here = place({ 'out/b': 'b', 'out/a': 'a' });
    const print = await here.cache.store(here.at('out'));
    rmSync(objectOf(here, '0cc175b9c0f1b6a831c399e269772661'));
    expect(await here.cache.has(print)).toBe(false);
  });

  test('a manifest that is no manifest is not in the cache', async () => {
    const here = place({ 'out/a': 'a' });
    const print = await here.cache.store(here.at('out'));
    rmSync(objectOf(here, print.md5));
    writeFileSync(objectOf(here, print.md5), '[{"md5"', { mode: 0o444 });
    expect(await here.cache.has(print)).toBe(false);
  });

  test('a file that changes while it is put in leaves nothing behind', async () => {
    const here = place({ out: 'now' });
    const objects = openObjects(here.repository, { ...fingerprints(here.repository), stillHas: () => false });
    const md5 = hash('md5', 'then');
    await expect(objects.add(here.at('out'), md5, { shared: false })).rejects.toThrow('changed while it was put into the cache');
    expect(existsSync(objects.pathOf(md5))).toBe(false);
    expect(readdirSync(join(here.repository.scratchFolder, 'incoming'))).toEqual([]);
  });

  test('what a killed run left of half an object is no object', async () => {
    const here = place({ out: 'right' });
    mkdirSync(join(here.repository.scratchFolder, 'incoming'), { recursive: true });
    writeFileSync(join(here.repository.scratchFolder, 'incoming/0123'), 'rig');
    const print = await here.cache.store(here.at('out'));
    expect(readFileSync(objectOf(here, print.md5), 'utf8')).toBe('right');
    expect(readdirSync(join(here.repository.scratchFolder, 'incoming'))).toEqual(['0123']);
  });
});

describe('checkout', () => {
  test.each([
    {
      name: 'a file where a folder was',
      before: (at: string) => write(at, { 'x/y': '1' }),
      stored: (at: string) => writeFileSync(at, 'text'),
    },
    {
      name: 'a folder where a file was',
      before: (at: string) => writeFileSync(at, '1'),
      stored: (at: string) => write(at, { 'x/y': '2' }),
    },
    {
      name: 'a folder over a link to nothing',
      before: (at: string) => symlinkSync('gone', at),
      stored: (at: string) => write(at, { a: '2' }),
    },
    {
      name: 'folders where files were, and files where folders were',
      before: (at: string) => write(at, { a: '1', 'b/c': '2', 'd/e/f': '3' }),
      stored: (at: string) => write(at, { 'a/x': '1', b: '2', 'd/e': '3' }),
    },
    {
      name: 'a folder with links to nothing in it',
      before: (at: string) => {
        write(at, { a: '1' });
        symlinkSync('gone', join(at, 'b'));
      },
      stored: (at: string) => write(at, { a: '2', b: '3' }),
    },
  ])('$name', async ({ before, stored }) => {
    const here = place({});
    stored(here.at('made'));
    const print = await here.cache.keep(here.at('made'));
    before(here.at('out'));
    await here.cache.checkout(print, here.at('out'));
    expect(await fingerprints(here.repository).of(here.at('out'))).toEqual(print);
  });

  test('a link to another folder inside is replaced, not followed', async () => {
    const here = place({ 'made/sub/a': 'new', 'elsewhere/a': 'mine', 'out/b': 'old' });
    const print = await here.cache.keep(here.at('made'));
    symlinkSync('../elsewhere', here.at('out/sub'));
    await here.cache.checkout(print, here.at('out'));
    expect(readFileSync(here.at('elsewhere/a'), 'utf8')).toBe('mine');
    expect(lstatSync(here.at('out/sub')).isDirectory()).toBe(true);
    expect(read(here.at('out'))).toEqual({ 'sub/a': 'new' });
  });

  test('files that are right are left alone', async () => {
    const here = place({ 'out/a': 'a', 'out/b': 'b' });
    const print = await here.cache.store(here.at('out'));
    const before = statSync(here.at('out/a'), { bigint: true });
    writeFileSync(here.at('out/b'), 'changed');
    await here.cache.checkout(print, here.at('out'));
    expect(statSync(here.at('out/a'), { bigint: true })).toEqual(expect.objectContaining({ ino: before.ino, mtimeNs: before.mtimeNs }));
    expect(readFileSync(here.at('out/b'), 'utf8')).toBe('b');
  });

  test.each(['copy', 'hardlink', 'symlink'])('cache.type %s: what may be executed still may be, and is a file of its own', async (type) => {
    const here = place({ out: '#!/bin/sh\n' }, types(type));
    chmodSync(here.at('out'), 0o755);
    const print = await here.cache.store(here.at('out'));
    expect(print.isExecutable).toBe(true);
    rmSync(here.at('out'));
    await here.cache.checkout(print, here.at('out'));
    expect(lstatSync(here.at('out')).mode & 0o100).toBe(0o100);
    expect(lstatSync(here.at('out')).isFile()).toBe(true);
    expect(statSync(objectOf(here, print.md5)).mode & 0o777).toBe(0o444);
  });

  test('a file that is checked out is known without reading it', async () => {
    const here = place({ out: 'right' });
    const print = await here.cache.store(here.at('out'));
    rmSync(here.at('out'));
    const prints = fingerprints(here.repository);
    await openCache(here.repository, prints).checkout(print, here.at('out'));
    expect(prints.stillHas(here.at('out'), print.md5)).toBe(true);
  });
});

describe('links into the cache', () => {
  test('hard links share the object; unprotect makes them files of their own', async () => {
    const here = place({ 'out/a': 'a', 'out/empty': '' }, types('hardlink,copy'));
    const print = await here.cache.store(here.at('out'));
    const object = objectOf(here, '0cc175b9c0f1b6a831c399e269772661');
    expect(statSync(here.at('out/a')).ino).toBe(statSync(object).ino);
    expect(statSync(here.at('out/empty')).nlink).toBe(1);
    here.cache.unprotect(here.at('out'));
    writeFileSync(here.at('out/a'), 'changed');
    expect(readFileSync(object, 'utf8')).toBe('a');
    expect(statSync(here.at('out/a')).mode & 0o200).toBe(0o200);
    expect(await here.cache.has(print)).toBe(true);
  });

  test('symbolic links lead to the object; unprotect leaves other links alone', async () => {
    const here = place({ 'out/a': 'a', other: 'other' }, types('symlink'));
    await here.cache.store(here.at('out'));
    expect(readlinkSync(here.at('out/a'))).toBe(objectOf(here, '0cc175b9c0f1b6a831c399e269772661'));
    symlinkSync('../other', here.at('out/link'));
    here.cache.unprotect(here.at('out'));
    expect(lstatSync(here.at('out/a')).isFile()).toBe(true);
    expect(lstatSync(here.at('out/link')).isSymbolicLink()).toBe(true);
  });

  test('with copies, links that a stage made become files, as for DVC', async () => {
    const here = place({ 'out/a': 'a', big: 'big' });
    symlinkSync('../big', here.at('out/link'));
    linkSync(here.at('big'), here.at('out/hard'));
    await here.cache.store(here.at('out'));
    expect(lstatSync(here.at('out/link')).isFile()).toBe(true);
    expect(lstatSync(here.at('out/hard')).nlink).toBe(1);
  });

  test('keep leaves the files as they are', async () => {
    const here = place({ out: 'a' }, types('hardlink'));
    const print = await here.cache.keep(here.at('out'));
    expect(statSync(here.at('out')).nlink).toBe(1);
    expect(statSync(here.at('out')).mode & 0o200).toBe(0o200);
    expect(await here.cache.has(print)).toBe(true);
  });
});

describe('outputs are kept out of git', () => {
  const withGit = (files: Files) => {
    const folder = join(scratch.path, String(count++));
    mkdirSync(folder);
    execFileSync('git', ['init', '-q'], { cwd: folder });
    write(folder, files);
    return open(folder);
  };

  test.each([
    { name: 'a first entry', before: undefined, out: 'out', after: '/out\n' },
    { name: 'another', before: '/x\n', out: 'out', after: '/x\n/out\n' },
    { name: 'after a line without end', before: '/x', out: 'out', after: '/x\n/out\n' },
    { name: 'a name git would read as a pattern', before: undefined, out: 'a[1]*#', after: '/a\\[1\\]\\*\\#\n' },
    { name: 'one that is ignored already', before: 'ou*\n', out: 'out', after: 'ou*\n' },
    { name: 'one that is ignored but for an exception', before: 'ou*\n!out\n', out: 'out', after: 'ou*\n!out\n/out\n' },
  ])('$name', async ({ before, out, after }) => {
    const here = withGit({ [out]: 'x', ...(before === undefined ? {} : { '.gitignore': before }) });
    await here.cache.store(here.at(out));
    await here.cache.store(here.at(out));
    expect(readFileSync(here.at('.gitignore'), 'utf8')).toBe(after);
    expect(execFileSync('git', ['check-ignore', out], { cwd: here.at('.'), encoding: 'utf8' })).toContain(out.slice(0, 1));
  });

  test('the entry stands beside the output; a rule above it, or of the clone alone, counts', async () => {
    const here = withGit({ 'a/out/x': '', 'b/out/x': '', 'c/out': '', '.gitignore': '/b/out/\n' });
    writeFileSync(here.at('.git/info/exclude'), '/c/out\n');
    for (const out of ['a/out', 'b/out', 'c/out']) await here.cache.store(here.at(out));
    expect(['a', 'b', 'c'].map((folder) => existsSync(here.at(`${folder}/.gitignore`)))).toEqual([true, false, false]);
  });

  test.each([2, 3, 4])('an output that git tracks is refused (index of version %i)', async (version) => {
    const long = 'x'.repeat(200);
    const here = withGit({
      'a/b/one': '1',
      'a/b/two': '2',
      'a/c': '3',
      'a/bb': '4',
      [`a/${long}/${long}/é`]: '5',
      [`a/${'x'.repeat(30)}`]: '6',
    });
    const git = (...words: string[]) => execFileSync('git', words, { cwd: here.at('.') });
    git('update-index', '--index-version', String(version));
    git('add', 'a/b/two', 'a/bb', 'a/x*');
    // Only an index with such an entry is of version 3.
    if (version === 3) git('add', '--intent-to-add', 'a/b/one');
    for (const path of ['a/bb', 'a/b', 'a', `a/${long}/${long}`, `a/${'x'.repeat(30)}`]) {
      await expect(here.cache.store(here.at(path))).rejects.toThrow(`output is in git: ${path}; \`git rm -r --cached`);
    }
    await here.cache.store(here.at('a/c'));
  });

  test('a worktree has an index of its own', async () => {
    const here = withGit({ out: 'x' });
    const git = (...words: string[]) => execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...words], { cwd: here.at('.') });
    git('add', 'out');
    git('commit', '-qm', 'out');
    git('worktree', 'add', '-q', '../tree');
    const tree = open(here.at('../tree'));
    await expect(tree.cache.store(tree.at('out'))).rejects.toThrow('output is in git: out');
  });

  test('not without git, not with core.no_scm, not for what is only kept', async () => {
    const [plain, quiet] = [place({ out: 'x' }), withGit({ out: 'x', '.dvc/config': '[core]\n    no_scm = true\n' })];
    const kept = withGit({ out: 'x' });
    await plain.cache.store(plain.at('out'));
    await quiet.cache.store(quiet.at('out'));
    await kept.cache.keep(kept.at('out'));
    expect([plain, quiet, kept].map(({ at }) => existsSync(at('.gitignore')))).toEqual([false, false, false]);
  });
});
