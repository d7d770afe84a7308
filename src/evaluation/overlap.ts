// The overlap table of two partitions of the same records: how many records each (cluster, true label) cell holds.
// Every comparison of clusters with truth (pairs, B-cubed, purity...) is a sum over these cells; only cells that hold a record
// exist, so time and memory are O(records), never O(pairs).
// Worked case: clusters x x y y, truth 1 1 1 2: cells (x,1) 2, (y,1) 1, (y,2) 1.

import { UserError } from '../base/errors.ts';

export type Cell = { readonly cluster: unknown; readonly label: unknown; readonly size: number };

export type Overlap = {
  /** Number of records. */
  readonly count: number;
  readonly cells: readonly Cell[];
  readonly clusterSizes: ReadonlyMap<unknown, number>;
  readonly labelSizes: ReadonlyMap<unknown, number>;
};

/**
 * Counts cells, clusters and labels in one pass.
 *
 * @throws UserError `evaluation.length` when the two differ in length
 */
export function overlapTable(predicted: ArrayLike<unknown>, truth: ArrayLike<unknown>): Overlap {
  checkLengths(predicted.length, truth.length);
  const rows = new Map<unknown, Map<unknown, { cluster: unknown; label: unknown; size: number }>>();
  const clusterSizes = new Map<unknown, number>();
  const labelSizes = new Map<unknown, number>();
  for (let i = 0; i < predicted.length; i++) {
    const [cluster, label] = [predicted[i], truth[i]];
    let row = rows.get(cluster);
    if (!row) rows.set(cluster, (row = new Map()));
    const cell = row.get(label);
    if (cell) cell.size += 1;
    else row.set(label, { cluster, label, size: 1 });
    clusterSizes.set(cluster, (clusterSizes.get(cluster) ?? 0) + 1);
    labelSizes.set(label, (labelSizes.get(label) ?? 0) + 1);
  }
  return { count: predicted.length, cells: [...rows.values()].flatMap((row) => [...row.values()]), clusterSizes, labelSizes };
}

/** Refuses predictions and truth of different length. */
export function checkLengths(predicted: number, truth: number): void {
  if (predicted !== truth) {
    throw new UserError('evaluation.length', `evaluation: lengths differ: ${predicted} predicted, ${truth} true; score the same records`);
  }
}
