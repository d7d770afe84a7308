// The cascade: the evidence model answers all candidates, the language model only those where its answer is worth most, and both are joined.
//
//   1. what asking about each pair is worth, in expected decisions (evidence/second-opinion), from its log-odds and the clinical part of them
//   2. pairs of the gray zone in the order of that worth, as many as the budget allows: at most so many, or each worth at least so much
//   3. the questions, answered by `inferPairs` (resumable)
//   4. clinical_log_odds of the asked pairs becomes what both opinions say together; the others keep theirs
//
// The output is a predictions.parquet as `er infer` writes it, so that `er golden-records` goes on from it; `asked` says which were asked.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../../base/errors.ts';
import { writeJson } from '../../../base/files.ts';
import { expectedGain, joinOpinions, type SecondOpinion } from '../../../evidence/second-opinion.ts';
import { type Database, literal } from '../../../sql/duckdb.ts';
import { columnsOf } from '../pairs.ts';

const spread = z.object({ mean: z.number(), deviation: z.number().min(0) });
const opinionFile = z.object({
  ...{ intercept: z.number(), first: z.number(), second: z.number() },
  ...{ match: spread, other: spread, pairs: z.int().min(1) },
});

/** @throws UserError `cascade.fusion` for a file that `er llm fit-cascade` did not write */
export function readSecondOpinion(file: string): SecondOpinion {
  if (!existsSync(file)) throw new UserError('cascade.fusion', `cascade: file not found: ${file}; make it with er llm fit-cascade`);
  try {
    return opinionFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new UserError('cascade.fusion', `cascade: not understood: ${file}; make it with er llm fit-cascade`, { cause });
  }
}

export type Budget = {
  /** Most pairs to ask about. */
  readonly maxPairs: number;
  /** Decisions that asking about a pair must put right, in expectation. */
  readonly minGain: number;
};

export type Chosen = {
  readonly pairs: number;
  /** Of the gray zone: what could have been asked. */
  readonly candidates: number;
  /** Decisions that all the answers together should put right. */
  readonly expectedGain: number;
};

/**
 * Writes the questions worth asking, most worth first, as a file of pairs with texts.
 *
 * @param options.resolved folder with gray_zone_pairs.parquet
 * @param options.inferred folder with the evidence model's predictions.parquet
 */
export async function chooseQuestions(
  db: Database,
  {
    resolved,
    inferred,
    opinion,
    budget,
    out,
  }: {
    readonly resolved: string;
    readonly inferred: string;
    readonly opinion: SecondOpinion;
    readonly budget: Budget;
    readonly out: string;
  },
): Promise<Chosen> {
  const gray = join(resolved, 'gray_zone_pairs.parquet');
  const predictions = join(inferred, 'predictions.parquet');
  await columnsOf(db, gray, ['record_id_1', 'record_id_2', 'text'], 'cascade');
  await columnsOf(db, predictions, ['record_id_1', 'record_id_2', 'clinical_log_odds', 'log_odds'], 'cascade');
  const { place, total, e } = await db.columns<{ place: Int32Array; total: Float64Array; e: Float64Array }>(`
    select cast(g.file_row_number as INTEGER) as place, p.log_odds as total, p.clinical_log_odds as e
    from read_parquet(${literal(gray)}, file_row_number = true) g join read_parquet(${literal(predictions)}) p using (record_id_1, record_id_2)
    order by place`);
  const gains = total.map((value, i) => expectedGain(opinion, { total: value, e: e[i]! }));
  const order = [...gains.keys()].sort((a, b) => gains[b]! - gains[a]! || place[a]! - place[b]!);
  const chosen = order.slice(0, budget.maxPairs).filter((i) => gains[i]! > 1e-9 && gains[i]! >= budget.minGain);
  await db.createTable('chosen', {
    place: { type: 'INTEGER', values: Int32Array.from(chosen, (i) => place[i]!) },
    turn: { type: 'INTEGER', values: Int32Array.from(chosen.keys()) },
    expected_gain: { type: 'DOUBLE', values: Float64Array.from(chosen, (i) => gains[i]!) },
  });
  await db.writeParquet(
    `select record_id_1, record_id_2, expected_gain, text
     from read_parquet(${literal(gray)}, file_row_number = true) g join chosen on chosen.place = g.file_row_number order by turn`,
    out,
    { groupRows: 4096 },
  );
  await db.run('drop table chosen');
  return { pairs: chosen.length, candidates: place.length, expectedGain: chosen.reduce((sum, i) => sum + gains[i]!, 0) };
}

/**
 * Writes the evidence model's predictions with the answers joined in.
 *
 * @param options.answers what `inferPairs` wrote about the chosen questions
 * @param options.first takes only so many of the answers, most worth first; all by default
 */
export async function joinAnswers(
  db: Database,
  {
    inferred,
    answers,
    opinion,
    out,
    first,
  }: {
    readonly inferred: string;
    readonly answers: string;
    readonly opinion: SecondOpinion;
    readonly out: string;
    readonly first?: number;
  },
): Promise<void> {
  const predictions = `read_parquet(${literal(join(inferred, 'predictions.parquet'))}, file_row_number = true)`;
  const some = first === undefined ? '' : `where a.file_row_number < ${first}`;
  const asked = await db.columns<{ place: Int32Array; e: Float64Array; l: Float64Array }>(`
    select cast(p.file_row_number as INTEGER) as place, p.clinical_log_odds as e, a.logit_1 - a.logit_0 as l
    from ${predictions} p join read_parquet(${literal(answers)}, file_row_number = true) a using (record_id_1, record_id_2) ${some} order by place`);
  await db.createTable('joined', {
    place: { type: 'INTEGER', values: asked.place },
    answer_log_odds: { type: 'DOUBLE', values: asked.l },
    joined_value: { type: 'DOUBLE', values: asked.l.map((l, i) => joinOpinions(opinion, asked.e[i]!, l)) },
  });
  await db.writeParquet(
    `with fused as (
       select p.* exclude (file_row_number), joined_value is not null as asked, clinical_log_odds as evidence_log_odds, answer_log_odds,
         coalesce(joined_value, clinical_log_odds) as fused_value
       from ${predictions} p left join joined on joined.place = p.file_row_number order by p.file_row_number)
     select * exclude (fused_value) replace (fused_value as clinical_log_odds, fused_value + demographic_log_odds as log_odds,
       cast(fused_value >= 0 as INTEGER) as prediction, 1 / (1 + exp(-abs(fused_value))) as confidence)
     from fused`,
    join(out, 'predictions.parquet'),
  );
  await db.run('drop table joined');
}

/** What was asked and what it should bring, beside the predictions. */
export function writeCascade(
  out: string,
  {
    chosen,
    opinion,
    budget,
    answering,
  }: { readonly chosen: Chosen; readonly opinion: SecondOpinion; readonly budget: Budget; readonly answering: unknown },
): Promise<void> {
  const share = chosen.pairs / Math.max(1, chosen.candidates);
  return writeJson(join(out, 'inference_metrics.json'), {
    ...{ asked_pairs: chosen.pairs, gray_zone_pairs: chosen.candidates, asked_share: share, expected_gain: chosen.expectedGain },
    ...{ max_pairs: Number.isFinite(budget.maxPairs) ? budget.maxPairs : null, min_gain: budget.minGain, fusion: opinion, answering },
  });
}
