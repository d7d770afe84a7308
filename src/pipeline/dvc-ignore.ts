// Which files DVC does not look at: the patterns of `.dvcignore` files, written as for git, and by default `.git`, `.hg` and `.dvc`.
// The deepest file with a say decides; what lies in an ignored folder is ignored.

import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import ignore, { type Ignore } from 'ignore';

export type Ignores = {
  /** Whether DVC passes over a file or folder, given by its absolute path; never true outside the repository. */
  readonly has: (path: string, kind: 'file' | 'folder') => boolean;
};

const ignoreFile = '.dvcignore';

/** The ignore rules of a repository; files are read when first asked for, once. */
export function ignores(root: string): Ignores {
  const rules = new Map<string, Ignore | undefined>();
  const folders = new Map<string, boolean>([[root, false]]);

  const rulesOf = (folder: string): Ignore | undefined => {
    if (!rules.has(folder)) {
      // Patterns of a file that is itself ignored do not count; asking must not come back here, hence the entry first.
      rules.set(folder, undefined);
      const path = join(folder, ignoreFile);
      const lines = readLines(path);
      if (lines.length > 0 && !decide(path, 'file')) rules.set(folder, ignore({ ignorecase: false }).add([...lines]));
    }
    return rules.get(folder);
  };

  const decide = (path: string, kind: 'file' | 'folder'): boolean => {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const verdict = rulesOf(folder)?.test(`${relative(folder, path)}${kind === 'folder' ? '/' : ''}`);
      if (verdict?.ignored) return true;
      if (verdict?.unignored) return false;
      if (folder === root) return byDefault(path, kind);
    }
  };

  const hasFolder = (folder: string): boolean => {
    const known = folders.get(folder);
    if (known !== undefined) return known;
    const ignored = hasFolder(dirname(folder)) || decide(folder, 'folder');
    folders.set(folder, ignored);
    return ignored;
  };

  return {
    has: (path, kind) => {
      if (path === root || !path.startsWith(root === '/' ? root : `${root}/`)) return false;
      return kind === 'folder' ? hasFolder(path) : hasFolder(dirname(path)) || decide(path, 'file');
    },
  };
}

function byDefault(path: string, kind: 'file' | 'folder'): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name === '.git' || (kind === 'folder' && (name === '.hg' || name === '.dvc'));
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw cause;
  }
}
