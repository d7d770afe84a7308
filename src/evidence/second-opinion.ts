// A second opinion of the same two histories: how much it adds to the first, and which pairs are worth asking about.
//
// Both opinions look at the same facts, so their log-odds may not simply be added. Together they say
//
//   c = a + b e + g l        e: the first's log-likelihood ratio, l: the second's log-odds, both of balanced pairs
//
// with a, b, g by maximum likelihood on pairs that neither was fitted on (Newton, a touch of ridge towards the first alone: a 0, b 1, g 0).
// A second opinion that tells those pairs apart no better than the first alone, fitted anew, is not listened to (a 0, b 1, g 0; nothing is worth
// asking): twice the gain in log-likelihood must exceed 3.84, which chance alone does once in twenty (likelihood-ratio test, one parameter).
// Of the second's answers their mean and spread among matches and among others are kept; given the class they are taken as normal.
//
// What asking is worth. Before, a pair stands at log-odds t and is decided by its sign: wrong with probability min(p, 1 - p). After the
// answer it stands at t' = t - e + a + b e + g l, and is wrong where a match falls below 0 or another rises above it:
//
//   gain = min(p, 1-p) - p P(t' < 0 | match) - (1-p) P(t' > 0 | other)
//
// in decisions put right, a pair. It is never negative for a calibrated opinion, and near 0 for a pair that is sure.
// Worked case: t = 0, e = 0, a = 0, b = 1, g = 1, answers 2 +- 1 for matches, -2 +- 1 for others: 0.5 - P(z < -2) = 0.477.

import { sigmoid } from '../base/statistics.ts';

type Spread = { readonly mean: number; readonly deviation: number };

/** How a second opinion is joined to the first; plain data, so that it can be stored. */
export type SecondOpinion = {
  readonly intercept: number;
  readonly first: number;
  readonly second: number;
  /** The second's log-odds among matches and among others. */
  readonly match: Spread;
  readonly other: Spread;
  /** Pairs it was fitted on. */
  readonly pairs: number;
};

export type Opinions = {
  /** Log-likelihood ratios of the first opinion. */
  readonly first: Float64Array;
  /** Log-odds of the second. */
  readonly second: Float64Array;
  /** 1 for a match; about half of them. */
  readonly labels: Uint8Array;
};

/** Strength of the pull towards the first opinion alone: as if of so many pairs. */
const ridge = 1;

/** Twice the log-likelihood that a parameter must bring, or it is taken for chance: chi-squared with one degree of freedom, 95 %. */
const leastGain = 3.84;

const firstAlone = [0, 1, 0];

/** Fits how two opinions are joined. Both classes must be among the pairs. */
export function fitSecondOpinion(opinions: Opinions): SecondOpinion {
  const { second, labels } = opinions;
  const both = logistic(opinions);
  const without = logistic({ ...opinions, second: second.map(() => 0) });
  const isHeard = 2 * (without.loss - both.loss) > leastGain;
  const [intercept, weight, answer] = isHeard ? both.weights : firstAlone;
  const of = (label: number) => spread(second.filter((_, i) => labels[i] === label));
  return { intercept: intercept!, first: weight!, second: answer!, match: of(1), other: of(0), pairs: labels.length };
}

/** Logistic regression by Newton's method; `loss` is the negative log-likelihood without the ridge. */
function logistic({ first, second, labels }: Opinions): { readonly weights: readonly number[]; readonly loss: number } {
  const weights = [...firstAlone];
  const row = (i: number) => [1, first[i]!, second[i]!];
  const oddsOf = (x: readonly number[]) => x.reduce((sum, value, k) => sum + value * weights[k]!, 0);
  for (let round = 0; round < 50; round++) {
    const gradient = weights.map((weight, k) => ridge * (weight - firstAlone[k]!));
    const hessian = [0, 1, 2].map((k) => [0, 1, 2].map((j) => (k === j ? ridge : 0)));
    for (const [i, label] of labels.entries()) {
      const x = row(i);
      const p = sigmoid(oddsOf(x));
      for (let k = 0; k < 3; k++) {
        gradient[k]! += (p - label) * x[k]!;
        for (let j = 0; j < 3; j++) hessian[k]![j]! += p * (1 - p) * x[k]! * x[j]!;
      }
    }
    const step = solve(hessian, gradient);
    for (let k = 0; k < 3; k++) weights[k]! -= step[k]!;
    if (Math.max(...step.map(Math.abs)) < 1e-10) break;
  }
  const loss = labels.reduce((sum, label, i) => sum - Math.log(Math.max(1e-300, sigmoid((label === 1 ? 1 : -1) * oddsOf(row(i))))), 0);
  return { weights, loss };
}

/** What both opinions say together: a log-likelihood ratio, to stand in the first's place. */
export function joinOpinions({ intercept, first, second }: SecondOpinion, e: number, l: number): number {
  return intercept + first * e + second * l;
}

/**
 * Decisions put right, in expectation, by asking about a pair.
 *
 * @param total log-odds of the pair by all that is known, the first opinion `e` included
 */
export function expectedGain(opinion: SecondOpinion, { total, e }: { readonly total: number; readonly e: number }): number {
  const { intercept, first, second, match, other } = opinion;
  const p = sigmoid(total);
  const without = total - e + intercept + first * e;
  const below = ({ mean, deviation }: Spread) => normalShare(-(without + second * mean) / Math.max(1e-9, Math.abs(second) * deviation));
  return Math.min(p, 1 - p) - p * below(match) - (1 - p) * (1 - below(other));
}

function spread(values: Float64Array): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, deviation: Math.sqrt(variance) };
}

/** Three equations, by elimination; the ridge keeps them solvable. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, k) => [...row, right[k]!]);
  for (let k = 0; k < 3; k++) {
    const pivot = rows.slice(k).reduce((best, row, i) => (Math.abs(row[k]!) > Math.abs(rows[best]![k]!) ? k + i : best), k);
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let i = 0; i < 3; i++) {
      if (i === k) continue;
      const factor = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j < 4; j++) rows[i]![j]! -= factor * rows[k]![j]!;
    }
  }
  return rows.map((row, k) => row[3]! / row[k]!);
}

/** Share of the standard normal below z, to 1e-7. Source: Abramowitz and Stegun 26.2.17. */
function normalShare(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail =
    (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z < 0 ? tail : 1 - tail;
}
