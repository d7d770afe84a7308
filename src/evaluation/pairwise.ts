// Pairwise precision, recall and F1: of the record pairs called one patient, which share is right; of the true pairs, which
// share was found.
//
// Two views of one result. Edges: the links that were accepted, as they stand. Closure: all pairs inside a cluster, which is
// what a reader of the golden records gets; one wrong link between clusters of 3 and 4 records is 1 wrong edge but 12 wrong pairs.
//
//   closure: TP = sum over overlap cells C(n, 2)    TP + FP = sum over clusters C(n, 2)    TP + FN = sum over patients C(n, 2)
//
// Worked case: clusters x x y y, truth 1 1 1 2: TP 1, predicted pairs 2, true pairs 3: P 1/2, R 1/3, F 0.4.
// O(records) for the closure (no pair is ever listed), O(edges log edges) for edges.

import { f1Score } from '../base/statistics.ts';
import { overlapTable } from './overlap.ts';

export type Pairwise = {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  /** Shares from 0 to 1; 0 where the denominator is 0. */
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
};

/** Precision, recall and F1 from the three counts. */
export function pairwiseFromCounts(counts: {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
}): Pairwise {
  const { truePositives, falsePositives, falseNegatives } = counts;
  const precision = truePositives + falsePositives === 0 ? 0 : truePositives / (truePositives + falsePositives);
  const recall = truePositives + falseNegatives === 0 ? 0 : truePositives / (truePositives + falseNegatives);
  return { truePositives, falsePositives, falseNegatives, precision, recall, f1: f1Score(precision, recall) };
}

/**
 * Scores clusters by all the pairs they imply.
 *
 * @param predicted cluster of each record
 * @param truth true patient of each record, in the same order
 * @example pairwiseFromClusters(['x', 'x', 'y', 'y'], [1, 1, 1, 2]) // { truePositives: 1, precision: 0.5, recall: 0.333, f1: 0.4, ... }
 */
export function pairwiseFromClusters(predicted: ArrayLike<unknown>, truth: ArrayLike<unknown>): Pairwise {
  const { cells, clusterSizes, labelSizes } = overlapTable(predicted, truth);
  const truePositives = sumPairs(cells.map((cell) => cell.size));
  return pairwiseFromCounts({
    truePositives,
    falsePositives: sumPairs(clusterSizes.values()) - truePositives,
    falseNegatives: sumPairs(labelSizes.values()) - truePositives,
  });
}

/**
 * Scores accepted links as they stand, without their closure. A link given twice, or turned round, counts once.
 *
 * @param options.truth true patient of each record; links hold record numbers
 */
export function pairwiseFromEdges({
  left,
  right,
  truth,
}: {
  readonly left: ArrayLike<number>;
  readonly right: ArrayLike<number>;
  readonly truth: ArrayLike<unknown>;
}): Pairwise {
  const keys = new Float64Array(left.length);
  for (let k = 0; k < keys.length; k++) keys[k] = Math.min(left[k]!, right[k]!) * truth.length + Math.max(left[k]!, right[k]!);
  keys.sort();
  let links = 0;
  let truePositives = 0;
  keys.forEach((key, k) => {
    if (k > 0 && key === keys[k - 1]) return;
    links += 1;
    if (truth[Math.floor(key / truth.length)] === truth[key % truth.length]) truePositives += 1;
  });
  return pairwiseFromCounts({ truePositives, falsePositives: links - truePositives, falseNegatives: truePairCount(truth) - truePositives });
}

/** Number of record pairs that belong to one patient. */
export function truePairCount(truth: ArrayLike<unknown>): number {
  const sizes = new Map<unknown, number>();
  for (let i = 0; i < truth.length; i++) sizes.set(truth[i], (sizes.get(truth[i]) ?? 0) + 1);
  return sumPairs(sizes.values());
}

function sumPairs(sizes: Iterable<number>): number {
  let sum = 0;
  for (const size of sizes) sum += (size * (size - 1)) / 2;
  return sum;
}
