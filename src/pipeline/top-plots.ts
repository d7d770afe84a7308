// The `plots:` of dvc.yaml that belong to no stage: a file to draw, or a page with a name of its own that says which columns of which files.

import { UserError } from '../base/errors.ts';
import type { ParameterValue } from './lock-entry.ts';
import type { Pipeline } from './stage.ts';
import { isList, isMapping } from './values.ts';

/** Each entry with its properties: `x`, `y` as text, list or map of file to columns, and the labels. */
export function topPlots(entries: readonly ParameterValue[], where: string): Pipeline['plots'] {
  return entries.flatMap((entry) => {
    if (typeof entry === 'string') return [{ path: entry, plot: {} }];
    if (!isMapping(entry)) throw new UserError('pipeline.schema', `pipeline: the name of a plot expected: ${where}`);
    return [...entry].map(([path, plot]) => ({
      path: String(path),
      plot: (plot === null ? {} : plainOf(plot)) as Readonly<Record<string, unknown>>,
    }));
  });
}

function plainOf(value: ParameterValue): unknown {
  if (isList(value)) return value.map(plainOf);
  if (!isMapping(value)) return value;
  return Object.fromEntries([...value].map(([key, one]) => [String(key), plainOf(one)]));
}
