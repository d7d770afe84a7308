// What a run leaves behind, in a form in which two programs can be compared.

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';

/** What `repro` said it did: names of stages, sorted, for the order of independent ones is free. */
export type Report = {
  readonly ok: boolean;
  readonly ran: readonly string[];
  /** Taken from the run cache or the lock without running. */
  readonly restored: readonly string[];
  readonly skipped: readonly string[];
};

/** What lies in the project afterwards. */
export type Remains = {
  /** Lines of `kind content path`: everything but DVC's own folder and the lock. */
  readonly tree: readonly string[];
  /** Names of cache objects; one whose content is not what its name says ends with `!`. */
  readonly cache: readonly string[];
  /** `key/value` of the run cache. */
  readonly runs: readonly string[];
  /** Text of dvc.lock, where there is one. */
  readonly lock?: string;
};

export function observe(project: string, folder: string): Remains {
  const lock = join(folder, 'dvc.lock');
  return {
    tree: treeOf(project),
    cache: cacheOf(join(project, '.dvc', 'cache', 'files', 'md5')),
    runs: runsOf(join(project, '.dvc', 'cache', 'runs')),
    ...(existsSync(lock) ? { lock: readFileSync(lock, 'utf8') } : {}),
  };
}

/** Value of a lock's text: whole numbers as bigint, so that `1` and `1.0` are two values, and no digit is lost. */
export function lockValue(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  const document = parseDocument(text, { intAsBigInt: true, uniqueKeys: true });
  if (document.errors.length > 0) return { unreadable: text };
  return document.toJS({ mapAsMap: false });
}

export function md5(content: string | Uint8Array): string {
  return createHash('md5').update(content).digest('hex');
}

function treeOf(project: string): string[] {
  const lines: string[] = [];
  const visit = (path: string) => {
    const names = readdirSync(join(project, path)).filter((name) => name !== 'dvc.lock' && !(path === '' && /^\.dvc(ignore)?$/.test(name)));
    if (names.length === 0 && path !== '') lines.push(`folder empty ${path}`);
    for (const name of names) {
      const inner = path === '' ? name : `${path}/${name}`;
      const whole = join(project, inner);
      const state = lstatSync(whole);
      if (state.isSymbolicLink()) lines.push(`link ${readlinkSync(whole)} ${inner}`);
      else if (state.isDirectory()) visit(inner);
      else lines.push(`${state.mode & 0o100 ? 'program' : 'file'} ${md5(readFileSync(whole))} ${inner}`);
    }
  };
  visit('');
  return lines.sort();
}

function cacheOf(home: string): string[] {
  if (!existsSync(home)) return [];
  return readdirSync(home)
    .flatMap((prefix) => readdirSync(join(home, prefix)).map((rest) => ({ name: prefix + rest, path: join(home, prefix, rest) })))
    .map(({ name, path }) => (md5(readFileSync(path)) === name.replace('.dir', '') ? name : `${name}!`))
    .sort();
}

function runsOf(home: string): string[] {
  if (!existsSync(home)) return [];
  return readdirSync(home)
    .flatMap((prefix) =>
      readdirSync(join(home, prefix)).flatMap((key) => readdirSync(join(home, prefix, key)).map((value) => `${key}/${value}`)),
    )
    .sort();
}
