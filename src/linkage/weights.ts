// Parameters as the kernel adds them up: log2 Bayes factors by comparison and level, and what the rarity of a shared value is measured against.

import type { Rarity } from './rarity.ts';
import { type Comparison, defaultProbability, exactLevelOf, gammasOf, type LinkageSettings, needsSql } from './settings.ts';

/** m or u of a level, or what it starts from when neither given nor trained. */
export function parameterOf(comparison: Comparison, level: number, which: 'm' | 'u'): number {
  const gammas = gammasOf(comparison);
  const count = gammas.filter((gamma) => gamma >= 0).length;
  return comparison.levels[level]![which] ?? defaultProbability(count, gammas[level]!, which);
}

/** log2(m/u) of each level, 0 for missing, by comparison. */
export function levelWeights({ comparisons }: LinkageSettings): Float64Array[] {
  return comparisons.map((comparison) =>
    Float64Array.from(comparison.levels, ({ isNull }, level) =>
      isNull ? 0 : Math.log2(parameterOf(comparison, level, 'm') / parameterOf(comparison, level, 'u')),
    ),
  );
}

/** What rarity counts on each level, by comparison; nothing on missing and else. */
export function levelRarity({ comparisons }: LinkageSettings): (Rarity | undefined)[][] {
  return comparisons.map((comparison) => comparison.levels.map((_, level) => rarityOf(comparison, level)));
}

/** The rarity that counts on one level: measured against u of the comparison's exact level on that column, or its own where it says so. */
export function rarityOf(comparison: Comparison, level: number): Rarity | undefined {
  const { termFrequency, isNull, condition } = comparison.levels[level]!;
  if (!termFrequency || isNull || condition.kind === 'else' || termFrequency.weight === 0) return undefined;
  const measuredAt = termFrequency.levelU ? level : exactLevelOf(comparison, termFrequency.column);
  return {
    log2U: Math.log2(parameterOf(comparison, measuredAt, 'u')),
    weight: termFrequency.weight ?? 1,
    minimumU: termFrequency.minimumU ?? 0,
  };
}

/** Comparisons with a level in SQL: the kernel leaves them to the database. */
export function undecidedComparisons({ comparisons }: LinkageSettings): number[] {
  return comparisons.flatMap(({ levels }, c) => (levels.some(({ condition }) => needsSql(condition)) ? [c] : []));
}
