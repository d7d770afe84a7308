// The content of files, each once, under its MD5: `.dvc/cache/files/md5/0a/1b2c...`, as DVC keeps it; of a folder, its manifest, under
// `...dir`. An object is either whole or not there: it is made in a scratch folder and renamed. It is read-only, and that is how the next
// look knows that nobody has touched it: one that can be written is read again, and removed when its content is not what its name says.
// Source: dvc-data, hashfile/db/local.py.

import { randomBytes } from 'node:crypto';
import { constants, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { chmod, copyFile, link, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { explainWriteFault } from '../base/files.ts';
import { type Fingerprints, type ManifestEntry, manifestText } from './fingerprint.ts';
import { hashFile } from './hash-file.ts';
import type { Repository } from './repository.ts';

const protectedMode = 0o444;
const dayMs = 86_400_000;

export type Objects = {
  readonly pathOf: (md5: string) => string;
  /** Whether an object is there and sound; one that is not what its name says is removed. */
  readonly isSound: (md5: string) => Promise<boolean>;
  /** Puts the content of a file in, unless it is there; `shared` may make file and object one, which makes the file read-only. */
  readonly add: (path: string, md5: string, options: { readonly shared: boolean }) => Promise<void>;
  readonly addManifest: (md5: string, manifest: readonly ManifestEntry[]) => Promise<void>;
  /** The manifest of a folder; none when it is not there, or cannot be read as one. */
  readonly manifest: (md5: string) => Promise<readonly ManifestEntry[] | undefined>;
};

export function openObjects(repository: Repository, prints: Fingerprints): Objects {
  const folder = join(repository.cacheFolder, 'files', 'md5');
  const pathOf = (md5: string) => join(folder, md5.slice(0, 2), md5.slice(2));
  const put = placer(repository);

  const isSound = async (md5: string): Promise<boolean> => {
    const path = pathOf(md5);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile()) return false;
    if ((stats.mode & 0o777) === protectedMode) return true;
    const found = await hashFile(path);
    if (found.md5 === md5.slice(0, 32)) {
      await protect(path);
      return true;
    }
    await rm(path, { force: true });
    return false;
  };

  return {
    pathOf,
    isSound,
    add: async (path, md5, { shared }) => {
      if (await isSound(md5)) return;
      await put(pathOf(md5), async (temporary) => {
        const isLinked = shared && statSync(path).size > 0 && prints.stillHas(path, md5) && (await linked(path, temporary));
        if (!isLinked) {
          await copyFile(path, temporary, constants.COPYFILE_FICLONE);
          if (!prints.stillHas(path, md5) && (await hashFile(temporary)).md5 !== md5) {
            throw new UserError('pipeline.changing', `pipeline: file changed while it was put into the cache: ${path}; run again`);
          }
        }
        await protect(temporary);
      });
    },
    addManifest: async (md5, manifest) => {
      if (await isSound(md5)) return;
      await put(pathOf(md5), (temporary) => writeFile(temporary, manifestText(manifest), { mode: protectedMode }));
    },
    manifest: async (md5) => {
      if (!(await isSound(md5))) return undefined;
      try {
        const entries = JSON.parse(readFileSync(pathOf(md5), 'utf8')) as readonly ManifestEntry[];
        return entries.map(({ md5: one, relpath }) => ({ md5: one, relpath }));
      } catch {
        rmSync(pathOf(md5), { force: true });
        return undefined;
      }
    },
  };
}

/** A cache on a file system without modes works all the same; its objects are read at every look. */
async function protect(path: string): Promise<void> {
  try {
    await chmod(path, protectedMode);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EPERM') throw cause;
  }
}

async function linked(path: string, to: string): Promise<boolean> {
  try {
    await link(path, to);
    return true;
  } catch (cause) {
    if (cannotLink(cause)) return false;
    throw cause;
  }
}

/** Whether the file system says that it has no such links, or not between these two places. */
export function cannotLink(cause: unknown): boolean {
  const { code = '' } = ((cause instanceof UserError && cause.cause) || cause) as NodeJS.ErrnoException;
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'ENOTTY', 'ENOSYS', 'EINVAL', 'EMLINK', 'EAGAIN'].includes(code);
}

/** Puts a file in its place in one step: made under another name by `make`, then renamed over what was there. */
export type Put = (target: string, make: (temporary: string) => Promise<void>) => Promise<void>;

/** Places files by way of the repository's scratch folder, or beside the target where that is another file system. */
export function placer({ scratchFolder }: Repository): Put {
  const incoming = join(scratchFolder, 'incoming');
  let isSwept = false;

  const placeBy = async (temporary: string, target: string, make: (temporary: string) => Promise<void>): Promise<void> => {
    try {
      await make(temporary);
      await rename(temporary, target);
    } finally {
      // Renaming one hard link of a file onto another does nothing, so there may be something left after success, too.
      await rm(temporary, { force: true });
    }
  };

  return async (target, make) => {
    try {
      mkdirSync(incoming, { recursive: true });
      mkdirSync(dirname(target), { recursive: true });
      if (!isSwept) sweep(incoming);
      isSwept = true;
      const name = randomBytes(8).toString('hex');
      try {
        await placeBy(join(incoming, name), target, make);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EXDEV') throw cause;
        await placeBy(join(dirname(target), `.${name}.tmp`), target, make);
      }
    } catch (cause) {
      throw explainWriteFault(cause, target);
    }
  };
}

/** Clears away what killed runs left, by now surely nobody's. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats || Date.now() - stats.ctimeMs > dayMs) rmSync(path, { force: true });
  }
}
