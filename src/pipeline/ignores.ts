// Which files are passed over: by DVC, what `.dvcignore` files name, and by default `.git`, `.hg` and `.dvc`; by git, what `.gitignore`
// files name. The deepest file with a say decides; what lies in an ignored folder is ignored.

import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import ignore, { type Ignore } from 'ignore';

export type Ignores = {
  /** Whether a file or folder, given by its absolute path, is passed over; never true outside the root. */
  readonly has: (path: string, kind: Kind) => boolean;
};

type Kind = 'file' | 'folder';

/** What DVC passes over in a repository. */
export const dvcIgnores = (root: string): Ignores =>
  ignores(root, {
    file: '.dvcignore',
    otherwise: (path, kind) => {
      const name = path.slice(path.lastIndexOf('/') + 1);
      return name === '.git' || (kind === 'folder' && (name === '.hg' || name === '.dvc'));
    },
  });

/** What git passes over in a repository, but for what the user ignores everywhere. */
export function gitIgnores(root: string): Ignores {
  const own = ignore({ ignorecase: false }).add([...readLines(join(root, '.git', 'info', 'exclude'))]);
  return ignores(root, {
    file: '.gitignore',
    otherwise: (path, kind) => own.ignores(`${relative(root, path)}${kind === 'folder' ? '/' : ''}`),
  });
}

type Source = { readonly file: string; readonly otherwise: (path: string, kind: Kind) => boolean };

/** Rules of the ignore files of one name; each is read when first asked for, once. */
function ignores(root: string, { file, otherwise }: Source): Ignores {
  const rules = new Map<string, Ignore | undefined>();
  const folders = new Map<string, boolean>([[root, false]]);

  const rulesOf = (folder: string): Ignore | undefined => {
    if (!rules.has(folder)) {
      // Patterns of a file that is itself ignored do not count; asking must not come back here, hence the entry first.
      rules.set(folder, undefined);
      const path = join(folder, file);
      const lines = readLines(path);
      if (lines.length > 0 && !decide(path, 'file')) rules.set(folder, ignore({ ignorecase: false }).add([...lines]));
    }
    return rules.get(folder);
  };

  const decide = (path: string, kind: Kind): boolean => {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const verdict = rulesOf(folder)?.test(`${relative(folder, path)}${kind === 'folder' ? '/' : ''}`);
      if (verdict?.ignored) return true;
      if (verdict?.unignored) return false;
      if (folder === root) return otherwise(path, kind);
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

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw cause;
  }
}
