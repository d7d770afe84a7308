// Records to candidate pairs: which pairs are worth a look, how much do demographics say, and which are settled by them alone?

import { join } from 'node:path';

import { writeJson } from '../../base/files.ts';
import { logit, rounded, sigmoid } from '../../base/statistics.ts';
import { truePairCount } from '../../evaluation/pairwise.ts';
import { bestGridThreshold, precisionRecallCurve, scoreAtThreshold } from '../../evaluation/thresholds.ts';
import { buildDemographics } from '../../evidence/demographics.ts';
import { matchWeightLogOdds } from '../../evidence/fusion.ts';
import type { EvidenceModel } from '../../evidence/model-file.ts';
import { scoreDemographics } from '../../evidence/score.ts';
import type { Candidates } from '../../linkage/candidates.ts';
import { clinicalRecordSettings, clinicalRecordTraining } from '../../linkage/presets.ts';
import { createSummaries, pairPromptSql } from '../../records/summary.ts';
import { loadTruth, truthLabels } from '../../records/truth.ts';
import { blockingRecall } from './blocking-recall.ts';
import type { ScoredPairs } from './pairs.ts';
import type { Session } from './session.ts';
import type { Parameters } from './settings.ts';
import { trainedLinker } from './trained-linker.ts';

/** Files `resolve` writes. */
export const resolvedFiles = ['auto_matches.parquet', 'gray_zone_pairs.parquet', 'features.parquet', 'resolve_metrics.json'];

export type ResolveMetrics = Readonly<Record<string, number>>;

/**
 * Finds candidate pairs and writes `features.parquet`, `auto_matches.parquet`, `gray_zone_pairs.parquet` (with both clinical summaries
 * as text) and `resolve_metrics.json` into `out`.
 *
 * @param options.model needed when `parameters.resolve.demographics` is `learned`
 */
export async function resolve(
  session: Session,
  { parameters, model, out }: { readonly parameters: Parameters; readonly model: EvidenceModel; readonly out: string },
): Promise<{ readonly pairs: ScoredPairs; readonly metrics: ResolveMetrics }> {
  const { db, recordCount } = session;
  const { predict_threshold: threshold, demographics } = parameters.resolve;
  await using linker = await trainedLinker(session, clinicalRecordSettings, clinicalRecordTraining);
  const candidates = await linker.predict({ threshold });
  const pairs = { left: candidates.left, right: candidates.right };
  const demographic =
    demographics === 'em' ? candidates.matchWeight.map(matchWeightLogOdds) : scoreDemographics(model, await buildDemographics(db), pairs);

  await linker.writePairs(candidates, join(out, 'features.parquet'), {
    idNames: ['record_id_1', 'record_id_2'],
    extra: {
      demographic_log_odds: demographic,
      total_score: demographic.map(sigmoid),
    },
  });
  const tiers = await writeTiers(session, { ...pairs, demographic }, parameters, out);
  const scored = (await loadTruth(db, session.folder)) ? await scoreLinkage(session, candidates, parameters) : {};
  const metrics: ResolveMetrics = {
    num_records: recordCount,
    num_facilities: session.folder.facilities.length,
    candidate_pairs: candidates.count,
    ...tiers,
    auto_match_probability: parameters.resolve.auto_match_probability,
    auto_reject_probability: parameters.resolve.auto_reject_probability,
    ...scored,
  };
  await writeJson(join(out, 'resolve_metrics.json'), metrics);
  return { pairs: { ...pairs, demographic }, metrics };
}

/** Pairs settled by demographics alone, and the gray zone with both histories as text for a classifier that reads. */
async function writeTiers(
  { db, progress }: Session,
  { left, right, demographic }: ScoredPairs,
  { resolve: limits }: Parameters,
  out: string,
) {
  const [auto, reject] = [logit(limits.auto_match_probability), logit(limits.auto_reject_probability)];
  const tier = Int32Array.from(demographic, (value) => (value >= auto ? 2 : value >= reject ? 1 : 0));
  const counts = [0, 0, 0];
  for (const value of tier) counts[value]! += 1;
  await db.createTable('tiers', {
    left: { type: 'INTEGER', values: left },
    right: { type: 'INTEGER', values: right },
    total_score: { type: 'DOUBLE', values: demographic.map(sigmoid) },
    tier: { type: 'INTEGER', values: tier },
  });
  const from = 'from tiers join records a on a.row = "left" join records b on b.row = "right"';
  const ids = 'a.record_id as record_id_1, b.record_id as record_id_2, total_score';
  await db.writeParquet(`select ${ids} ${from} where tier = 2 order by "left", "right"`, join(out, 'auto_matches.parquet'));

  const writing = progress.step('clinical summaries');
  await createSummaries(db);
  // Small row groups: a group of pairs holds both texts of each, and is built in memory.
  await db.writeParquet(
    `
    select ${ids}, ${pairPromptSql('sa.summary', 'sb.summary')} as text
    from (select * from tiers where tier = 1) t join records a on a.row = "left" join records b on b.row = "right"
      join summaries sa on sa.row = "left" join summaries sb on sb.row = "right" order by "left", "right"`,
    join(out, 'gray_zone_pairs.parquet'),
    { groupRows: 4096 },
  );
  await db.run('drop table tiers; drop table summaries');
  writing.finish();
  return { auto_match_count: counts[2]!, gray_zone_count: counts[1]!, auto_reject_count: counts[0]! };
}

/** How the linkage's own match probability does, before any labelled model: candidate recall, F1 at P >= auto and at the best threshold. */
async function scoreLinkage({ db }: Session, { left, right, matchWeight }: Candidates, { resolve: limits }: Parameters) {
  const truth = await truthLabels(db);
  const known = truth.map((label, row) => (label < 0 ? -1 - row : label));
  const isTrue = Uint8Array.from(left, (a, p) => (known[a] === known[right[p]!] ? 1 : 0));
  const scored = { scores: matchWeight.map((weight) => sigmoid(matchWeightLogOdds(weight))), isTrue, totalTrue: truePairCount(known) };
  const auto = scoreAtThreshold(precisionRecallCurve(scored), limits.auto_match_probability);
  const best = bestGridThreshold(scored);
  const found = isTrue.reduce((sum, value) => sum + value, 0);
  return {
    blocking_recall: rounded(await blockingRecall(db, clinicalRecordSettings.blockingRules), 4),
    candidate_recall: rounded(found / Math.max(1, scored.totalTrue), 4),
    splink_only_auto_f1: rounded(auto.f1, 4),
    splink_only_auto_precision: rounded(auto.precision, 4),
    splink_only_auto_recall: rounded(auto.recall, 4),
    splink_only_best_f1: rounded(best.f1, 4),
    splink_only_best_threshold: best.threshold,
  };
}
