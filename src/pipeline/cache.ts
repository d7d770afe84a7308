// The cache of a repository, shared with DVC: outputs go in after a run and come back when a run with the same inputs is remembered.
//
//   store      content of an output into the cache; then the output is what `cache.type` says (its own file, or a link into the cache)
//   checkout   content of a fingerprint out of it: a folder gets exactly the files of its manifest, and those that are right stay
//
// Killed at any moment, an object is whole or missing, and a file is the old one or the new one; a folder may hold some of both, which
// the next look at it sees.

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  constants,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { chmod, copyFile, link, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { UserError } from '../base/errors.ts';
import type { Content, Fingerprints } from './fingerprint.ts';
import { ignoreInGit } from './git-ignore.ts';
import type { Fingerprint, LockEntry } from './lock-entry.ts';
import { cannotLink, type Objects, openObjects, placer } from './objects.ts';
import { isInside, type LinkType, type Repository } from './repository.ts';
import { type AskedRun, openRuns } from './run-cache.ts';
import { sideBySide } from './side-by-side.ts';
import type { Stage } from './stage.ts';

export type Cache = {
  /** Whether all content of a fingerprint is there and sound. */
  readonly has: (fingerprint: Fingerprint) => Promise<boolean>;
  /** Puts an output into the cache, links it as `cache.type` says, keeps it out of git, and returns its fingerprint. */
  readonly store: (place: string) => Promise<Fingerprint>;
  /** Puts content into the cache and leaves the file or folder itself alone: for what git keeps, or for later. */
  readonly keep: (place: string) => Promise<Fingerprint>;
  /**
   * Makes a file or folder hold what a fingerprint names, whatever was there.
   *
   * @throws UserError `pipeline.cache-missing` when the cache does not have it
   */
  readonly checkout: (fingerprint: Fingerprint, place: string) => Promise<void>;
  /** Makes links into the cache files of their own that may be written. */
  readonly unprotect: (place: string) => void;
  /** The newest remembered run of a stage with the same command, dependencies and parameters whose outputs are all in the cache. */
  readonly findRun: (stage: Stage, asked: AskedRun) => Promise<LockEntry | undefined>;
  /** Remembers a run, with the content of outputs that are else kept out of the cache. */
  readonly rememberRun: (stage: Stage, entry: LockEntry) => Promise<void>;
};

/** Opens the cache of a repository; what files hold is asked of `prints`, and told to it. */
export function openCache(repository: Repository, prints: Fingerprints): Cache {
  const objects = openObjects(repository, prints);
  const runs = openRuns(repository);
  const shares = repository.linkTypes[0] === 'hardlink';

  const has = async ({ md5 }: Fingerprint): Promise<boolean> => {
    if (!md5.endsWith('.dir')) return objects.isSound(md5);
    const manifest = await objects.manifest(md5);
    if (manifest === undefined) return false;
    for (const entry of manifest) if (!(await objects.isSound(entry.md5))) return false;
    return true;
  };

  const put = async (place: string, options: { readonly shared: boolean }): Promise<Content> => {
    const content = await prints.contentOf(place);
    if (content === undefined) throw new UserError('pipeline.output-missing', `pipeline: nothing to store: ${place}`);
    await sideBySide(filesOf(content, place), ({ path, md5 }) => objects.add(path, md5, options));
    // Last, so that a manifest in the cache says that its files are there.
    if (content.manifest) await objects.addManifest(content.fingerprint.md5, content.manifest);
    return content;
  };

  const fill = linker(repository, objects);

  const checkout = async (fingerprint: Fingerprint, place: string): Promise<void> => {
    if (!(await has(fingerprint))) {
      throw new UserError(
        'pipeline.cache-missing',
        `pipeline: not in the cache: ${place} (${fingerprint.md5}); fetch it with \`dvc pull\``,
      );
    }
    const manifest = fingerprint.md5.endsWith('.dir') ? await objects.manifest(fingerprint.md5) : undefined;
    const present = await presentIn(place, manifest !== undefined, prints);
    const wanted = filesOf({ fingerprint, ...(manifest ? { manifest } : {}) }, place);
    const names = new Set(wanted.map(({ path }) => path));
    for (const path of present.keys()) if (!names.has(path)) rmSync(path, { force: true });
    if (manifest) mkdirSync(place, { recursive: true });
    const missing = wanted.filter(({ path, md5 }) => present.get(path) !== md5);
    clearWay(place, missing);
    await sideBySide(missing, ({ path, md5 }) => fill({ path, md5, isExecutable: fingerprint.isExecutable === true }));
    if (fingerprint.isExecutable && missing.length === 0) chmodSync(place, statSync(place).mode | 0o100);
    await prints.trust(new Map(missing.map(({ path, md5 }) => [path, md5])));
  };

  return {
    has,
    checkout,
    keep: async (place) => (await put(place, { shared: false })).fingerprint,
    store: async (place) => {
      ignoreInGit(place, repository);
      const content = await put(place, { shared: shares });
      const { fingerprint } = content;
      const files = filesOf(content, place);
      const unlike = files.filter(({ path, md5 }) => needsLink(path, objects.pathOf(md5), repository.linkTypes));
      await sideBySide(unlike, ({ path, md5 }) => fill({ path, md5, isExecutable: fingerprint.isExecutable === true }));
      await prints.trust(new Map((shares ? files : unlike).map(({ path, md5 }) => [path, md5])));
      return fingerprint;
    },
    unprotect: (place) => unprotect(place, repository),
    findRun: (stage, asked) => runs.find(stage, asked, has),
    rememberRun: async (stage, entry) => {
      for (const { path, cache } of stage.outputs) if (!cache) await put(join(stage.workdir, path), { shared: false });
      await runs.save(entry);
    },
  };
}

type ContentFile = { readonly path: string; readonly md5: string };

/** The files of a file or folder that lies, or is to lie, in a place. */
function filesOf({ fingerprint, manifest }: Content, place: string): readonly ContentFile[] {
  return manifest?.map(({ relpath, md5 }) => ({ path: join(place, relpath), md5 })) ?? [{ path: place, md5: fingerprint.md5 }];
}

/** What is in a place, file to MD5; what is in the way of what is to come is removed. */
async function presentIn(place: string, asFolder: boolean, prints: Fingerprints): Promise<ReadonlyMap<string, string>> {
  const content = await prints.contentOf(place).catch((cause: unknown) => {
    // Links to nothing, pipes and the like: no output of ours.
    if (cause instanceof UserError) return undefined;
    throw cause;
  });
  if (content !== undefined && (content.manifest !== undefined) === asFolder) {
    return new Map(filesOf(content, place).map(({ path, md5 }) => [path, md5]));
  }
  rmSync(place, { recursive: true, force: true });
  return new Map();
}

/** Clears the way to files of a folder: folders there must be folders, not links to others, and files must not be folders. */
function clearWay(place: string, files: readonly ContentFile[]): void {
  const seen = new Set([place]);
  const settle = (folder: string): void => {
    if (seen.has(folder)) return;
    settle(dirname(folder));
    seen.add(folder);
    if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(folder, { force: true });
  };
  for (const { path } of files) {
    if (path !== place) settle(dirname(path));
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) rmSync(path, { recursive: true, force: true });
  }
}

/** Whether a file is not yet what `cache.type` wants: one of its own, or a link to its object. */
function needsLink(path: string, object: string, types: readonly LinkType[]): boolean {
  const stats = lstatSync(path);
  for (const type of types) {
    if ((type === 'copy' || type === 'reflink') && !stats.isSymbolicLink() && stats.nlink === 1) return false;
    if (type === 'hardlink' && !stats.isSymbolicLink() && stats.nlink > 1) return stats.ino !== statSync(object).ino;
    if (type === 'symlink' && stats.isSymbolicLink()) return readlinkSync(path) !== object;
  }
  return true;
}

type Fill = (file: ContentFile & { readonly isExecutable: boolean }) => Promise<void>;

/** Brings content from the cache to a place by the first way the file system allows. */
function linker(repository: Repository, objects: Objects): Fill {
  const put = placer(repository);
  let mode: number | undefined;
  return async ({ path, md5, isExecutable }) => {
    const object = objects.pathOf(md5);
    const own = (mode ??= ownMode(repository)) | (isExecutable ? 0o100 : 0);
    const ways: Readonly<Record<LinkType, (to: string) => Promise<void>>> = {
      reflink: async (to) => {
        await copyFile(object, to, constants.COPYFILE_FICLONE_FORCE);
        await chmod(to, own);
      },
      copy: async (to) => {
        await copyFile(object, to);
        await chmod(to, own);
      },
      // A file system has only so many names for one file, and many data sets have very many empty files.
      hardlink: (to) => (statSync(object).size === 0 ? writeFile(to, '') : link(object, to)),
      symlink: (to) => symlink(object, to),
    };
    // What may be executed is a file of its own: a link would change the object.
    const types = repository.linkTypes.filter((type) => !isExecutable || type === 'reflink' || type === 'copy');
    for (const type of types.length > 0 ? types : (['copy'] as const)) {
      try {
        await put(path, ways[type]);
        return;
      } catch (cause) {
        if (!cannotLink(cause)) throw cause;
      }
    }
    throw new UserError('pipeline.link', `pipeline: no link into the cache is possible here: ${path}; add copy to cache.type`);
  };
}

function unprotect(place: string, repository: Repository): void {
  const stats = lstatSync(place, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isDirectory()) {
    for (const name of readdirSync(place)) unprotect(join(place, name), repository);
    return;
  }
  const isLink = stats.isSymbolicLink() && isInside(readlinkSync(place), repository.cacheFolder);
  if (!isLink && !stats.isFile()) return;
  const mode = ownMode(repository) | (statSync(place).mode & 0o111);
  if (isLink || stats.nlink > 1) {
    const temporary = join(dirname(place), `.${randomBytes(8).toString('hex')}.tmp`);
    copyFileSync(place, temporary, constants.COPYFILE_FICLONE);
    renameSync(temporary, place);
  }
  // A change of mode that changes nothing would still make the file look changed.
  if ((lstatSync(place).mode & 0o777) !== mode) chmodSync(place, mode);
}

/** The mode a new file gets here, which the user's umask decides. */
function ownMode({ scratchFolder }: Repository): number {
  const probe = join(scratchFolder, 'mode');
  rmSync(probe, { force: true });
  mkdirSync(scratchFolder, { recursive: true });
  writeFileSync(probe, '', { mode: 0o666 });
  return statSync(probe).mode & 0o777;
}
