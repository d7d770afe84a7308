import { spawnSync } from 'node:child_process';

/** The commit that the working folder stands at, where it is a git checkout and git is there. */
export function gitCommit(): string | undefined {
  const { status, stdout } = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', timeout: 2000 });
  const commit = status === 0 ? stdout.trim() : '';
  return /^[\da-f]{40,64}$/.test(commit) ? commit : undefined;
}
