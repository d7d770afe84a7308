// What a clinician feels: patients whose chart is split over several golden records, and golden records that mix people.
//
//   purity                = records in clusters that hold one patient / all records
//   completeness          = patients whose records all lie in one cluster / patients (a single record is always complete)
//   perfect resolution    = patients with 2+ records that are complete and alone in their cluster / patients with 2+ records
//   exact clusters        = clusters that equal a patient's set of records, over clusters (precision) or over patients (recall)
//
// Worked case: clusters {a b} {c d}, truth {a b c} {d}: purity 2/4, impure 1, completeness 1/2 (d), split 1, perfect 0/1, exact 0.
// O(records), from the overlap table.

import { f1Score } from '../base/statistics.ts';
import { overlapTable } from './overlap.ts';

export type ClusterMetrics = {
  readonly clusters: number;
  readonly patients: number;
  readonly purity: number;
  /** Clusters holding two or more patients. */
  readonly impureClusters: number;
  readonly completeness: number;
  /** Patients whose records lie in two or more clusters. */
  readonly splitPatients: number;
  /** 0 when no patient has two records. */
  readonly perfectResolutionRate: number;
  /** Whole clusters that are exactly one patient. */
  readonly exact: { readonly precision: number; readonly recall: number; readonly f1: number };
};

/** Scores clusters against patients. Full precision; the file's 4 decimals are made by `evaluationMetrics`. */
export function clusterMetrics(predicted: ArrayLike<unknown>, truth: ArrayLike<unknown>): ClusterMetrics {
  const { count, cells, clusterSizes, labelSizes } = overlapTable(predicted, truth);
  const labelsIn = new Map<unknown, number>();
  const clustersOf = new Map<unknown, number>();
  for (const { cluster, label } of cells) {
    labelsIn.set(cluster, (labelsIn.get(cluster) ?? 0) + 1);
    clustersOf.set(label, (clustersOf.get(label) ?? 0) + 1);
  }
  let pureRecords = 0;
  let exact = 0;
  let perfect = 0;
  for (const { cluster, label, size } of cells) {
    if (labelsIn.get(cluster) !== 1) continue;
    pureRecords += size;
    if (clustersOf.get(label) !== 1) continue;
    exact += 1;
    if (size > 1) perfect += 1;
  }
  const impureClusters = [...labelsIn.values()].filter((labels) => labels > 1).length;
  const splitPatients = [...clustersOf.values()].filter((clusters) => clusters > 1).length;
  const linkable = [...labelSizes.values()].filter((size) => size > 1).length;
  const patients = labelSizes.size;
  const [precision, recall] = [share(exact, clusterSizes.size, 1), share(exact, patients, 1)];
  return {
    clusters: clusterSizes.size,
    patients,
    purity: share(pureRecords, count, 1),
    impureClusters,
    completeness: share(patients - splitPatients, patients, 1),
    splitPatients,
    perfectResolutionRate: share(perfect, linkable, 0),
    exact: { precision, recall, f1: f1Score(precision, recall) },
  };
}

function share(part: number, whole: number, ofNothing: number): number {
  return whole === 0 ? ofNothing : part / whole;
}
