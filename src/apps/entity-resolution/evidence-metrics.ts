import { fingerprint, hashText } from '../../base/content-hash.ts';
import type { TrainingFigures } from './evidence-measure.ts';

/**
 * The held-out figures as the promotion gate reads them: `eval_f1` is that of clusters by both evidences, which is what the product gives.
 *
 * `dataset` names what they were measured on: the run folder's content and the seed, which decides who was held out. Models trained on
 * another population or split are measured on other patients, and the gate will not compare them.
 */
export async function evidenceMetrics(
  folder: string,
  { seed, heldOut }: TrainingFigures,
): Promise<Readonly<Record<string, number | string>>> {
  const { fused, demographics, balanced, hardNegatives } = heldOut;
  return {
    eval_f1: fused.clustered.f1,
    eval_precision: fused.clustered.precision,
    eval_recall: fused.clustered.recall,
    eval_pairs_f1: fused.pairs.f1,
    eval_demographics_f1: demographics.clustered.f1,
    eval_clinical_balanced_f1: balanced.f1,
    eval_clinical_hard_negatives_f1: hardNegatives.f1,
    eval_split_patients: fused.splitPatients,
    eval_impure_clusters: fused.impureClusters,
    eval_calibration_error: fused.calibration.error,
    eval_patients: heldOut.patients,
    dataset: hashText(JSON.stringify({ folder: await fingerprint(folder), seed })),
  };
}
