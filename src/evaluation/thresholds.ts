// Precision and recall at every threshold a score can be cut at, from one sort.
//
// Sort by score, highest first, and walk down: after each distinct score the pairs so far are "accepted at >= this score".
//   P = hits / accepted     R = hits / all true pairs (also those never scored)     average precision = sum (R_k - R_{k-1}) P_k
// Worked case: scores .9 .8 .8 .3, truth 1 1 0 1, three true pairs: (P, R) = (1, 1/3), (2/3, 2/3), (3/4, 1).
// O(n log n); the grid of 99 thresholds costs one more pass, not 99.

import { f1Score } from '../base/statistics.ts';
import { checkLengths } from './overlap.ts';

export type PrecisionRecallCurve = {
  /** Distinct scores, highest first: accept where score >= threshold. */
  readonly thresholds: Float64Array;
  readonly precision: Float64Array;
  readonly recall: Float64Array;
  readonly f1: Float64Array;
  /** True and all pairs at or above each threshold. */
  readonly hits: Float64Array;
  readonly accepted: Float64Array;
};

export type ThresholdScore = { readonly threshold: number; readonly precision: number; readonly recall: number; readonly f1: number };

export type Scored = {
  readonly scores: ArrayLike<number>;
  /** 1 or true where the pair is one patient. */
  readonly isTrue: ArrayLike<number | boolean>;
  /** All true pairs, also those without a score; by default those among the scored. */
  readonly totalTrue?: number;
};

/** Precision, recall and F1 at every distinct score, highest first. */
export function precisionRecallCurve({ scores, isTrue, totalTrue = countTrue(isTrue) }: Scored): PrecisionRecallCurve {
  checkLengths(scores.length, isTrue.length);
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  const isLast = (rank: number) => rank + 1 === order.length || scores[order[rank + 1]!] !== scores[order[rank]!];
  let count = 0;
  for (let rank = 0; rank < order.length; rank++) count += Number(isLast(rank));
  const [thresholds, hits, accepted] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  for (let rank = 0, at = 0, found = 0; rank < order.length; rank++) {
    found += Number(isTrue[order[rank]!]!);
    if (!isLast(rank)) continue;
    thresholds[at] = scores[order[rank]!]!;
    hits[at] = found;
    accepted[at++] = rank + 1;
  }
  const precision = hits.map((found, at) => found / accepted[at]!);
  const recall = hits.map((found) => (totalTrue === 0 ? 0 : found / totalTrue));
  return { thresholds, precision, recall, f1: precision.map((p, at) => f1Score(p, recall[at]!)), hits, accepted };
}

/** The point with the highest F1; the highest threshold among equals; nothing for an empty curve. An oracle, not a result: it has seen the truth. */
export function bestThreshold(curve: PrecisionRecallCurve): ThresholdScore | undefined {
  const best = curve.f1.reduce((at, f1, i) => (f1 > curve.f1[at]! ? i : at), 0);
  return curve.thresholds.length === 0 ? undefined : pointAt(curve, best, curve.thresholds[best]!);
}

/** Precision, recall and F1 when pairs at or above `threshold` are accepted; all 0 when none are. */
export function scoreAtThreshold(curve: PrecisionRecallCurve, threshold: number): ThresholdScore {
  return pointAt(curve, placeOf(curve, threshold), threshold);
}

/** How many pairs are at or above `threshold`, and how many of them are true. */
export function countsAtThreshold(curve: PrecisionRecallCurve, threshold: number): { readonly hits: number; readonly accepted: number } {
  const at = placeOf(curve, threshold);
  return { hits: curve.hits[at] ?? 0, accepted: curve.accepted[at] ?? 0 };
}

/** Place of the lowest score that `threshold` accepts, -1 for none. */
function placeOf(curve: PrecisionRecallCurve, threshold: number): number {
  // Thresholds fall, so the wanted point is the last one that is still high enough.
  let low = 0;
  let high = curve.thresholds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (curve.thresholds[middle]! >= threshold) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** At most a few hundred points of a curve, to draw it: a new one wherever recall or precision has moved by a four-hundredth. */
export function thinCurve({ precision, recall }: PrecisionRecallCurve): { readonly recall: number; readonly precision: number }[] {
  const points: { recall: number; precision: number }[] = [];
  recall.forEach((r, i) => {
    const last = points.at(-1);
    const point = { recall: Math.round(r * 1e5) / 1e5, precision: Math.round(precision[i]! * 1e5) / 1e5 };
    const moved = !last || Math.abs(point.recall - last.recall) > 0.0025 || Math.abs(point.precision - last.precision) > 0.0025;
    if (moved && point.precision > 0.01) points.push(point);
  });
  return points;
}

/** The reference's choice: of the thresholds 0.01, 0.02 ... 0.99, the first whose F1 is above all before it. */
export function bestGridThreshold({ scores: probabilities, isTrue, totalTrue }: Scored): ThresholdScore {
  const curve = precisionRecallCurve({ scores: probabilities, isTrue, ...(totalTrue === undefined ? {} : { totalTrue }) });
  let best: ThresholdScore = { threshold: 0.01, precision: 0, recall: 0, f1: -1 };
  for (let step = 1; step <= 99; step++) {
    const score = scoreAtThreshold(curve, step / 100);
    if (score.f1 > best.f1) best = score;
  }
  return best;
}

/** Area under the precision-recall steps; 0 when nothing is true. */
export function averagePrecision(scored: Scored): number {
  const { precision, recall } = precisionRecallCurve(scored);
  return precision.reduce((sum, p, i) => sum + p * (recall[i]! - (recall[i - 1] ?? 0)), 0);
}

function pointAt(curve: PrecisionRecallCurve, index: number, threshold: number): ThresholdScore {
  return { threshold, precision: curve.precision[index] ?? 0, recall: curve.recall[index] ?? 0, f1: curve.f1[index] ?? 0 };
}

function countTrue(isTrue: ArrayLike<number | boolean>): number {
  let count = 0;
  for (let i = 0; i < isTrue.length; i++) count += Number(isTrue[i]!);
  return count;
}
