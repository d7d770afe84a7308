// Does "90 % sure" come true nine times in ten?
//
// Predictions are put into bins; in each the mean predicted probability is held against the share that came true.
//   ECE = sum over bins of n_bin / n * |mean predicted - share true|      Brier = mean of (p - outcome)^2
// Bins of equal width are easy to read; bins of equal mass are fair when most predictions lie near 0 or 1, as they do among
// candidate pairs. Equal predictions never fall into two bins, so the result does not depend on the order of the rows.
// Worked case, 2 bins of equal width: p .1 .3 .8 .9, outcomes 0 1 1 1: bins (.2, .5) and (.85, 1): ECE = .5 * .3 + .5 * .15 = .225.
// O(n log n). Source: Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

import { checkLengths } from './overlap.ts';

export type ReliabilityBin = { readonly count: number; readonly meanPredicted: number; readonly shareTrue: number };

export type Predictions = {
  /** Probabilities from 0 to 1. */
  readonly probabilities: ArrayLike<number>;
  readonly outcomes: ArrayLike<number | boolean>;
};

export type Binning = { readonly bins?: number; readonly kind?: 'equal-mass' | 'equal-width' };

/** Bins that hold a prediction, lowest first. */
export function reliabilityCurve({ probabilities, outcomes, bins = 10, kind = 'equal-mass' }: Predictions & Binning): ReliabilityBin[] {
  const count = probabilities.length;
  checkLengths(count, outcomes.length);
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => probabilities[a]! - probabilities[b]!);
  const totals = Array.from({ length: bins }, () => ({ count: 0, predicted: 0, hits: 0 }));
  let bin = 0;
  order.forEach((k, rank) => {
    const p = probabilities[k]!;
    const starts = rank === 0 || p !== probabilities[order[rank - 1]!];
    // A run of equal predictions goes where its first one goes.
    if (starts) bin = Math.min(bins - 1, Math.floor(kind === 'equal-width' ? p * bins : (rank * bins) / count));
    const total = totals[bin]!;
    total.count += 1;
    total.predicted += p;
    total.hits += Number(outcomes[k]!);
  });
  return totals
    .filter((total) => total.count > 0)
    .map((total) => ({ count: total.count, meanPredicted: total.predicted / total.count, shareTrue: total.hits / total.count }));
}

/** Mean distance between what was predicted and what came true, 0 (honest) to 1. */
export function expectedCalibrationError(options: Predictions & Binning): number {
  const curve = reliabilityCurve(options);
  const sum = curve.reduce((total, bin) => total + bin.count * Math.abs(bin.meanPredicted - bin.shareTrue), 0);
  return curve.length === 0 ? 0 : sum / options.probabilities.length;
}

/** Mean squared distance between probability and outcome, 0 (sure and right) to 1. */
export function brierScore({ probabilities, outcomes }: Predictions): number {
  checkLengths(probabilities.length, outcomes.length);
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) sum += (probabilities[i]! - Number(outcomes[i]!)) ** 2;
  return probabilities.length === 0 ? 0 : sum / probabilities.length;
}
