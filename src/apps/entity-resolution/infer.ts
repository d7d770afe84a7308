// Gray zone to evidence: what do the two clinical histories say of each candidate pair?

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { writeJson } from '../../base/files.ts';
import { logit, rounded, sigmoid } from '../../base/statistics.ts';
import { type EvidenceModel, readEvidenceModel } from '../../evidence/model-file.ts';
import { buildProfiles } from '../../evidence/profile.ts';
import { clinicalScorer } from '../../evidence/score.ts';
import type { ScoredPairs } from './pairs.ts';
import type { Session } from './session.ts';
import type { Parameters } from './settings.ts';

export type InferenceMetrics = {
  readonly examples: number;
  readonly elapsed_seconds: number;
  readonly throughput: number;
  /** What is done once per record, whatever the number of pairs. */
  readonly profile_seconds: number;
  readonly batch_size: number;
};

/** Pairs scored between two turns of the event loop: about a tenth of a second. */
const portion = 8192;

/** The evidence model that comes with the package, or the one at a path. */
export function loadEvidenceModel(model: string): EvidenceModel {
  const bundled = join(import.meta.dirname, '..', '..', '..', 'models', 'evidence.json');
  return readEvidenceModel(model === 'evidence' && !existsSync('evidence') ? bundled : model);
}

/**
 * Weighs the clinical histories of every candidate pair and writes `predictions.parquet` and `inference_metrics.json` into `out`.
 *
 * Candidates outside the gray zone are weighed too: the model is cheap, and an auto-match it contradicts should not stand.
 *
 * @returns the pairs with their clinical log-likelihood ratios (nats)
 */
export async function infer(
  session: Session,
  {
    pairs,
    model,
    parameters,
    out,
  }: { readonly pairs: ScoredPairs; readonly model: EvidenceModel; readonly parameters: Parameters; readonly out: string },
): Promise<{ readonly pairs: ScoredPairs; readonly metrics: InferenceMetrics }> {
  const { db, progress } = session;
  const reading = progress.step('clinical profiles');
  const began = performance.now();
  const score = clinicalScorer(model, await buildProfiles(db));
  const profileSeconds = (performance.now() - began) / 1000;
  reading.finish();

  const count = pairs.left.length;
  const scoring = progress.step('clinical evidence', { total: count, unit: 'pairs' });
  const start = performance.now();
  const clinical = new Float64Array(count);
  for (let from = 0; from < count; from += portion) {
    const until = Math.min(count, from + portion);
    clinical.set(score({ left: pairs.left.subarray(from, until), right: pairs.right.subarray(from, until) }), from);
    scoring.advance(until - from);
    // Lets Ctrl-C and the progress bar have a turn.
    await setImmediate();
  }
  const seconds = (performance.now() - start) / 1000;
  scoring.finish();

  const { auto_match_probability: auto, auto_reject_probability: reject } = parameters.resolve;
  await db.createTable('predictions', {
    left: { type: 'INTEGER', values: pairs.left },
    right: { type: 'INTEGER', values: pairs.right },
    total_score: { type: 'DOUBLE', values: pairs.demographic.map(sigmoid) },
    prediction: { type: 'INTEGER', values: Int32Array.from(clinical, (value) => (value >= 0 ? 1 : 0)) },
    confidence: { type: 'DOUBLE', values: clinical.map((value) => sigmoid(Math.abs(value))) },
    clinical_log_odds: { type: 'DOUBLE', values: clinical },
    demographic_log_odds: { type: 'DOUBLE', values: pairs.demographic },
  });
  await db.writeParquet(
    `
    select a.record_id as record_id_1, b.record_id as record_id_2, total_score, prediction, confidence, clinical_log_odds, demographic_log_odds,
      clinical_log_odds + demographic_log_odds as log_odds,
      case when demographic_log_odds >= ${logit(auto)} then 'auto_match' when demographic_log_odds < ${logit(reject)} then 'auto_reject' else 'gray_zone' end as tier
    from predictions p join records a on a.row = p."left" join records b on b.row = p."right" order by p."left", p."right"`,
    join(out, 'predictions.parquet'),
  );
  await db.run('drop table predictions');
  const metrics = {
    examples: count,
    elapsed_seconds: rounded(seconds, 2),
    throughput: rounded(count / Math.max(seconds, 1e-6), 2),
    profile_seconds: rounded(profileSeconds, 2),
    batch_size: count,
  };
  await writeJson(join(out, 'inference_metrics.json'), metrics);
  return { pairs: { ...pairs, clinical }, metrics };
}
