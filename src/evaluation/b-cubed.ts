// B-cubed precision, recall and F of one partition of records against another.
//
// Idea: every record asks two questions. Of the records I was put with, which share are truly mine (precision)? Of the
// records that are truly mine, which share was I put with (recall)? B-cubed averages the answers over records, so a
// patient with many records counts once per record, not once per pair as pairwise F does.
//
//   P = 1/N sum_r |C(r) ∩ T(r)| / |C(r)|      R = 1/N sum_r |C(r) ∩ T(r)| / |T(r)|      F = 2PR / (P + R)
//
// Worked case: truth {a b c} {d}, predicted {a b} {c d}: P = (1 + 1 + 1/2 + 1/2)/4 = 3/4, R = (2/3 + 2/3 + 1/3 + 1)/4 = 2/3.
// Time and memory O(N): only cells of the overlap table that hold a record exist.
// Source: Bagga and Baldwin, "Entity-based cross-document coreferencing using the vector space model", 1998.

import { f1Score } from '../base/statistics.ts';
import { overlapTable } from './overlap.ts';

export type BCubed = { readonly precision: number; readonly recall: number; readonly f1: number };

/**
 * Scores predicted clusters against true ones, record by record.
 *
 * @param predicted cluster label of each record, any hashable labels
 * @param truth true label of each record, in the same order
 * @returns shares between 0 and 1; all 1 for no records at all
 * @throws UserError `evaluation.length` when the two differ in length
 * @example bCubed(['x', 'x', 'y', 'y'], [1, 1, 1, 2]) // { precision: 0.75, recall: 0.667, f1: 0.706 }
 */
export function bCubed(predicted: ArrayLike<unknown>, truth: ArrayLike<unknown>): BCubed {
  const { count, cells, clusterSizes, labelSizes } = overlapTable(predicted, truth);
  if (count === 0) return { precision: 1, recall: 1, f1: 1 };
  let precision = 0;
  let recall = 0;
  for (const { cluster, label, size } of cells) {
    // The `size` records of a cell share their answer, so the cell adds it `size` times: size * (size / whole).
    precision += size ** 2 / clusterSizes.get(cluster)!;
    recall += size ** 2 / labelSizes.get(label)!;
  }
  precision /= count;
  recall /= count;
  return { precision, recall, f1: f1Score(precision, recall) };
}
