// Sends files to the hub as one commit: all of them are there, or none. Large files that an interrupted push had sent are known to the hub
// by their SHA-256 and not sent again.

import { statSync } from 'node:fs';
import { join } from 'node:path';

import { filesAt } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import type { Hub, Upload } from './hub.ts';

export type PushTarget = {
  readonly hub: Hub;
  /** OWNER/NAME. */
  readonly name: string;
  /** Let everybody see it: asked for, never assumed. */
  readonly isPublic?: boolean;
  readonly log?: (line: string) => void;
};

export type PushFilesOptions = PushTarget & {
  readonly files: Upload['files'];
  /** Of the commit. */
  readonly title: string;
  /** Branch to write to, made where there is none. */
  readonly branch?: string | undefined;
  /** What of the repository's files goes, in the same commit, where it is not among those sent: parts of what is replaced. */
  readonly replaces?: RegExp;
  readonly progress?: Progress;
};

export type PushResult = {
  readonly name: string;
  readonly branch: string;
  readonly commit: string;
  readonly url: string;
  readonly isPrivate: boolean;
  readonly files: readonly string[];
  readonly bytes: number;
};

/**
 * Sees to it that a repository is there and may be written to. One that is not there yet is made private; one that is public is left alone
 * unless `isPublic` says that this is meant.
 *
 * @returns the commit it is at, none for a new one
 * @throws UserError `push.public`, `hub.*`
 */
export async function claimRepository({
  hub,
  name,
  isPublic = false,
  log = () => {},
}: PushTarget): Promise<{ readonly isPrivate: boolean; readonly commit?: string }> {
  const found = await hub.find(name);
  if (!found) {
    await hub.create(name, { isPrivate: !isPublic });
    return { isPrivate: !isPublic };
  }
  if (!found.isPrivate && !isPublic) {
    throw new UserError('push.public', `push: everybody can see ${name}; say --public if that is meant, or name another`);
  }
  if (isPublic && found.isPrivate) log(`${name} stays private: its owner can change that in its settings`);
  return found;
}

/**
 * Sends files to a repository as one commit.
 *
 * @throws UserError `push.public`, `hub.*`
 */
export async function pushFiles({
  files,
  title,
  branch = 'main',
  replaces,
  progress = silent,
  ...target
}: PushFilesOptions): Promise<PushResult> {
  const { hub, name } = target;
  const { isPrivate, commit: before } = await claimRepository(target);
  const sent = files.map(({ path }) => path);
  const old = replaces && before !== undefined ? (await hub.files(name, before)).map(({ path }) => path) : [];
  const remove = old.filter((path) => replaces!.test(path) && !sent.includes(path));
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const step = progress.step(`pushing ${name}`, { total: bytes, unit: 'bytes' });
  const { commit, url } = await hub.upload({ name, branch, title, files, remove, advance: step.advance });
  step.finish();
  return { name, branch, commit, url, isPrivate, files: sent, bytes };
}

/** All files under a folder, for `pushFiles`. */
export function filesUnder(folder: string): Upload['files'] {
  return filesAt(folder).map((path) => ({ path, source: join(folder, path), size: statSync(join(folder, path)).size }));
}
