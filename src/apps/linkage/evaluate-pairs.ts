// A file of scored pairs against labels, at every match weight it could be cut at.
//
//   precision = true pairs at or above the weight / all pairs there     recall = the same true pairs / all true pairs of the labels
//
// A true pair that is not in the file, because no blocking rule made it or its weight was below what was written, is missed at every weight.
// Worked case: persons {1 2 3}, pairs 1-2 at 5, 1-4 at 3: at 5 precision 1, recall 1/3; at 3 precision 1/2, recall 1/3. 1-3 and 2-3 are missed.
// Cost: one sort of the pairs; each row of the table is a search in it.

import { UserError } from '../../base/errors.ts';
import { pairwiseFromCounts, truePairCount } from '../../evaluation/pairwise.ts';
import {
  averagePrecision,
  bestThreshold,
  countsAtThreshold,
  precisionRecallCurve,
  type ThresholdScore,
} from '../../evaluation/thresholds.ts';
import { recordName } from '../../linkage/encode.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, quote, readingFile } from '../../sql/duckdb.ts';
import { peopleTable } from './records.ts';

export type PairsInput = {
  /** Pairs as `dedupe`, `predict` or Splink write them. */
  readonly pairsFile: string;
  readonly labels: string;
  /** Id column without its `_l` or `_r`, and the source column where ids repeat from source to source. */
  readonly id: string;
  readonly source?: string | undefined;
  /** Two records of one source are no pair to be found. */
  readonly linkOnly?: boolean | undefined;
  /** Distance of the table's match weights; whole ones, about 30 at most, by default. */
  readonly weightStep?: number | undefined;
};

/** What accepting the pairs from a match weight up would give. */
export type WeightRow = ReturnType<typeof pairwiseFromCounts> & { readonly matchWeight: number; readonly matchProbability: number };

export type PairsEvaluation = {
  /** Pairs of the file whose records both have a label. */
  readonly pairs: number;
  /** Pairs that the labels say are one person's, and those of them that are not in the file. */
  readonly truePairs: number;
  readonly missed: number;
  readonly averagePrecision: number;
  /** The weight with the highest F1: it has seen the labels. Absent where the file has no pair with labels. */
  readonly best?: ThresholdScore;
  readonly table: readonly WeightRow[];
};

/**
 * Scores the table `pairs`, loaded from a file, against the labels of the loaded records.
 *
 * @throws UserError `evaluation.column`, `evaluation.ids`, `evaluation.labels`
 */
export async function evaluatePairs(
  db: Database,
  { pairsFile, labels, id, source, linkOnly, weightStep }: PairsInput,
): Promise<PairsEvaluation> {
  const keys = [...(source ? [source] : []), id];
  const part = { part: 'evaluate', code: 'evaluation.column' };
  const names = async (table: string) => (await db.describe(table)).map(({ name }) => name);
  const sided = keys.flatMap((key) => [`${key}_l`, `${key}_r`]);
  requireColumns(['match_weight', ...sided], await names('pairs'), {
    ...part,
    file: pairsFile,
    hint: '--id names the id column without _l',
  });
  requireColumns([labels, ...keys], await names(peopleTable), part);
  const name = (side = '') => `cast(${recordName(id + side, source && source + side)} as varchar)`;
  await db.run(
    `create or replace table named as select row_number() over () - 1 as row, ${name()} as name,
       cast(${quote(labels)} as varchar) as label, ${linkOnly ? quote(source!) : 'null'} as origin from ${peopleTable}`,
  );
  const repeated = await db.value<number>('select count(*) - count(distinct name) from named');
  if (repeated > 0) {
    throw new UserError(
      'evaluation.ids',
      `evaluate: ids not unique: ${keys.join(' + ')}: ${repeated} rows repeat another's; name --source`,
    );
  }
  await readingFile(pairsFile, () =>
    db.run(
      `create or replace table sided as select cast(match_weight as double) as weight, ${name('_l')} as l, ${name('_r')} as r from pairs`,
    ),
  );
  const unweighed = await db.value<number>('select count(*) from sided where weight is null or isnan(weight)');
  if (unweighed > 0)
    throw new UserError('evaluation.weights', `evaluate: pairs without a match weight: ${unweighed} in ${pairsFile}; score them first`);
  const strangers = await db.value<number>(
    'select count(*) from (select l as name from sided union all select r from sided) anti join named using (name)',
  );
  if (strangers > 0) {
    throw new UserError(
      'evaluation.ids',
      `evaluate: ids in the pairs that no record has: ${keys.join(' + ')}: ${strangers}; name their records`,
    );
  }
  // A pair given twice, or turned round, counts once.
  const { weight, same } = await db.columns<{ weight: Float64Array; same: Uint8Array }>(
    `select max(weight) as weight, any_value(l.label = r.label)::utinyint as same
     from sided join named l on l.name = sided.l join named r on r.name = sided.r
     where l.label is not null and r.label is not null and l.row <> r.row ${linkOnly ? 'and l.origin <> r.origin' : ''}
     group by least(l.row, r.row), greatest(l.row, r.row) order by weight desc`,
  );
  const people = await db.columns<{ label: string[]; origin: (string | null)[] }>(
    'select label, cast(origin as varchar) as origin from named where label is not null',
  );
  if (!people.label?.length) throw new UserError('evaluation.labels', `evaluate: no record has a label: ${labels}; name another column`);
  const within = linkOnly ? truePairCount(people.label.map((label, row) => JSON.stringify([people.origin[row], label]))) : 0;
  const truePairs = truePairCount(people.label) - within;
  const [scores, isTrue] = [weight ?? new Float64Array(), same ?? new Uint8Array()];
  const curve = precisionRecallCurve({ scores, isTrue, totalTrue: truePairs });
  const best = bestThreshold(curve);
  const table = weightGrid(scores, weightStep).map((matchWeight) => {
    const { hits, accepted } = countsAtThreshold(curve, matchWeight);
    const counts = { truePositives: hits, falsePositives: accepted - hits, falseNegatives: truePairs - hits };
    return { matchWeight, matchProbability: 1 / (1 + 2 ** -matchWeight), ...pairwiseFromCounts(counts) };
  });
  const missed = truePairs - isTrue.reduce((sum, one) => sum + one, 0);
  return {
    pairs: scores.length,
    truePairs,
    missed,
    averagePrecision: averagePrecision({ scores, isTrue, totalTrue: truePairs }),
    ...(best ? { best } : {}),
    table,
  };
}

/** Match weights from the lowest to the highest of the pairs. */
function weightGrid(descending: Float64Array, wanted?: number): number[] {
  const finite = descending.filter(Number.isFinite);
  if (finite.length === 0) return [];
  const [low, high] = [Math.floor(finite.at(-1)!), Math.floor(finite[0]!)];
  const step = wanted ?? [1, 2, 5, 10, 20, 50].find((width) => (high - low) / width < 30) ?? 100;
  const first = Math.floor(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, n) => first + n * step);
}
