import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { temporaryFolder } from '../../src/base/files.ts';
import { dvcIgnores } from '../../src/pipeline/ignores.ts';
import { openRepository } from '../../src/pipeline/repository.ts';

const scratch = temporaryFolder();
afterAll(scratch.remove);

let count = 0;
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = join(scratch.path, String(count++));
  mkdirSync(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

describe('a repository', () => {
  test('is the nearest folder above with a .dvc', () => {
    const folder = folderWith({ '.dvc/config': '', 'a/.dvc/config': '', 'a/b/c/x': '' });
    expect(openRepository(join(folder, 'a/b/c')).root).toBe(join(folder, 'a'));
    expect(openRepository(folder)).toMatchObject({ root: folder, cacheFolder: join(folder, '.dvc/cache'), linkTypes: ['reflink', 'copy'] });
  });

  test('is made at the root of git, with what dvc init writes', () => {
    const folder = folderWith({ '.git/HEAD': '', 'a/dvc.yaml': '' });
    const repository = openRepository(join(folder, 'a'));
    expect(repository).toMatchObject({ root: folder, gitRoot: folder });
    expect(readFileSync(join(folder, '.dvc/config'), 'utf8')).toBe('');
    expect(readFileSync(join(folder, '.dvc/.gitignore'), 'utf8')).toBe('/config.local\n/tmp\n/cache\n');
    expect(readFileSync(join(folder, '.dvcignore'), 'utf8')).toMatch(/^# Add patterns of files dvc should ignore/);
  });

  test('is made beside dvc.yaml where there is no git', () => {
    const folder = folderWith({ 'dvc.yaml': '', '.dvcignore': '*.tmp\n' });
    expect(openRepository(folder)).toMatchObject({ root: folder, gitRoot: undefined });
    expect(readFileSync(join(folder, '.dvc/config'), 'utf8')).toBe('[core]\n    no_scm = True\n');
    expect(readFileSync(join(folder, '.dvcignore'), 'utf8')).toBe('*.tmp\n');
    expect(readdirSync(join(folder, '.dvc'))).toEqual(['config']);
  });

  test('reads its settings, the local ones last', () => {
    const folder = folderWith({
      '.git/HEAD': '',
      '.dvc/config': `['remote "s3.backup"']\n    url = s3://x\n[core]\n    remote = s3.backup\n    autostage = true\n[cache]\n    dir = ../../shared\n    type = "hardlink,symlink"\n    slow_link_warning = false\n`,
      '.dvc/config.local': '[cache]\n    type = reflink,copy,\n    shared = false\n',
    });
    expect(openRepository(folder)).toMatchObject({
      cacheFolder: join(dirname(folder), 'shared'),
      linkTypes: ['reflink', 'copy'],
      autostage: true,
      gitRoot: folder,
    });
  });

  test.each([
    { name: 'a shared cache', config: '[cache]\n    shared = group\n', says: 'not supported in .dvc/config: cache.shared' },
    { name: 'checked objects', config: '[cache]\n    verify = true\n', says: 'cache.verify' },
    { name: 'a cache far away', config: '[cache]\n    dir = s3://x\n', says: 'not a folder of this machine: s3://x' },
    {
      name: 'an unknown link',
      config: '[cache]\n    type = copy,clone\n',
      says: 'unknown cache.type: clone; use reflink, hardlink, symlink, copy',
    },
    { name: 'half a flag', config: '[core]\n    no_scm = perhaps\n', says: 'core.no_scm is neither true nor false: perhaps' },
  ])('refuses $name', ({ config, says }) => {
    expect(() => openRepository(folderWith({ '.dvc/config': config }))).toThrow(says);
  });
});

describe('.dvcignore', () => {
  const { ignores, root } = openRepository(
    folderWith({
      '.dvc/config': '',
      '.dvcignore': '*.tmp\n!keep.tmp\n  cold/  \n# comment\n/top\na/**/z\n',
      'a/.dvcignore': '!x.tmp\nonly-here\n/here\n',
      'cold/.dvcignore': '!*\n',
    }),
  );
  test.each([
    ['b.tmp', true],
    ['keep.tmp', false],
    ['a/deep/b.tmp', true],
    ['a/x.tmp', false],
    ['x.tmp', true],
    ['cold/x', true],
    ['a/cold/b/c', true],
    ['cold', false],
    ['top', true],
    ['a/top', false],
    ['a/only-here', true],
    ['a/b/only-here', true],
    ['only-here', false],
    ['a/here', true],
    ['a/b/here', false],
    ['a/b/c/z', true],
    ['.git/config', true],
    ['.git', true],
    ['a/.dvc/x', true],
    ['.hg', false],
    ['KEEP.TMP', false],
    ['../b.tmp', false],
  ])('%s: %s', (path, ignored) => {
    expect(ignores.has(join(root, path), 'file')).toBe(ignored);
  });

  type Case = {
    readonly files: Readonly<Record<string, string>>;
    readonly files_and_folders: Readonly<Record<string, [boolean, boolean]>>;
  };
  const cases = JSON.parse(readFileSync(join(import.meta.dirname, '../oracle/pipeline/cache/ignores.json'), 'utf8')) as readonly Case[];

  test.each(cases)('is read as DVC reads it: $files', ({ files, files_and_folders: expected }) => {
    const root = folderWith(files);
    const rules = dvcIgnores(root);
    const found = Object.keys(expected).map((path) => [path, [rules.has(join(root, path), 'file'), rules.has(join(root, path), 'folder')]]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  test('a pattern for folders takes folders alone', () => {
    expect(ignores.has(join(root, 'cold'), 'folder')).toBe(true);
    expect(ignores.has(root, 'folder')).toBe(false);
  });
});
