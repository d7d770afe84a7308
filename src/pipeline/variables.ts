// The variables a template may name: params.yaml beside dvc.yaml, then what `vars:` adds, in order. A later source may add to a map but
// never redefine a value.

import { join, normalize } from 'node:path';

import { UserError } from '../base/errors.ts';
import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { readValues } from './value-file.ts';
import { isList, isMapping, type ValueMap } from './values.ts';

export type Variables = {
  readonly values: ValueMap;
  /** Dotted key to the file or `vars[1]` it came from. */
  readonly sources: ReadonlyMap<string, string>;
  /** Files read so far, with the keys taken from each; null where all were. */
  readonly files: ReadonlyMap<string, readonly string[] | null>;
  /** Names that a loop holds. */
  readonly reserved: readonly string[];
};

export const noVariables: Variables = { values: new Map(), sources: new Map(), files: new Map(), reserved: [] };

export type VariableSource = { readonly folder: string; readonly shownFolder: string; readonly where: string };

/**
 * Adds the entries of a `vars:` list.
 *
 * @param entries `file.yaml`, `file.yaml:key1,key2` or a literal map
 * @param options.folder where files are looked for; `shownFolder` is how messages name it, `where` the list itself: `vars`, `stages.a.vars`
 * @throws UserError `pipeline.vars`
 */
export function addVariables(variables: Variables, entries: readonly (string | ValueMap)[], source: VariableSource): Variables {
  return entries.reduce<Variables>(
    (known, entry, index) => (typeof entry === 'string' ? addFile(known, entry, source) : merge(known, entry, `${source.where}[${index}]`)),
    variables,
  );
}

/** Adds params.yaml of a folder, where there is one. */
export function addDefaultFile(variables: Variables, source: VariableSource): Variables {
  return readValues(join(source.folder, 'params.yaml')) === null ? variables : addFile(variables, 'params.yaml', source);
}

/** Sets a loop's `item` and `key`, over variables of the same name. */
export function withLoopValues(variables: Variables, items: Readonly<Record<string, ParameterValue>>): Variables {
  const values = new Map(variables.values);
  for (const [name, value] of Object.entries(items)) values.set(name, textKeysOnly(value));
  return { ...variables, values, reserved: Object.keys(items) };
}

function addFile(variables: Variables, entry: string, { folder, shownFolder, where }: VariableSource): Variables {
  const colon = entry.indexOf(':');
  const name = colon < 0 ? entry : entry.slice(0, colon);
  const keys =
    colon < 0
      ? null
      : entry
          .slice(colon + 1)
          .split(',')
          .filter(Boolean);
  const wanted = keys && keys.length > 0 ? keys : null;
  const shown = normalize(join(shownFolder, name));
  const path = normalize(join(folder, name));
  const fault = (message: string) => new UserError('pipeline.vars', `pipeline: ${message}: ${where}: ${entry}`);

  const before = variables.files.get(path);
  if (before === null && !wanted) return variables;
  if (before === null) throw fault('cannot take some keys of a file that is loaded whole already');
  if (before && !wanted) throw fault('cannot load a file whole, some of its keys are loaded already');
  const twice = before && wanted?.find((key) => before.includes(key));
  if (twice) throw fault(`key is loaded already (${twice})`);

  const content = readValues(path, shown);
  if (content === null) throw fault('file of variables not found');
  if (!isMapping(content)) throw fault('file of variables holds no map');
  const missing = wanted?.find((key) => !content.has(key));
  if (missing !== undefined) throw fault(`key not found (${missing})`);
  const taken = wanted ? new Map(wanted.map((key) => [key, content.get(key)!])) : (content as ValueMap);
  const files = new Map(variables.files).set(path, wanted ? [...(before ?? []), ...wanted] : null);
  return { ...merge(variables, taken, shown), files };
}

function merge(variables: Variables, added: ValueMap, source: string): Variables {
  const held = variables.reserved.find((name) => added.has(name));
  if (held) throw new UserError('pipeline.vars', `pipeline: name belongs to the loop: ${held} in ${source}; use another name`);
  const sources = new Map(variables.sources);
  const mergeMaps = (into: ValueMap, update: ValueMap, path: readonly string[]): ValueMap => {
    const merged = new Map(into);
    for (const [key, value] of update) {
      const at = [...path, String(key)];
      const old = into.get(key);
      if (isMapping(old) && isMapping(value)) merged.set(key, mergeMaps(old, value, at));
      else if (into.has(key)) {
        throw new UserError(
          'pipeline.vars',
          `pipeline: variable defined twice: ${at.join('.')} in ${source}; it stands in ${sourceOf(sources, at)} already`,
        );
      } else {
        merged.set(key, value);
        sources.set(at.join('.'), source);
      }
    }
    return merged;
  };
  return { ...variables, values: mergeMaps(variables.values, textKeysOnly(added) as ValueMap, []), sources };
}

/** Where a value came from: the source of itself or of the map that brought it. */
function sourceOf(sources: ReadonlyMap<string, string>, path: readonly string[]): string {
  for (let length = path.length; length > 0; length--) {
    const source = sources.get(path.slice(0, length).join('.'));
    if (source !== undefined) return source;
  }
  return 'vars';
}

/** Templates cannot name a key that is not text, and DVC leaves it out of what they see. */
function textKeysOnly(value: ParameterValue): ParameterValue {
  if (isList(value)) return value.map(textKeysOnly);
  if (!isMapping(value)) return value;
  const kept = [...value].filter(([key]) => typeof key === 'string');
  return new Map<ParameterKey, ParameterValue>(kept.map(([key, one]) => [key, textKeysOnly(one)]));
}
