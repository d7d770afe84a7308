import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { readLockEntry } from '../../pipeline/lock-file.ts';
import { openRepository } from '../../pipeline/repository.ts';
import type { Pipeline } from '../../pipeline/stage.ts';
import { isMapping } from '../../pipeline/values.ts';
import { parseYaml } from '../../pipeline/yaml-values.ts';

/**
 * Reads files as they were at a commit of the git repository that holds a folder.
 *
 * @returns what gives a file's bytes by its path within the folder, null where it was not there
 * @throws UserError `git.missing`, `git.revision`
 */
export function filesAtRevision(folder: string, revision: string): (path: string) => Uint8Array | null {
  const git = (...words: readonly string[]) => {
    const done = spawnSync('git', ['-C', folder, ...words], { maxBuffer: 2 ** 30 });
    if (done.error) throw new UserError('git.missing', 'git: not found; install git to compare with another commit', { cause: done.error });
    return done;
  };
  if (git('rev-parse', '--git-dir').status !== 0) {
    throw new UserError('git.missing', `git: not a repository: ${folder}; comparing needs commits`);
  }
  const commit = git('rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`);
  if (commit.status !== 0) throw new UserError('git.revision', `git: unknown commit: ${revision}; name a commit, branch or tag`);
  const hash = commit.stdout.toString().trim();
  return (path) => {
    const shown = git('show', `${hash}:./${path}`);
    return shown.status === 0 ? shown.stdout : null;
  };
}

/**
 * Reads outputs of a pipeline as they were at a commit: from git where they are kept there, else by the dvc.lock of that commit from
 * the cache.
 */
export function outputsAtRevision(pipeline: Pipeline, revision: string): (path: string) => Uint8Array | null {
  const inGit = filesAtRevision(pipeline.folder, revision);
  const lock = inGit('dvc.lock');
  const hashes = lock ? lockedHashes(pipeline, Buffer.from(lock).toString(), `${revision}:dvc.lock`) : new Map<string, string>();
  const cacheFolder = hashes.size > 0 ? openRepository(pipeline.folder).cacheFolder : undefined;
  return (path) => {
    const hash = hashes.get(path);
    const cached = hash && cacheFolder && join(cacheFolder, 'files', 'md5', hash.slice(0, 2), hash.slice(2));
    return inGit(path) ?? (cached && existsSync(cached) ? readFileSync(cached) : null);
  };
}

/** Path within the pipeline's folder to MD5, of every output in a lock that a stage of today still has. */
function lockedHashes({ folder, stages }: Pipeline, text: string, name: string): ReadonlyMap<string, string> {
  const document = parseYaml(text, { file: name });
  const locked = isMapping(document) ? document.get('stages') : undefined;
  return new Map(
    stages.flatMap((stage) => {
      const entry = isMapping(locked) ? locked.get(stage.name) : undefined;
      if (entry === undefined) return [];
      return readLockEntry(entry, `${name}: stage ${stage.name}`).outputs.map(
        ({ path, md5 }) => [relative(folder, resolve(stage.workdir, path)), md5] as const,
      );
    }),
  );
}
