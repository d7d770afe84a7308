// Which files are passed over: by DVC, what `.dvcignore` files name, and by default `.git`, `.hg` and `.dvc`; by git, what `.gitignore`
// files name. The deepest file with a say decides, in it the last line; what lies in an ignored folder is ignored.
//
// The two read the same lines, but not alike. To DVC a pattern means all below as well, which matters for exceptions (`!/a` is one for
// `a/b/c`, too), and `a/**` means `a` itself, so that an exception below it comes too late. Source: DVC, ignore.py and pathspec_math.py.

import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import ignore from 'ignore';

export type Ignores = {
  /** Whether a file or folder, given by its absolute path, is passed over; never true outside the root. */
  readonly has: (path: string, kind: Kind) => boolean;
};

type Kind = 'file' | 'folder';

/** What the lines of one file say of a path below it: ignored, not ignored, or nothing. */
type Verdict = (path: string, kind: Kind) => boolean | undefined;

type Source = {
  readonly file: string;
  readonly read: (lines: readonly string[], isTop: boolean) => Verdict;
  readonly otherwise: (path: string, kind: Kind) => boolean;
};

/** What DVC passes over in a repository. */
export const dvcIgnores = (root: string): Ignores =>
  ignores(root, {
    file: '.dvcignore',
    read: asDvc,
    otherwise: (path, kind) => {
      const name = path.slice(path.lastIndexOf('/') + 1);
      return name === '.git' || (kind === 'folder' && (name === '.hg' || name === '.dvc'));
    },
  });

/** What git passes over in a repository, but for what the user ignores everywhere. */
export function gitIgnores(root: string): Ignores {
  const own = asGit(readLines(join(root, '.git', 'info', 'exclude')));
  return ignores(root, { file: '.gitignore', read: asGit, otherwise: (path, kind) => own(relative(root, path), kind) === true });
}

function asGit(lines: readonly string[]): Verdict {
  const rules = ignore({ ignorecase: false }).add([...lines]);
  return (path, kind) => {
    const { ignored, unignored } = rules.test(kind === 'folder' ? `${path}/` : path);
    return ignored || unignored ? ignored : undefined;
  };
}

function asDvc(lines: readonly string[], isTop: boolean): Verdict {
  // At the root, a pattern for all folders is one for none: so DVC 3.67 has it.
  const read = isTop ? lines.filter((line) => !/^!?(\/?(\*\*\/)+|(\*\*\/)*\*\/)$/.test(line)) : lines;
  const rules = read.map((line) => {
    const isException = line.startsWith('!');
    const pattern = isException ? line.slice(1) : line;
    const one = ignore({ ignorecase: false }).add(pattern);
    return {
      isException,
      forFolders: pattern.endsWith('/'),
      forAllBelow: pattern.endsWith('/**'),
      holds: (path: string) => one.ignores(path),
    };
  });
  rules.reverse();
  return (path, kind) => {
    const last = rules.find(({ forFolders, forAllBelow, holds }) => {
      if (kind === 'file') return !forFolders && holds(path);
      return holds(`${path}/`) || (forAllBelow && holds(`${path}/below`));
    });
    return last && !last.isException;
  };
}

/** Rules of the ignore files of one name; each is read when first asked for, once. */
function ignores(root: string, { file, read, otherwise }: Source): Ignores {
  const rules = new Map<string, Verdict | undefined>();
  const folders = new Map<string, boolean>([[root, false]]);

  const rulesOf = (folder: string): Verdict | undefined => {
    if (!rules.has(folder)) {
      // Patterns of a file that is itself ignored do not count; asking must not come back here, hence the entry first.
      rules.set(folder, undefined);
      const path = join(folder, file);
      const lines = readLines(path);
      if (lines.length > 0 && !decide(path, 'file')) rules.set(folder, read(lines, folder === root));
    }
    return rules.get(folder);
  };

  const decide = (path: string, kind: Kind): boolean => {
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const ignored = rulesOf(folder)?.(relative(folder, path), kind);
      if (ignored !== undefined) return ignored;
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
