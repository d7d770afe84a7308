// What a file or a folder holds, under the name DVC has for it.
//
//   file     MD5 of its bytes
//   folder   MD5 of its manifest, with `.dir` behind: [{"md5": "...", "relpath": "a/b.txt"}, ...], sorted by relpath, as JSON of Python
//
// A folder is its regular files, however deep. Links to files count as the files; links to folders, empty folders and what
// `.dvcignore` names do not count at all, as for DVC. Names stay as the file system has them: é in one or in two code points are two
// names. Source: dvc-data, hashfile/build.py, hashfile/tree.py.

import { hash } from 'node:crypto';
import { type BigIntStats, type Dirent, lstatSync, readdirSync, statSync } from 'node:fs';

import { UserError } from '../base/errors.ts';
import { hashFile } from './hash-file.ts';
import type { Fingerprint } from './lock-entry.ts';
import { byCodePoint, pythonJson } from './python-json.ts';
import type { Repository } from './repository.ts';
import { sideBySide } from './side-by-side.ts';
import { letRest, openState, type State } from './state.ts';

export type ManifestEntry = { readonly md5: string; readonly relpath: string };

/** A file's or a folder's content; of a folder, also the files it consists of. */
export type Content = { readonly fingerprint: Fingerprint; readonly manifest?: readonly ManifestEntry[] };

export type Fingerprints = {
  /** Fingerprint of a file or folder given by its absolute path; none when nothing is there. */
  readonly of: (path: string) => Promise<Fingerprint | undefined>;
  readonly ofMany: (paths: readonly string[]) => Promise<ReadonlyMap<string, Fingerprint | undefined>>;
  /** As `of`, with the manifest of a folder. */
  readonly contentOf: (path: string) => Promise<Content | undefined>;
  /** Whether a file, looked at but not read, still is what it was when its content was found to be this; no for what is not remembered. */
  readonly stillHas: (path: string, md5: string) => boolean;
  /** Takes for granted what files hold that were just put there: absolute path to MD5. */
  readonly trust: (files: ReadonlyMap<string, string>) => Promise<void>;
  /** Keeps what was learnt for the next run. */
  readonly save: () => void;
};

/** Fingerprints of the files of a repository; those that have not changed since they were last read are not read again. */
export function fingerprints(repository: Repository): Fingerprints {
  const state = openState(repository);

  const contentOf = async (path: string): Promise<Content | undefined> => {
    const stats = lookAt(path);
    if (stats === undefined) return undefined;
    if (!stats.isDirectory()) {
      const { md5, size } = await hashed({ path, stats }, state);
      return { fingerprint: { md5, size, ...(stats.mode & 0o111n ? { isExecutable: true } : {}) } };
    }
    const files = filesIn(path, repository);
    const contents = await sideBySide(files, (file) => hashed(file, state));
    const manifest = files.map(({ relpath }, i) => ({ md5: contents[i]!.md5, relpath })).sort((a, b) => byCodePoint(a.relpath, b.relpath));
    const size = contents.reduce((sum, one) => sum + one.size, 0);
    return { fingerprint: { md5: `${hash('md5', manifestText(manifest))}.dir`, size, fileCount: files.length }, manifest };
  };

  const of = async (path: string) => (await contentOf(path))?.fingerprint;

  return {
    of,
    contentOf,
    ofMany: async (paths) => {
      const found = new Map<string, Fingerprint | undefined>();
      for (const path of paths) found.set(path, await of(path));
      return found;
    },
    stillHas: (path, md5) => {
      const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
      return stats !== undefined && state.find(path, stats) === md5;
    },
    trust: async (files) => {
      const seen = [...files].map(([path, md5]) => ({ path, md5, stats: statSync(path, { bigint: true }) }));
      for (const { path, md5, stats } of seen) {
        if ((await letRest(stats)) && timesAre(stats, statSync(path, { bigint: true }))) state.remember(path, stats, md5);
      }
    },
    save: state.save,
  };
}

/** The manifest of a folder as DVC stores and hashes it. */
export function manifestText(manifest: readonly ManifestEntry[]): string {
  return `[${manifest.map(({ md5, relpath }) => `{"md5": "${md5}", "relpath": ${pythonJson(relpath)}}`).join(', ')}]`;
}

type Found = { readonly path: string; readonly stats: BigIntStats };

async function hashed({ path, stats }: Found, state: State): Promise<{ readonly md5: string; readonly size: number }> {
  const known = state.find(path, stats);
  if (known !== undefined) return { md5: known, size: Number(stats.size) };
  let hasRested = false;
  const read = await hashFile(path, async (seen) => {
    hasRested = await letRest(seen);
  });
  if (hasRested && read.isSteady) state.remember(path, read.stats, read.md5);
  return { md5: read.md5, size: Number(read.stats.size) };
}

const timesAre = (a: BigIntStats, b: BigIntStats): boolean => a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.size === b.size;

/** Regular files under a folder, each with its way from there. */
function filesIn(folder: string, { ignores }: Repository): readonly (Found & { readonly relpath: string })[] {
  const files: (Found & { relpath: string })[] = [];
  const walk = (place: string, way: string): void => {
    const entries = readable(place, () => readdirSync(place, { withFileTypes: true })) ?? [];
    // A repository of its own inside this one is none of its content.
    if (way !== '' && entries.some(({ name }) => name === '.dvc')) return;
    for (const entry of entries) {
      const [path, relpath] = [`${place}/${entry.name}`, `${way}${entry.name}`];
      const look = entry.isSymbolicLink() ? statSync : lstatSync;
      const stats = entry.isDirectory() ? undefined : readable(path, () => look(path, { bigint: true, throwIfNoEntry: false }));
      if (entry.isDirectory() || stats?.isDirectory()) {
        if (entry.isDirectory() && !ignores.has(path, 'folder')) walk(path, `${relpath}/`);
      } else if (!ignores.has(path, 'file')) {
        if (entry.name === '.dvcignore') throw new UserError('pipeline.content', `pipeline: .dvcignore inside a tracked folder: ${path}`);
        if (stats === undefined) throw unusable(path, entry);
        if (!stats.isFile()) throw new UserError('pipeline.content', `pipeline: neither file nor folder: ${path}`);
        files.push({ path, relpath, stats });
      }
    }
  };
  walk(folder, '');
  return files;
}

/** Why something that was listed cannot be looked at. */
function unusable(path: string, entry: Dirent): UserError {
  if (entry.isSymbolicLink())
    return new UserError('pipeline.content', `pipeline: link to nothing: ${path}; remove it or name it in .dvcignore`);
  if (entry.name.includes('\ufffd')) return new UserError('pipeline.content', `pipeline: file name is not UTF-8: ${path}; rename it`);
  return new UserError('pipeline.content', `pipeline: file went away while its folder was read: ${path}; run again`);
}

function lookAt(path: string): BigIntStats | undefined {
  const stats = readable(path, () => statSync(path, { bigint: true, throwIfNoEntry: false }));
  if (stats !== undefined && !stats.isFile() && !stats.isDirectory()) {
    throw new UserError('pipeline.content', `pipeline: neither file nor folder: ${path}`);
  }
  return stats;
}

/** A look at the file system, with the faults that the user can mend in words; links that go round in circles lead nowhere. */
function readable<T>(path: string, look: () => T): T | undefined {
  try {
    return look();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ELOOP') return undefined;
    if (code !== 'EACCES' && code !== 'EPERM') throw cause;
    throw new UserError('pipeline.unreadable', `pipeline: may not be read: ${path}; check its owner and permissions`, { cause });
  }
}
