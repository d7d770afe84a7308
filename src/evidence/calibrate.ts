// Makes scores mean what they say: of the pairs given 80 %, 80 % should be matches.
//
// Two maps from a score (log-odds) to calibrated log-odds, both fitted on pairs the scorer was not trained on:
//   Platt      a + b s, the two numbers by maximum likelihood (Newton); keeps the order and never saturates
//   isotonic   any rising curve: neighbours that break the order are pooled (PAV), each pool answers the log-odds of its share, with
//              half a pair added to both sides so that a pure pool stays finite; between pools straight lines, beyond the ends slope 1
// A calibrated log-odds minus the log-odds of a match among the pairs it was fitted on is a log-likelihood ratio: what the score
// says whatever the share of matches, to be added to other evidence (fusion.ts).
// Worked case (isotonic): scores 1, 2, 3, 4 with labels 0, 1, 0, 1 pool 2 and 3: ln(.5/1.5), 0, ln(1.5/.5).
// Cost: sorting. Sources: Platt 1999; Ayer et al. 1955; Zadrozny and Elkan 2002.

import { sigmoid } from '../base/statistics.ts';

/** A rising map from a score to calibrated log-odds; plain data, so that it can be stored. */
export type Calibration =
  | { readonly kind: 'platt'; readonly slope: number; readonly intercept: number }
  | { readonly kind: 'isotonic'; readonly scores: readonly number[]; readonly logOdds: readonly number[] };

export type ScoredPairs = {
  readonly scores: Float64Array;
  /** 1 for a match. */
  readonly labels: Uint8Array;
  readonly weights?: Float32Array;
};

/** Calibrated log-odds of one score. */
export function calibrate(calibration: Calibration, score: number): number {
  if (calibration.kind === 'platt') return calibration.intercept + calibration.slope * score;
  const { scores, logOdds } = calibration;
  const last = scores.length - 1;
  if (score <= scores[0]!) return logOdds[0]! + score - scores[0]!;
  if (score >= scores[last]!) return logOdds[last]! + score - scores[last]!;
  let low = 0;
  for (let high = last; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if (scores[middle]! <= score) low = middle;
    else high = middle;
  }
  const share = (score - scores[low]!) / (scores[low + 1]! - scores[low]!);
  return logOdds[low]! + share * (logOdds[low + 1]! - logOdds[low]!);
}

/** Fits intercept and slope; the slope is held positive. Platt's softened targets keep them finite when the classes part cleanly. */
export function fitPlatt({ scores, labels, weights }: ScoredPairs): Calibration {
  const totals = [0, 0];
  for (let i = 0; i < scores.length; i++) totals[labels[i]!]! += weights?.[i] ?? 1;
  const targets = [1 / (totals[0]! + 2), (totals[1]! + 1) / (totals[1]! + 2)];
  let slope = 1;
  let intercept = 0;
  for (let round = 0; round < 50; round++) {
    const [g0, g1, h00, h01, h11] = plattSlopes(scores, labels, weights, targets, intercept, slope);
    const determinant = h00 * h11 - h01 * h01;
    if (!(determinant > 0)) break;
    const stepIntercept = (g0 * h11 - g1 * h01) / determinant;
    const stepSlope = (g1 * h00 - g0 * h01) / determinant;
    intercept -= Math.max(-1, Math.min(1, stepIntercept));
    slope = Math.max(0.05, slope - Math.max(-0.5, Math.min(0.5, stepSlope)));
    if (Math.abs(stepIntercept) + Math.abs(stepSlope) < 1e-9) break;
  }
  return { kind: 'platt', slope, intercept };
}

function plattSlopes(
  scores: Float64Array,
  labels: Uint8Array,
  weights: Float32Array | undefined,
  targets: readonly number[],
  intercept: number,
  slope: number,
): [number, number, number, number, number] {
  // The tiny diagonal keeps the step finite when all scores are equal.
  const sums: [number, number, number, number, number] = [0, 0, 1e-9, 0, 1e-9];
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!;
    const weight = weights?.[i] ?? 1;
    const p = sigmoid(intercept + slope * score);
    const g = weight * (p - targets[labels[i]!]!);
    const h = weight * p * (1 - p);
    sums[0] += g;
    sums[1] += g * score;
    sums[2] += h;
    sums[3] += h * score;
    sums[4] += h * score * score;
  }
  return sums;
}

/** Fits the rising curve; at least one pair is needed. */
export function fitIsotonic({ scores, labels, weights }: ScoredPairs): Calibration {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[a]! - scores[b]! || a - b);
  const pools: { matches: number; weight: number; score: number }[] = [];
  for (const i of order) {
    const weight = weights?.[i] ?? 1;
    pools.push({ matches: weight * labels[i]!, weight, score: weight * scores[i]! });
    while (pools.length > 1 && breaksOrder(pools.at(-2)!, pools.at(-1)!)) {
      const upper = pools.pop()!;
      const lower = pools.at(-1)!;
      lower.matches += upper.matches;
      lower.weight += upper.weight;
      lower.score += upper.score;
    }
  }
  return {
    kind: 'isotonic',
    scores: pools.map((pool) => pool.score / pool.weight),
    logOdds: pools.map((pool) => Math.log((pool.matches + 0.5) / (pool.weight - pool.matches + 0.5))),
  };
}

/** Softened shares are compared, so that the stored curve rises strictly; equal scores always share a pool. */
function breaksOrder(lower: { matches: number; weight: number; score: number }, upper: typeof lower): boolean {
  const share = (pool: typeof lower) => (pool.matches + 0.5) / (pool.weight + 1);
  return share(lower) >= share(upper) || lower.score / lower.weight >= upper.score / upper.weight;
}
