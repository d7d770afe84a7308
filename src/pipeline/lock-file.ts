// dvc.lock, schema 2.0: per stage, what it was last run with. Read and written so that DVC 3 takes the file for its own.
//
//   schema: '2.0'
//   stages:
//     train:
//       cmd: python train.py
//       deps:                      sorted by path; then path, hash, md5, size, nfiles (folders), isexec (when so)
//       - path: data
//         hash: md5
//         md5: 0b2cf2b7a3d2a7e7a8c4a4c9f7a2c0f1.dir
//         size: 1234
//         nfiles: 3
//       params:                    params.yaml first, other files by name; keys sorted, values as they are
//         params.yaml:
//           lr: 0.1
//       outs: ...
//
// A rewrite changes one stage; everything else, also what this program does not know (`datasets:`), comes out as it went in.
// Source: DVC, stage/serialize.py and schema.py.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { replaceText } from '../base/files.ts';
import type { LockEntry, LockedPath, ParameterKey, ParameterValue } from './lock-entry.ts';
import { byCodePoint } from './python-json.ts';
import { isMapping, type ValueMap } from './values.ts';
import { writeYaml } from './write-yaml.ts';
import { parseYaml } from './yaml-values.ts';

const defaultParameters = 'params.yaml';

/**
 * Reads the dvc.lock of a folder: stage name to what it was last run with. No file, no stages.
 *
 * @throws UserError `pipeline.lock` when it is not a lock of DVC 3; entries of DVC 2 and of remote files are refused by stage
 */
export function readLock(folder: string): ReadonlyMap<string, LockEntry> {
  return lockReader(folder)();
}

/** Reads as `readLock`, again and again: what has not changed since is not parsed anew, for each stage looks once. */
export function lockReader(folder: string): () => ReadonlyMap<string, LockEntry> {
  let last: { readonly text: string | undefined; readonly entries: ReadonlyMap<string, LockEntry> } | undefined;
  return () => {
    const text = readText(folder);
    if (last && last.text === text) return last.entries;
    const stages = [...stagesOf(documentOf(text))];
    const entries = new Map(stages.map(([name, value]) => [String(name), readLockEntry(value, `dvc.lock: stage ${name}`)]));
    last = { text, entries };
    return entries;
  };
}

/**
 * Puts one stage into the dvc.lock of a folder, in one step; the file is made where there is none. Returns whether anything changed.
 *
 * @param order stages as they run; one that is new comes after those before it, so that side by side they leave the same file as in turn
 */
export function writeLock(folder: string, name: string, entry: LockEntry, order: readonly string[] = []): boolean {
  const document = new Map<ParameterKey, ParameterValue>(readDocument(folder));
  if (!document.has('schema')) document.set('schema', '2.0');
  document.set('stages', withStage(stagesOf(document), { name, entry, order }));
  const text = writeYaml(document);
  if (text === readText(folder)) return false;
  replaceText(join(folder, 'dvc.lock'), text);
  return true;
}

function withStage(
  stages: ValueMap,
  { name, entry, order }: { readonly name: string; readonly entry: LockEntry; readonly order: readonly string[] },
): ValueMap {
  const pairs = [...stages];
  const at = pairs.findIndex(([key]) => key === name);
  const before = new Set<ParameterKey>(order.slice(0, Math.max(0, order.indexOf(name))));
  const last = order.includes(name) ? pairs.findLastIndex(([key]) => before.has(key)) + 1 : pairs.length;
  if (at < 0) pairs.splice(last, 0, [name, lockYaml(entry)]);
  else pairs[at] = [name, lockYaml(entry)];
  return new Map(pairs);
}

/** The map that stands for an entry in dvc.lock and in the run cache. */
export function lockYaml({ command, dependencies, parameters, outputs }: LockEntry): ValueMap {
  const map = new Map<ParameterKey, ParameterValue>([['cmd', command]]);
  if (dependencies.length > 0) map.set('deps', pathsYaml(dependencies));
  const files = Object.keys(parameters).sort(
    (a, b) => Number(b === defaultParameters) - Number(a === defaultParameters) || byCodePoint(a, b),
  );
  if (files.length > 0) {
    map.set(
      'params',
      new Map(files.map((file) => [file, new Map(Object.entries(parameters[file]!).sort(([a], [b]) => byCodePoint(a, b)))])),
    );
  }
  if (outputs.length > 0) map.set('outs', pathsYaml(outputs));
  return map;
}

function pathsYaml(paths: readonly LockedPath[]): ParameterValue {
  return [...paths]
    .sort((a, b) => byCodePoint(a.path, b.path))
    .map(({ path, md5, size, fileCount, isExecutable }) => {
      const map = new Map<ParameterKey, ParameterValue>([
        ['path', path],
        ['hash', 'md5'],
        ['md5', md5],
        ['size', BigInt(size)],
      ]);
      if (fileCount !== undefined) map.set('nfiles', BigInt(fileCount));
      if (isExecutable) map.set('isexec', true);
      return map;
    });
}

/** Reads the map of one stage; `where` names it in messages. */
export function readLockEntry(value: ParameterValue, where: string): LockEntry {
  const entry = mapOf(value, where);
  refuseUnknown(entry, ['cmd', 'deps', 'params', 'outs'], where);
  const command = entry.get('cmd');
  const isList = Array.isArray(command) && command.every((line) => typeof line === 'string');
  if (typeof command !== 'string' && !isList) throw broken(where, 'cmd is neither text nor a list of texts');
  return {
    command: command as string | readonly string[],
    dependencies: pathsOf(entry.get('deps'), `${where}: deps`),
    parameters: parametersOf(entry.get('params'), `${where}: params`),
    outputs: pathsOf(entry.get('outs'), `${where}: outs`),
  };
}

function pathsOf(value: ParameterValue | undefined, where: string): readonly LockedPath[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw broken(where, 'not a list');
  return (value as readonly ParameterValue[]).map((item) => {
    const map = mapOf(item, where);
    const path = map.get('path');
    if (typeof path !== 'string') throw broken(where, 'an entry without path');
    const place = `${where}: ${path}`;
    refuseUnknown(map, ['path', 'hash', 'md5', 'size', 'nfiles', 'isexec'], place);
    if (map.get('hash') === undefined) {
      throw new UserError('pipeline.lock', `pipeline: written by DVC 2: ${place}; \`dvc cache migrate --dvc-files\` brings it up to date`);
    }
    const [md5, size, fileCount] = [map.get('md5'), map.get('size'), map.get('nfiles')];
    if (map.get('hash') !== 'md5') throw broken(place, 'hash is not md5');
    if (typeof md5 !== 'string' || !/^[0-9a-f]{32}(\.dir)?$/.test(md5)) throw broken(place, 'md5 is not a hash');
    if (size !== undefined && typeof size !== 'bigint') throw broken(place, 'size is not an integer');
    return {
      path,
      md5,
      size: Number(size ?? 0n),
      ...(typeof fileCount === 'bigint' ? { fileCount: Number(fileCount) } : {}),
      ...(map.get('isexec') === true ? { isExecutable: true } : {}),
    };
  });
}

function parametersOf(value: ParameterValue | undefined, where: string): LockEntry['parameters'] {
  const files = value === undefined ? [] : [...mapOf(value, where)];
  return Object.fromEntries(
    files.map(([file, values]) => {
      const pairs = [...mapOf(values, `${where}: ${file}`)].map(([key, item]) => [String(key), item] as const);
      return [String(file), Object.fromEntries(pairs)];
    }),
  );
}

const readDocument = (folder: string): ValueMap => documentOf(readText(folder));

function documentOf(text: string | undefined): ValueMap {
  const document = text === undefined ? null : parseYaml(text, { file: 'dvc.lock' });
  if (document === null) return new Map();
  const map = mapOf(document, 'dvc.lock');
  const schema = map.get('schema');
  if (schema !== '2.0') {
    const found = schema === undefined ? 'none' : String(schema);
    throw new UserError('pipeline.lock', `pipeline: dvc.lock has not schema 2.0: ${found}; remove it, or bring it up to date with DVC 2`);
  }
  return map;
}

const stagesOf = (document: ValueMap): ValueMap => mapOf(document.get('stages') ?? new Map(), 'dvc.lock: stages');

function readText(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'dvc.lock'), 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
}

function mapOf(value: ParameterValue, where: string): ValueMap {
  if (isMapping(value)) return value;
  throw broken(where, 'not a map');
}

function refuseUnknown(map: ValueMap, known: readonly string[], where: string): void {
  const unknown = [...map.keys()].find((key) => !known.includes(String(key)));
  if (unknown !== undefined) throw new UserError('pipeline.lock', `pipeline: not supported in a lock: ${where}: ${unknown}`);
}

const broken = (where: string, fault: string): UserError =>
  new UserError('pipeline.lock', `pipeline: broken lock: ${where}: ${fault}; remove the entry and run the stage again`);
