import { UserError } from '../../base/errors.ts';
import { compareCodePoints } from '../../base/text.ts';
import { type Figure, figuresOf } from '../../training/run-figures.ts';
import type { RunRecord } from '../../training/tracking.ts';

export type Comparison = {
  readonly runs: readonly { readonly id: string; readonly name: string; readonly folder: string; readonly status: string }[];
  /** What differs: a value for each run, null where it has none. Alike in all runs are only counted. */
  readonly params: readonly { readonly name: string; readonly values: readonly (string | null)[] }[];
  readonly alike: number;
  /** Of every metric that any run has. */
  readonly metrics: readonly {
    readonly key: string;
    readonly last: readonly (Figure | null)[];
    readonly best: readonly (Figure | null)[];
  }[];
};

/**
 * Runs side by side: settings and tags that differ, and figures.
 *
 * @throws UserError `runs.few`
 */
export function compareRuns(runs: readonly RunRecord[]): Comparison {
  if (runs.length < 2) throw new UserError('runs.few', 'compare: fewer than two runs; name those to compare');
  const said = runs.map(({ params, tags }) => ({ ...tags, ...params }));
  const names = [...new Set(said.flatMap((one) => Object.keys(one)))].sort(compareCodePoints);
  const params = names.map((name) => ({ name, values: said.map((one) => one[name] ?? null) }));
  const differing = params.filter(({ values }) => new Set(values).size > 1);
  const figures = runs.map(({ metrics }) => figuresOf(metrics));
  const keys = [...new Set(figures.flatMap(({ last }) => Object.keys(last)))];
  return {
    runs: runs.map(({ id, name, folder, status }) => ({ id, name, folder, status })),
    params: differing,
    alike: params.length - differing.length,
    metrics: keys.map((key) => ({
      key,
      last: figures.map(({ last }) => last[key] ?? null),
      best: figures.map(({ best }) => best[key] ?? null),
    })),
  };
}
