// What a pipeline measures (`metrics:`) and what it is set to (`params:`), each as one flat list of dotted keys, and how two states of
// them differ. Source of what counts as a figure: DVC, dvc/repo/metrics/show.py.

import { relative, resolve } from 'node:path';

import { compareCodePoints } from '../base/text.ts';
import type { ParameterValue } from './lock-entry.ts';
import type { Pipeline, TrackedParameters } from './stage.ts';
import { isList, isMapping, lookUp, sameValue } from './values.ts';

/** Values by dotted key; a file that holds a single value has it under the empty key. */
export type FlatValues = ReadonlyMap<string, ParameterValue>;

export type ValueChange = {
  readonly file: string;
  readonly key: string;
  /** Left out where the key is not there. */
  readonly old?: ParameterValue;
  readonly new?: ParameterValue;
  /** New minus old, of two numbers. */
  readonly change?: number | bigint;
};

/** Files of figures, relative to the pipeline's folder: outputs of stages, then the top-level ones. */
export function metricFiles({ folder, stages, metrics }: Pipeline): readonly string[] {
  const ofStages = stages.flatMap(({ workdir, outputs }) =>
    outputs.filter(({ role }) => role === 'metric').map(({ path }) => relative(folder, resolve(workdir, path))),
  );
  return [...new Set([...ofStages, ...metrics.map((path) => relative(folder, resolve(folder, path)))])];
}

/** Parameters of all stages by file, relative to the pipeline's folder; params.yaml beside dvc.yaml counts whole. */
export function parametersOfAll({ folder, stages, parameterFiles }: Pipeline): readonly TrackedParameters[] {
  const tracked = new Map<string, readonly string[] | null>();
  for (const { workdir, parameters } of stages) {
    for (const { file, keys } of parameters) {
      const path = relative(folder, resolve(workdir, file));
      const before = tracked.get(path);
      tracked.set(path, keys.length === 0 || before === null ? null : [...new Set([...(before ?? []), ...keys])]);
    }
  }
  for (const path of [...parameterFiles, 'params.yaml']) tracked.set(relative(folder, resolve(folder, path)), null);
  return [...tracked].map(([file, keys]) => ({ file, keys: keys ?? [] }));
}

/** The figures of a file: numbers, texts and flags in maps of any depth; lists are none. */
export function figuresOf(content: ParameterValue): FlatValues {
  return new Map([...flatten(content)].filter(([, value]) => value !== null && !isList(value)));
}

/** The parameters of a file that are tracked, lists as they are. */
export function parametersOf(content: ParameterValue, keys: readonly string[]): FlatValues {
  if (keys.length === 0) return flatten(content);
  return new Map(
    keys.flatMap((key) => {
      const value = lookUp(content, key);
      return value === undefined ? [] : [...flatten(value, key)];
    }),
  );
}

function flatten(value: ParameterValue, key = ''): FlatValues {
  if (!isMapping(value)) return new Map([[key, value]]);
  return new Map([...value].flatMap(([name, one]) => [...flatten(one, key ? `${key}.${String(name)}` : String(name))]));
}

/** What differs between two states of a file, by key; with `all`, also what does not. */
export function compareValues(
  file: string,
  { before, after, all = false }: { readonly before: FlatValues; readonly after: FlatValues; readonly all?: boolean },
): readonly ValueChange[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort(compareCodePoints);
  return keys.flatMap((key) => {
    const [old, now] = [before.get(key), after.get(key)];
    if (!all && sameValue(old, now)) return [];
    const change = differenceOf(old, now);
    return [
      {
        file,
        key,
        ...(old === undefined ? {} : { old }),
        ...(now === undefined ? {} : { new: now }),
        ...(change === undefined ? {} : { change }),
      },
    ];
  });
}

function differenceOf(old: ParameterValue | undefined, now: ParameterValue | undefined): number | bigint | undefined {
  if (typeof old === 'bigint' && typeof now === 'bigint') return now - old;
  const isNumber = (value: unknown): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';
  return isNumber(old) && isNumber(now) ? Number(now) - Number(old) : undefined;
}
