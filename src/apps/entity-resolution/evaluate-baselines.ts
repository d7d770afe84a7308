// What demographics alone give on the same records: the rows the result is compared with.

import { join } from 'node:path';

import { writeJson } from '../../base/files.ts';
import { silent } from '../../base/progress.ts';
import { sigmoid } from '../../base/statistics.ts';
import { type ClusterMetrics, clusterMetrics } from '../../evaluation/clusters.ts';
import type { EvaluationMetrics } from '../../evaluation/evaluation-metrics.ts';
import { type Pairwise, pairwiseFromClusters, pairwiseFromEdges, truePairCount } from '../../evaluation/pairwise.ts';
import { bestGridThreshold } from '../../evaluation/thresholds.ts';
import { connectedComponents } from '../../linkage/cluster.ts';
import { referenceSettings, referenceTraining } from '../../linkage/presets.ts';
import { truthLabels } from '../../records/truth.ts';
import { clusterPairs, writeGoldenOf } from './golden-records.ts';
import type { ScoredPairs } from './pairs.ts';
import type { Session } from './session.ts';
import type { Parameters } from './settings.ts';
import { trainedLinker } from './trained-linker.ts';

type Scenario = {
  readonly threshold?: number;
  readonly pair_metrics: object;
  readonly cluster_metrics: object;
};

export type BaselineComparison = {
  readonly scenarios: Readonly<Record<'auto_match_only' | 'splink_best_f1' | 'demographics_only' | 'clinfuse', Scenario>>;
};

/** Files `evaluate-baselines` writes. */
export const baselineFiles = ['baseline_comparison.json', 'splink_best_f1_golden_records.parquet'];

/**
 * Scores linkage by demographics alone (the reference's comparisons and rules, trained without labels) on the same records, at P >= 0.99
 * and at the threshold that is best in hindsight, and the run's own demographic evidence without the clinical one.
 *
 * @returns nothing to compare where the run folder holds no ground truth
 */
export async function evaluateBaselines(
  session: Session,
  {
    pairs,
    metrics,
    parameters,
    out,
  }: { readonly pairs: ScoredPairs; readonly metrics: EvaluationMetrics; readonly parameters: Parameters; readonly out: string },
): Promise<BaselineComparison> {
  const { db, recordCount, progress } = session;
  const working = progress.step('baselines');
  const truth = await truthLabels(db);
  await using linker = await trainedLinker({ ...session, progress: silent }, referenceSettings, referenceTraining);
  const { left, right, matchWeight } = await linker.predict({ threshold: 1e-4 });
  const probability = matchWeight.map((weight) => sigmoid(weight * Math.LN2));

  const isTrue = Uint8Array.from(left, (a, p) => (truth[a]! >= 0 && truth[a] === truth[right[p]!] ? 1 : 0));
  const best = bestGridThreshold({ scores: probability, isTrue, totalTrue: truePairCount(knownTruth(truth)) });
  const linkedAt = (threshold: number) => {
    const kept = Array.from(left.keys()).filter((p) => probability[p]! >= threshold);
    const edges = { left: kept.map((p) => left[p]!), right: kept.map((p) => right[p]!) };
    return { edges, clusters: connectedComponents(recordCount, edges.left, edges.right) };
  };
  const scenario = (threshold: number, { edges, clusters }: ReturnType<typeof linkedAt>): Scenario => ({
    threshold,
    pair_metrics: pairMetrics(pairwiseFromEdges({ ...edges, truth: knownTruth(truth) })),
    cluster_metrics: clusterRow(clusterMetrics(clusters, truth)),
  });
  const { auto_match_probability: auto } = parameters.resolve;
  const atBest = linkedAt(best.threshold);
  const { clusters: alone } = await clusterPairs(
    session,
    { left: pairs.left, right: pairs.right, demographic: pairs.demographic },
    parameters,
  );
  const { pairwise, n_clusters, purity, impure_clusters, completeness, split_patients, perfect_resolution_rate } = metrics;
  const comparison: BaselineComparison = {
    scenarios: {
      auto_match_only: scenario(auto, linkedAt(auto)),
      splink_best_f1: scenario(best.threshold, atBest),
      demographics_only: {
        pair_metrics: pairMetrics(pairwiseFromClusters(alone, truth)),
        cluster_metrics: clusterRow(clusterMetrics(alone, truth)),
      },
      clinfuse: {
        pair_metrics: pairMetrics(pairwise),
        cluster_metrics: { n_clusters, purity, impure_clusters, completeness, split_patients, perfect_resolution_rate },
      },
    },
  };
  await writeJson(join(out, 'baseline_comparison.json'), comparison);
  const { conflict_resolution: strategy } = parameters.golden_records;
  await writeGoldenOf(db, atBest.clusters, strategy, join(out, 'splink_best_f1_golden_records.parquet'));
  working.finish();
  return comparison;
}

/** Records the truth does not know count as patients of their own. */
function knownTruth(truth: Int32Array): Int32Array {
  return truth.map((label, row) => (label < 0 ? -1 - row : label));
}

function pairMetrics({ truePositives, falsePositives, falseNegatives, precision, recall, f1 }: Pairwise) {
  return {
    true_positives: truePositives,
    false_positives: falsePositives,
    false_negatives: falseNegatives,
    precision,
    recall,
    f1_score: f1,
  };
}

function clusterRow(metrics: ClusterMetrics) {
  return {
    n_clusters: metrics.clusters,
    purity: metrics.purity,
    impure_clusters: metrics.impureClusters,
    completeness: metrics.completeness,
    split_patients: metrics.splitPatients,
    perfect_resolution_rate: metrics.perfectResolutionRate,
  };
}
