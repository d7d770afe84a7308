import { rounded } from '../base/statistics.ts';
import { bCubed } from './b-cubed.ts';
import { clusterMetrics } from './clusters.ts';
import { pairwiseFromClusters, pairwiseFromEdges } from './pairwise.ts';

/** What evaluation_metrics.json holds: the reference's keys (numbers as numbers), then ours. */
export type EvaluationMetrics = ReturnType<typeof evaluationMetrics>;

export type EvaluationInput = {
  /** Cluster of each record. */
  readonly predicted: ArrayLike<number>;
  /** True patient of each record; null where nobody knows. Records without truth are left out of every score. */
  readonly truth: ArrayLike<string | number | null>;
  /** Links that were accepted, by record number. */
  readonly edges: { readonly left: ArrayLike<number>; readonly right: ArrayLike<number> };
  readonly autoMatchCount: number;
  /** Links the second model (clinical evidence or LLM) added. */
  readonly modelMatchCount: number;
};

/** The object of evaluation_metrics.json: scores of the accepted edges, of clusters (4 decimals), then of the closure in full precision. */
export function evaluationMetrics({ predicted, truth, edges, autoMatchCount, modelMatchCount }: EvaluationInput) {
  const known = keepLabelled({ predicted, truth, edges });
  const pairs = pairwiseFromEdges({ ...known.edges, truth: known.truth });
  const clusters = clusterMetrics(known.predicted, known.truth);
  const sizes = new Map<number, number>();
  for (let i = 0; i < predicted.length; i++) sizes.set(predicted[i]!, (sizes.get(predicted[i]!) ?? 0) + 1);
  return {
    true_positives: pairs.truePositives,
    false_positives: pairs.falsePositives,
    false_negatives: pairs.falseNegatives,
    precision: pairs.precision,
    recall: pairs.recall,
    f1_score: pairs.f1,
    predicted_pairs: pairs.truePositives + pairs.falsePositives,
    true_pairs: pairs.truePositives + pairs.falseNegatives,
    num_golden_records: sizes.size,
    num_true_patients: clusters.patients,
    count_accuracy: sizes.size === clusters.patients,
    count_difference: sizes.size - clusters.patients,
    avg_records_per_patient: sizes.size === 0 ? 0 : predicted.length / sizes.size,
    max_records_per_patient: [...sizes.values()].reduce((most, size) => Math.max(most, size), 0),
    n_clusters: clusters.clusters,
    purity: rounded(clusters.purity, 4),
    impure_clusters: clusters.impureClusters,
    completeness: rounded(clusters.completeness, 4),
    split_patients: clusters.splitPatients,
    perfect_resolution_rate: rounded(clusters.perfectResolutionRate, 4),
    auto_match_count: autoMatchCount,
    llm_match_count: modelMatchCount,
    total_match_count: edges.left.length,
    labelled_records: known.truth.length,
    pairwise: pairwiseFromClusters(known.predicted, known.truth),
    b_cubed: bCubed(known.predicted, known.truth),
    exact_clusters: clusters.exact,
  };
}

/** Drops records without truth, and links that touch one. */
function keepLabelled({ predicted, truth, edges }: Pick<EvaluationInput, 'predicted' | 'truth' | 'edges'>) {
  const place = new Int32Array(truth.length).fill(-1);
  const kept: number[] = [];
  for (let i = 0; i < truth.length; i++) if (truth[i] !== null) place[i] = kept.push(i) - 1;
  const left: number[] = [];
  const right: number[] = [];
  for (let k = 0; k < edges.left.length; k++) {
    const [a, b] = [place[edges.left[k]!]!, place[edges.right[k]!]!];
    if (a < 0 || b < 0) continue;
    left.push(a);
    right.push(b);
  }
  return { predicted: kept.map((i) => predicted[i]!), truth: kept.map((i) => truth[i]!), edges: { left, right } };
}
