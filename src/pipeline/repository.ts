// Where a pipeline lives: the nearest folder above with a `.dvc`, with the settings DVC keeps there. A fresh folder gets what
// `dvc init` would make, so that either tool can run the pipeline first.

import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';
import { dvcIgnores, type Ignores } from './ignores.ts';
import { readSettings, type Setting } from './settings.ts';

export type LinkType = 'reflink' | 'hardlink' | 'symlink' | 'copy';

export type Repository = {
  /** Folder that holds `.dvc`: absolute. */
  readonly root: string;
  /** Folder of the cache; objects lie in `files/md5` under it, remembered runs in `runs`. */
  readonly cacheFolder: string;
  /** How outputs come out of the cache: the first that the file system can do. */
  readonly linkTypes: readonly LinkType[];
  /** Where git keeps `.git`; none without git, or with `core.no_scm`. */
  readonly gitRoot: string | undefined;
  /** Whether the user wants `git add` for what a run writes (`core.autostage`). */
  readonly autostage: boolean;
  /** Our own scratch: what we remember of files, and copies on their way. DVC keeps `.dvc/tmp` out of git. */
  readonly scratchFolder: string;
  /** What DVC does not look at. */
  readonly ignores: Ignores;
};

/** Settings that would change what a run does, and that we do not have. */
const refused: readonly string[] = [
  'cache.local',
  'cache.shared',
  'cache.verify',
  'core.hardlink_lock',
  ...['s3', 'gs', 'hdfs', 'webhdfs', 'ssh', 'azure'].map((scheme) => `cache.${scheme}`),
];

const linkTypes: readonly LinkType[] = ['reflink', 'hardlink', 'symlink', 'copy'];

/**
 * Finds the repository a folder belongs to; where there is none, makes one at the root of its git repository, else in the folder.
 *
 * @throws UserError `pipeline.config` for a setting that is broken or not supported
 */
export function openRepository(folder: string): Repository {
  const start = resolve(folder);
  const root = above(start, (place) => isFolder(join(place, '.dvc'))) ?? create(start);
  const settings = readSettings(root);
  const unsupported = refused.find((name) => settings.has(name) && settings.get(name)?.text.toLowerCase() !== 'false');
  if (unsupported !== undefined) throw new UserError('pipeline.config', `pipeline: not supported in .dvc/config: ${unsupported}`);
  return {
    root,
    cacheFolder: cacheFolder(root, settings.get('cache.dir')),
    linkTypes: readLinkTypes(settings.get('cache.type')?.text),
    gitRoot: readFlag(settings, 'core.no_scm') ? undefined : gitRootOf(root),
    autostage: readFlag(settings, 'core.autostage'),
    scratchFolder: join(root, '.dvc', 'tmp', 'clinfuse'),
    ignores: dvcIgnores(root),
  };
}

function create(folder: string): string {
  const git = gitRootOf(folder);
  const root = git ?? folder;
  if (git === undefined) {
    replaceText(join(root, '.dvc', 'config'), '[core]\n    no_scm = True\n');
  } else {
    replaceText(join(root, '.dvc', '.gitignore'), '/config.local\n/tmp\n/cache\n');
    replaceText(join(root, '.dvc', 'config'), '');
  }
  const ignoreFile = join(root, '.dvcignore');
  if (!existsSync(ignoreFile)) {
    replaceText(
      ignoreFile,
      '# Add patterns of files dvc should ignore, which could improve\n' +
        '# the performance. Learn more at\n' +
        '# https://dvc.org/doc/user-guide/dvcignore\n',
    );
  }
  return root;
}

/** A relative `cache.dir` starts at the file that sets it. */
function cacheFolder(root: string, setting: Setting | undefined): string {
  if (setting === undefined) return join(root, '.dvc', 'cache');
  const { text, file } = setting;
  if (/^\w+:\/\//.test(text)) throw new UserError('pipeline.config', `pipeline: cache.dir is not a folder of this machine: ${text}`);
  if (text === '~' || text.startsWith('~/')) return join(homedir(), text.slice(1));
  return isAbsolute(text) ? text : resolve(dirname(file), text);
}

function readLinkTypes(text: string | undefined): readonly LinkType[] {
  if (text === undefined) return ['reflink', 'copy'];
  // A list of one ends in a comma.
  const parts = text.split(',').map((part) => part.trim());
  return parts.filter(Boolean).map((part) => {
    const type = linkTypes.find((known) => known === part.toLowerCase());
    if (type === undefined) throw new UserError('pipeline.config', `pipeline: unknown cache.type: ${part}; use ${linkTypes.join(', ')}`);
    return type;
  });
}

function readFlag(settings: ReadonlyMap<string, Setting>, name: string): boolean {
  const text = settings.get(name)?.text.toLowerCase() ?? 'false';
  if (text !== 'true' && text !== 'false') throw new UserError('pipeline.config', `pipeline: ${name} is neither true nor false: ${text}`);
  return text === 'true';
}

const gitRootOf = (folder: string): string | undefined => above(folder, (place) => existsSync(join(place, '.git')));

function above(start: string, test: (place: string) => boolean): string | undefined {
  for (let place = start; ; place = dirname(place)) {
    if (test(place)) return place;
    if (place === dirname(place)) return undefined;
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Whether a path lies in a folder, or is it. */
export function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}
