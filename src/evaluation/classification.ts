// Scores of a yes/no classifier.
//
//   accuracy = right / all     precision = TP / (TP + FP)     recall = TP / (TP + FN)     F1 = 2PR / (P + R)
//   AUC = chance that a true case scores above a false one (ties half) = (rank sum of true - t(t+1)/2) / (t f)
// Worked case: scores .1 .4 .35 .8, truth 0 0 1 1: ranks of true 2 and 4: (6 - 3)/4 = 0.75.
// O(n) for decisions, O(n log n) for AUC. Source of AUC as rank sum: Hanley and McNeil 1982.

import { f1Score } from '../base/statistics.ts';
import { checkLengths } from './overlap.ts';

export type Classification = {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
  readonly trueNegatives: number;
  /** Shares from 0 to 1; 0 where the denominator is 0. */
  readonly accuracy: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
};

type Flags = ArrayLike<number | boolean>;

/** Counts and shares of decisions (1 or true = yes) against truth. */
export function classificationMetrics(predicted: Flags, truth: Flags): Classification {
  checkLengths(predicted.length, truth.length);
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < predicted.length; i++) counts[2 * Number(predicted[i]!) + Number(truth[i]!)]! += 1;
  const [trueNegatives, falseNegatives, falsePositives, truePositives] = counts as [number, number, number, number];
  const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  const precision = share(truePositives, truePositives + falsePositives);
  const recall = share(truePositives, truePositives + falseNegatives);
  return {
    truePositives,
    falsePositives,
    falseNegatives,
    trueNegatives,
    accuracy: share(truePositives + trueNegatives, predicted.length),
    precision,
    recall,
    f1: f1Score(precision, recall),
  };
}

/** Area under the ROC curve; NaN when all cases are true or all are false. */
export function areaUnderRoc({ scores, isTrue }: { readonly scores: ArrayLike<number>; readonly isTrue: Flags }): number {
  checkLengths(scores.length, isTrue.length);
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  let rankSum = 0;
  let positives = 0;
  for (let from = 0; from < order.length; ) {
    let to = from;
    let hits = 0;
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) hits += Number(isTrue[order[to++]!]!);
    // Tied scores share the mean of the ranks they take up, counted from 1.
    rankSum += hits * ((from + 1 + to) / 2);
    positives += hits;
    from = to;
  }
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * (scores.length - positives));
}
