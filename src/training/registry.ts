// The model registry: a folder that remembers every candidate as it was, and which of them is the champion.
//
//   models-registry/evidence/versions/1/version.json       where it came from, hash of each file, figures, evaluation data, run, time
//   models-registry/evidence/versions/1/files/...          an own copy of the files: training again cannot change it
//   models-registry/evidence/aliases/champion/1/alias.json {"version": 1, ...}: the first move of the alias
//
// Nothing here is ever changed, only added, and every addition is a numbered folder that is filled beside its place and renamed into it.
// A folder cannot be renamed onto a full one, so of two processes that want the same number one gets it, and the other learns so:
// versions take the next number then, and an alias is decided anew (`moveAlias` says which move it believed to be the last). There
// is no lock that a killed process could leave behind; what it leaves half-filled has a hidden name and is cleared a day later.

import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';

import { filesAt, hashFile, hashText } from '../base/content-hash.ts';
import { UserError } from '../base/errors.ts';
import { writeJson } from '../base/files.ts';
import { compareCodePoints } from '../base/text.ts';
import { jsonNumber, numberFromJson } from './run-events.ts';

const versionFile = z.object({
  name: z.string(),
  version: z.int().min(1),
  /** Where the candidate lay, as it was named. */
  source: z.string(),
  /** Of the list of files with their hashes: the candidate's identity. */
  sha256: z.string(),
  files: z.array(z.object({ path: z.string(), bytes: z.int(), sha256: z.string() })),
  /** Figures of the evaluation: `eval_f1`, ... */
  figures: z.record(z.string(), numberFromJson),
  /** Fingerprint of what it was evaluated on. */
  dataset: z.string().nullable(),
  run: z.string().nullable(),
  /** File of the version's folder that holds its answers one by one. */
  predictions: z.string().nullable(),
  time: z.string(),
});

/** One candidate, as it was registered. */
export type ModelVersion = z.infer<typeof versionFile>;

const aliasFile = z.object({ version: z.int().min(1), time: z.string() });

/** Where an alias points, and how often it was moved: 0 while it points nowhere. */
export type Alias = { readonly moves: number; readonly version?: number };

export type NewVersion = {
  readonly name: string;
  /** File or folder. */
  readonly candidate: string;
  readonly figures: Readonly<Record<string, number>>;
  readonly dataset?: string | undefined;
  readonly run?: string | undefined;
  readonly predictions?: string | undefined;
  readonly time: Date;
};

/**
 * Registers a candidate under the next free number, with a copy of its files. One that is there already, with the same files, figures and
 * evaluation data, keeps its number: a stage that is run again registers nothing anew.
 *
 * @throws UserError `registry.name`, `input.missing`
 */
export async function addVersion(
  registry: string,
  { name, candidate, figures, dataset, run, predictions, time }: NewVersion,
): Promise<ModelVersion> {
  const folder = join(modelFolder(registry, name), 'versions');
  const filling = startFilling(folder);
  try {
    const sources = filesAt(candidate);
    for (const path of sources)
      copyReadOnly(path === '' ? candidate : join(candidate, path), join(filling, 'files', path || basename(candidate)));
    const stored = predictions === undefined ? null : basename(predictions);
    if (predictions !== undefined) copyReadOnly(predictions, join(filling, 'predictions', stored!));
    const files: ModelVersion['files'] = [];
    for (const path of sources.map((source) => source || basename(candidate))) {
      const copy = join(filling, 'files', path);
      files.push({ path, bytes: statSync(copy).size, sha256: await hashFile(copy) });
    }
    const sha256 = hashText(JSON.stringify(files));
    const about = { sha256, figures: { ...figures }, dataset: dataset ?? null };
    const known = readVersions(registry, name);
    const same = known.find((one) => sameContent(one, about));
    if (same) return same;
    for (let version = (known.at(-1)?.version ?? 0) + 1; ; version++) {
      const entry = { name, version, source: candidate, files, ...about, run: run ?? null, predictions: stored, time: time.toISOString() };
      await writeJson(join(filling, 'version.json'), { ...entry, figures: jsonFigures(figures) });
      if (claim(filling, join(folder, String(version)))) return entry;
    }
  } finally {
    rmSync(filling, { recursive: true, force: true });
  }
}

/** All versions of a model, oldest first. */
export function readVersions(registry: string, name: string): ModelVersion[] {
  const folder = join(modelFolder(registry, name), 'versions');
  return numbersIn(folder).map((version) => readEntry(join(folder, String(version), 'version.json'), versionFile));
}

/**
 * One version of a model.
 *
 * @throws UserError `registry.version` where there is none of this number
 */
export function readVersion(registry: string, name: string, version: number): ModelVersion {
  const versions = readVersions(registry, name);
  const found = versions.find((one) => one.version === version);
  if (found) return found;
  const known = versions.map((one) => one.version).join(', ') || 'none';
  throw new UserError('registry.version', `registry: no version ${version} of ${name} in ${registry}; there are: ${known}`);
}

/** Names of the registered models. */
export function modelNames(registry: string): string[] {
  if (!existsSync(registry)) return [];
  return readdirSync(registry)
    .filter((name) => numbersIn(join(registry, name, 'versions')).length > 0)
    .sort(compareCodePoints);
}

/** Folder of a version's files; for a candidate that was one file: that file. */
export function versionPath(registry: string, { name, version, files }: ModelVersion): string {
  const folder = join(modelFolder(registry, name), 'versions', String(version), 'files');
  return files.length === 1 ? join(folder, files[0]!.path) : folder;
}

/** File with a version's answers one by one, where it was given one. */
export function predictionsPath(registry: string, { name, version, predictions }: ModelVersion): string | undefined {
  return predictions === null ? undefined : join(modelFolder(registry, name), 'versions', String(version), 'predictions', predictions);
}

export function readAlias(registry: string, name: string, alias: string): Alias {
  const folder = join(modelFolder(registry, name), 'aliases', alias);
  const moves = numbersIn(folder).at(-1) ?? 0;
  return moves === 0 ? { moves } : { moves, version: readEntry(join(folder, String(moves), 'alias.json'), aliasFile).version };
}

/**
 * Points an alias at a version, provided that nobody has moved it since.
 *
 * @param options.moves how often it had been moved when this was decided
 * @returns false where somebody was first: look again, decide again
 */
export async function moveAlias(
  registry: string,
  {
    name,
    alias,
    version,
    moves,
    time,
  }: { readonly name: string; readonly alias: string; readonly version: number; readonly moves: number; readonly time: Date },
): Promise<boolean> {
  const folder = join(modelFolder(registry, name), 'aliases', alias);
  const filling = startFilling(folder);
  try {
    await writeJson(join(filling, 'alias.json'), { version, time: time.toISOString() });
    return claim(filling, join(folder, String(moves + 1)));
  } finally {
    rmSync(filling, { recursive: true, force: true });
  }
}

/** Each file of a version: its path among them, and where it is. */
export function versionFiles(registry: string, { name, version, files }: ModelVersion): { readonly path: string; readonly file: string }[] {
  const folder = join(modelFolder(registry, name), 'versions', String(version), 'files');
  return files.map(({ path }) => ({ path, file: join(folder, path) }));
}

/** The number a version has on a server, if it was sent there. */
export function sentVersion(registry: string, { name, version }: ModelVersion, address: string): number | undefined {
  const file = join(sentFolder(registry, name, address), String(version), 'server.json');
  return existsSync(file) ? readEntry(file, sentFile).version : undefined;
}

/** Notes that a version was sent to a server, and its number there. */
export async function noteSent(
  registry: string,
  { name, version }: ModelVersion,
  server: { readonly address: string; readonly version: number },
): Promise<void> {
  const folder = sentFolder(registry, name, server.address);
  const filling = startFilling(folder);
  try {
    await writeJson(join(filling, 'server.json'), server);
    claim(filling, join(folder, String(version)));
  } finally {
    rmSync(filling, { recursive: true, force: true });
  }
}

const sentFile = z.object({ address: z.string(), version: z.int().min(1) });

const sentFolder = (registry: string, name: string, address: string) =>
  join(modelFolder(registry, name), 'mirrored', hashText(address).slice(0, 16));

/** Whether a copy is still what was registered: the files that differ or are gone. */
export async function damagedFiles(registry: string, version: ModelVersion): Promise<string[]> {
  const folder = join(modelFolder(registry, version.name), 'versions', String(version.version), 'files');
  const damaged: string[] = [];
  for (const { path, sha256 } of version.files) {
    if (!existsSync(join(folder, path)) || (await hashFile(join(folder, path))) !== sha256) damaged.push(path);
  }
  return damaged;
}

function modelFolder(registry: string, name: string): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new UserError('registry.name', `registry: not a model name: ${name}; use letters, digits, dots, dashes and underscores`);
  }
  return join(registry, name);
}

const dayMs = 24 * 3600 * 1000;

/** A folder of its own to fill, beside the numbered ones. */
function startFilling(folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const left of readdirSync(folder).filter((name) => name.startsWith('.new-'))) {
    const path = join(folder, left);
    const since = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (since !== undefined && Date.now() - since > dayMs) rmSync(path, { recursive: true, force: true });
  }
  const filling = join(folder, `.new-${randomUUID()}`);
  mkdirSync(filling);
  return filling;
}

/** Renames a filled folder to its number; false where the number is taken. */
function claim(filling: string, place: string): boolean {
  try {
    renameSync(filling, place);
    return true;
  } catch (cause) {
    if (existsSync(place)) return false;
    throw cause;
  }
}

/** The copy shares its blocks with the original where the file system can, and is written on by neither. */
function copyReadOnly(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  chmodSync(to, 0o444);
}

function numbersIn(folder: string): number[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

function readEntry<T>(file: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new UserError('registry.damaged', `registry: cannot be read: ${file}; restore it, or remove its folder`, { cause });
  }
}

const jsonFigures = (figures: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, jsonNumber(value)]));

function sameContent(
  a: Pick<ModelVersion, 'sha256' | 'figures' | 'dataset'>,
  b: Pick<ModelVersion, 'sha256' | 'figures' | 'dataset'>,
): boolean {
  const text = ({ sha256, figures, dataset }: typeof a) =>
    JSON.stringify([sha256, dataset, Object.entries(jsonFigures(figures)).sort(([x], [y]) => compareCodePoints(x, y))]);
  return text(a) === text(b);
}
