// How much a language model's answers add to the clinical evidence, fitted on pairs that neither has learned from: the validation split of the
// pair data set. The evidence model at hand has seen those patients, so it is fitted anew without them; the answers are what
// `er llm infer --dataset ... --split validation` wrote.

import { UserError } from '../../../base/errors.ts';
import { type Progress, timed } from '../../../base/progress.ts';
import { strictRules } from '../../../evidence/fusion.ts';
import { scoreClinical } from '../../../evidence/score.ts';
import { fitSecondOpinion, type SecondOpinion } from '../../../evidence/second-opinion.ts';
import { literal } from '../../../sql/duckdb.ts';
import { loadEvidenceData } from '../evidence-data.ts';
import { fitEvidence } from '../evidence-fit.ts';
import { columnsOf } from '../pairs.ts';
import { openSession } from '../session.ts';

export type FitCascadeOptions = {
  /** Run folder that the data set was made of. */
  readonly folder: string;
  /** Predictions with labels and record ids. */
  readonly answers: string;
  readonly seed: number;
  /** Random pairs of two patients that the evidence learns from. */
  readonly otherPairs?: number;
  readonly threads?: number | undefined;
  readonly progress: Progress;
};

/**
 * Fits how the two are joined.
 *
 * @throws UserError `cascade.answers` for a file that is of other records, or has one class only
 */
export async function fitCascade({ folder, answers, seed, otherPairs, threads, progress }: FitCascadeOptions): Promise<SecondOpinion> {
  const pairs = await readAnswers(folder, answers);
  if (new Set(pairs.label).size < 2) {
    throw new UserError(
      'cascade.answers',
      `cascade: answers of one class only: ${answers}; let er llm infer answer a whole validation split`,
    );
  }
  const data = await loadEvidenceData(folder, { threads, progress });
  const held = new Set([...pairs.left, ...pairs.right].map((row) => data.patients[row]!));
  const learns = (record: number) => !held.has(data.patients[record]!);
  const { result: model } = await timed(progress, 'evidence without these patients', () =>
    fitEvidence({ data, seed, learns, rules: strictRules, ...(otherPairs && { otherPairs }) }),
  );
  const first = scoreClinical(model, data.profiles, pairs);
  return fitSecondOpinion({ first, second: pairs.odds, labels: Uint8Array.from(pairs.label) });
}

type Answers = { readonly left: Int32Array; readonly right: Int32Array; readonly label: Int32Array; readonly odds: Float64Array };

async function readAnswers(folder: string, file: string): Promise<Answers> {
  await using session = await openSession(folder);
  const { db } = session;
  await columnsOf(db, file, ['record_id_1', 'record_id_2', 'label', 'logit_0', 'logit_1'], 'cascade');
  const found = await db.columns<Answers>(answersOf(file, ', cast(label as INTEGER) as label'));
  const count = await db.value<number>(`select count(*)::integer from read_parquet(${literal(file)})`);
  if (found.left.length === count) return found;
  throw new UserError(
    'cascade.answers',
    `cascade: answers about other records: ${count - found.left.length} of ${count} in ${file}; name the run folder they are of`,
  );
}

/** SQL: answers by record number, the smaller one left, with the model's log-odds. */
export const answersOf = (file: string, more = ''): string => `
  select least(a.row, b.row) as "left", greatest(a.row, b.row) as "right", logit_1 - logit_0 as odds${more}
  from read_parquet(${literal(file)}) p join records a on a.record_id = p.record_id_1 join records b on b.record_id = p.record_id_2
  order by 1, 2`;
