// The values of the parameters a stage depends on, in the form dvc.lock keeps them: by file (params.yaml first, then by name), and in
// each by dotted key, sorted. A file tracked whole has its top-level keys. Source: DVC, dvc/dependency/param.py and stage/serialize.py.

import { normalize, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import type { LockEntry, ParameterValue } from './lock-entry.ts';
import { byCodePoint } from './python-json.ts';
import type { Stage, TrackedParameters } from './stage.ts';
import { readValues } from './value-file.ts';
import { dottedKeys, isMapping, lookUp, type ValueMap } from './values.ts';

/**
 * What a stage's parameters are now.
 *
 * @param options.missing whether a file or key that is not there is refused (before a run), or left out (to tell what changed)
 * @throws UserError `pipeline.parameter`
 */
export function currentParameters(
  { name, workdir, parameters }: Pick<Stage, 'name' | 'workdir' | 'parameters'>,
  { missing = 'refuse' }: { readonly missing?: 'refuse' | 'leave out' } = {},
): LockEntry['parameters'] {
  const files = [...parameters].sort((a, b) => fileOrder(a.file) - fileOrder(b.file) || byCodePoint(a.file, b.file));
  return Object.fromEntries(
    files.flatMap((tracked) => {
      const content = readValues(resolve(workdir, tracked.file), tracked.file);
      if (content !== null) return [[normalize(tracked.file), trackedValues(content, tracked, { stage: name, missing })]];
      if (missing === 'leave out') return [];
      throw new UserError('pipeline.parameter', `pipeline: file of parameters not found: ${tracked.file}; stage ${name} depends on it`);
    }),
  );
}

const fileOrder = (file: string): number => (file === 'params.yaml' ? 0 : 1);

function trackedValues(
  content: ParameterValue,
  { file, keys }: TrackedParameters,
  { stage, missing }: { readonly stage: string; readonly missing: 'refuse' | 'leave out' },
): Readonly<Record<string, ParameterValue>> {
  if (!isMapping(content)) throw new UserError('pipeline.parameter', `pipeline: file of parameters holds no map: ${file}`);
  const found = keys.length === 0 ? wholeFile(content, file) : keys.map((key) => [key, lookUp(content, key)] as const);
  const absent = found.filter(([, value]) => value === undefined).map(([key]) => key);
  if (absent.length > 0 && missing === 'refuse') {
    const near = nearest(absent[0]!, dottedKeys(content));
    throw new UserError(
      'pipeline.parameter',
      `pipeline: parameter missing from ${file}: ${absent.join(', ')}; stage ${stage} depends on it${near ? `, did you mean ${near}?` : ''}`,
    );
  }
  const sorted = found
    .filter((pair): pair is readonly [string, ParameterValue] => pair[1] !== undefined)
    .sort(([a], [b]) => byCodePoint(a, b));
  return Object.fromEntries(sorted);
}

function wholeFile(content: ValueMap, file: string): readonly (readonly [string, ParameterValue])[] {
  return [...content].map(([key, value]) => {
    if (typeof key === 'string') return [key, value] as const;
    throw new UserError(
      'pipeline.parameter',
      `pipeline: key is not text: ${String(key)} in ${file}; dvc.lock cannot hold it, write it in quotes`,
    );
  });
}
