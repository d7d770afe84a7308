// Scored pairs on their way from stage to stage: in memory as typed arrays by record number, on disk by record id.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { logit } from '../../base/statistics.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, literal, readingFile } from '../../sql/duckdb.ts';

/** Candidate pairs with what the two evidences say of them; arrays of equal length, `left < right`. */
export type ScoredPairs = {
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** ln odds of a match by demographics, prior included. */
  readonly demographic: Float64Array;
  /** ln likelihood ratio of the clinical histories; absent before `infer`. */
  readonly clinical?: Float64Array;
};

/**
 * Columns of a Parquet file that a stage before wrote.
 *
 * @param stage who asks, first in the message
 * @throws UserError `stage.missing`, `stage.column`
 */
export async function columnsOf(db: Database, file: string, wanted: readonly string[], stage: string): Promise<Set<string>> {
  if (!existsSync(file)) throw new UserError('stage.missing', `${stage}: file not found: ${file}; run the stage that writes it first`);
  const names = (await readingFile(file, () => db.describe(literal(file)))).map(({ name }) => name);
  requireColumns(wanted, names, { part: stage, code: 'stage.column', file });
  return new Set(names);
}

/** A table of pairs by record id, as record numbers with the smaller one left. */
const numbered = (file: string, columns: string) => `
  select least(a.row, b.row) as "left", greatest(a.row, b.row) as "right", ${columns}
  from ${literal(file)} p join records a on a.record_id = p.record_id_1 join records b on b.record_id = p.record_id_2
  order by 1, 2`;

/**
 * Reads the candidates that `resolve` wrote. A `features.parquet` of the reference system serves too: its match weight (bits) is the
 * demographic evidence.
 */
export async function readCandidates(db: Database, resolved: string): Promise<ScoredPairs> {
  const file = join(resolved, 'features.parquet');
  const names = await columnsOf(db, file, ['record_id_1', 'record_id_2', 'match_weight'], 'resolved');
  const demographic = names.has('demographic_log_odds') ? 'demographic_log_odds' : `match_weight * ${Math.LN2}`;
  return readingFile(file, () => db.columns(numbered(file, `cast(${demographic} as DOUBLE) as demographic`)));
}

/** Log-odds a classifier's confidence is held within when it does not store its own: four decimals cannot say more. */
const roundedFloor = 1e-4;

/**
 * Adds the clinical evidence of a predictions file. Files with `clinical_log_odds` are taken as they are; those of a classifier that
 * only says `prediction` and `confidence` (trained on balanced pairs) give logit of the probability of a match.
 */
export async function addPredictions(db: Database, pairs: ScoredPairs, inferred: string): Promise<ScoredPairs> {
  const file = join(inferred, 'predictions.parquet');
  const names = await columnsOf(db, file, ['record_id_1', 'record_id_2', 'prediction'], 'inferred');
  const sure = (confidence: string) => `case when prediction = 1 then ${confidence} else 1 - ${confidence} end`;
  const own = names.has('clinical_log_odds');
  const value = own ? 'clinical_log_odds' : names.has('confidence') ? sure('confidence') : sure(String(1 / (1 + Math.exp(-2))));
  type Read = { left: Int32Array; right: Int32Array; value: Float64Array };
  const read = await readingFile(file, () => db.columns<Read>(numbered(file, `cast(${value} as DOUBLE) as value`)));
  const clinical = new Float64Array(pairs.left.length);
  // Both lists are sorted by (left, right): one walk finds each prediction's candidate.
  for (let at = 0, p = 0; p < clinical.length; p++) {
    const before = () => read.left[at]! < pairs.left[p]! || (read.left[at] === pairs.left[p] && read.right[at]! < pairs.right[p]!);
    while (at < read.left.length && before()) at++;
    if (read.left[at] !== pairs.left[p] || read.right[at] !== pairs.right[p]) continue;
    clinical[p] = own ? read.value[at]! : logit(read.value[at]!, roundedFloor);
  }
  return { ...pairs, clinical };
}
