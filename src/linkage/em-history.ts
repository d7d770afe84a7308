import { describeLevel } from './describe-level.ts';
import type { EmStep } from './em.ts';
import type { Comparison } from './settings.ts';
import { parameterOf } from './weights.ts';

/** A session's way, value by value: at the start, then after each iteration. */
export type EmHistory = {
  /** Share of the rule's pairs that match. */
  readonly prior: readonly number[];
  /** Weight log2(m/u) of each level that is not for missing values; null where no match was on the level. */
  readonly comparisons: readonly {
    readonly name: string;
    readonly levels: readonly { readonly label: string; readonly weights: readonly (number | null)[] }[];
  }[];
};

/** Turns a session's steps around: from parameters by iteration to iterations by parameter. */
export function emHistory(comparisons: readonly Comparison[], steps: readonly EmStep[]): EmHistory {
  const weightOf = (m: number, u: number) => (Number.isNaN(m) ? null : Math.log2(m / u));
  return {
    prior: steps.map(({ prior }) => prior),
    comparisons: comparisons.map((comparison, c) => ({
      name: comparison.name,
      levels: comparison.levels.flatMap(({ isNull }, level) => {
        const u = parameterOf(comparison, level, 'u');
        return isNull ? [] : [{ label: describeLevel(comparison, level), weights: steps.map(({ m }) => weightOf(m[c]![level]!, u)) }];
      }),
    })),
  };
}
