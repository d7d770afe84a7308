// m from pairs that are known to be matches: how often each level is met among them, missing left out.
//
//   m(level) = pairs on the level / pairs on any level that is not missing
//
// The pairs are those whose records share a label (and may be pairs at all: none within one source for link_only), or are given one by one.
// Worked case: labels a a b b null, first names Ann Anne Bob Bob Cyd: one pair of two is exact, m(exact) = 1/2. A level that no pair is on
// has no m: it keeps what it has.
// Cost: the labelled pairs, listed. Source: Fellegi and Sunter 1969; Splink's estimate_m_from_label_column and _from_pairwise_labels.

import { UserError } from '../base/errors.ts';
import { requireColumns } from '../sql/columns.ts';
import { quote } from '../sql/duckdb.ts';
import type { Encoder } from './encode.ts';
import { compileLevels, type KernelData } from './kernel.ts';
import type { PairSource } from './pair-source.ts';
import type { BlockingRule, LinkageSettings } from './settings.ts';
import { decideLevels } from './sql-path.ts';
import { undecidedComparisons } from './weights.ts';
import type { Pool } from './workers.ts';

/** What is known: a column that is equal on two records of one person (missing says nothing), or pairs of record numbers, left below right. */
export type Labels = { readonly column: string } | { readonly left: Int32Array; readonly right: Int32Array };

/** m of each comparison's levels: NaN for missing and for levels that no labelled pair is on. */
export type LabelM = { readonly pairs: number; readonly m: readonly (readonly number[])[] };

/**
 * Counts the levels of labelled pairs.
 *
 * @throws UserError `linkage.column` for a label column that is not there, `linkage.labels` for labels without a pair
 */
export async function labelM(
  work: {
    readonly data: KernelData;
    readonly encoder: Encoder;
    readonly pool: Pool;
    readonly pairSource: (rules: readonly BlockingRule[]) => Promise<{ readonly source: PairSource; readonly pairs: number }>;
  },
  settings: LinkageSettings,
  labels: Labels,
): Promise<LabelM> {
  const { data, encoder } = work;
  const { left, right } = 'column' in labels ? await sharing(work, labels.column) : labels;
  if (left.length === 0) {
    const where = 'column' in labels ? `no two records share a value of ${labels.column}` : 'the file of labels has no pair';
    throw new UserError('linkage.labels', `linkage: labels without a pair: ${where}; choose other labels`);
  }
  const levelOf = compileLevels(data);
  const undecided = new Set(undecidedComparisons(settings));
  const m: number[][] = [];
  for (const [c, comparison] of settings.comparisons.entries()) {
    const counts = new Float64Array(comparison.levels.length);
    const decided = undecided.has(c) ? await decideLevels(encoder, comparison, left, right) : undefined;
    for (let p = 0; p < left.length; p++) counts[decided ? decided[p]! : levelOf[c]!(left[p]!, right[p]!)]! += 1;
    const present = counts.reduce((sum, count, level) => sum + (comparison.levels[level]!.isNull ? 0 : count), 0);
    m.push(comparison.levels.map(({ isNull }, level) => (isNull || counts[level] === 0 ? Number.NaN : counts[level]! / present)));
  }
  return { pairs: left.length, m };
}

/** Pairs of records that hold the same value of a column. */
async function sharing(
  { data, encoder, pool, pairSource }: Parameters<typeof labelM>[0],
  column: string,
): Promise<{ readonly left: Int32Array; readonly right: Int32Array }> {
  const names = (await encoder.db.describe(encoder.table)).map(({ name }) => name).filter((name) => name !== '__row');
  requireColumns([column], names, { part: 'linkage', code: 'linkage.column', hint: 'labels are a column of the records' });
  const { source, pairs } = await pairSource([{ on: [quote(column)] }]);
  return pool.run({ data, source, job: { kind: 'list' }, pairs });
}
