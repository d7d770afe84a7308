import { spawnSync } from 'node:child_process';

import { UserError } from '../../base/errors.ts';

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
