// How far would a figure move with other patients? The patient-level bootstrap.
//
// Records of one patient stand or fall together, so patients are drawn, not records or pairs: as many as there are, with
// replacement, many times; the statistic is worked out on each draw and the middle 95 % of its values is the interval.
// A draw is handed over as weights (how often each patient was drawn), so no statistic copies data.
// Worked case: 3 patients, statistic = share of patients split, patient 0 split: values 0, 1/3, 2/3, 1; interval [0, 1].
// O(draws x patients). Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993 (percentile interval).

import { random } from '../base/random.ts';
import { quantile } from '../base/statistics.ts';
import { overlapTable } from './overlap.ts';
import { pairwiseFromCounts } from './pairwise.ts';

export type Interval = { readonly low: number; readonly high: number };

export type BootstrapOptions = {
  /** Number of patients (or other units drawn whole). */
  readonly units: number;
  /** The figure, given how often each unit was drawn. */
  readonly statistic: (weights: Uint16Array) => number;
  readonly seed: number;
  readonly draws?: number;
  /** Share of draws inside the interval. */
  readonly level?: number;
};

/** Percentile interval of any statistic; the same seed gives the same interval. */
export function bootstrapInterval({ units, statistic, seed, draws = 1000, level = 0.95 }: BootstrapOptions): Interval {
  const { integer } = random(seed, 'bootstrap');
  const weights = new Uint16Array(units);
  const values: number[] = [];
  for (let draw = 0; draw < draws; draw++) {
    weights.fill(0);
    for (let i = 0; i < units; i++) weights[integer(0, units - 1)]! += 1;
    values.push(statistic(weights));
  }
  return { low: quantile(values, (1 - level) / 2), high: quantile(values, (1 + level) / 2) };
}

/**
 * Interval of the pairwise F1 of clusters. True and missed pairs count as often as their patient was drawn; a false pair, which
 * has two patients, counts the mean of both.
 */
export function pairwiseF1Interval({
  predicted,
  truth,
  ...options
}: {
  readonly predicted: ArrayLike<unknown>;
  readonly truth: ArrayLike<unknown>;
  readonly seed: number;
  readonly draws?: number;
  readonly level?: number;
}): Interval {
  const { cells, clusterSizes, labelSizes } = overlapTable(predicted, truth);
  const unitOf = new Map([...labelSizes.keys()].map((label, unit) => [label, unit]));
  const found = new Float64Array(unitOf.size);
  const wrong = new Float64Array(unitOf.size);
  const lost = Float64Array.from(labelSizes.values(), (size) => (size * (size - 1)) / 2);
  for (const { cluster, label, size } of cells) {
    const unit = unitOf.get(label)!;
    found[unit]! += (size * (size - 1)) / 2;
    lost[unit]! -= (size * (size - 1)) / 2;
    wrong[unit]! += (size * (clusterSizes.get(cluster)! - size)) / 2;
  }
  const dot = (values: Float64Array, weights: Uint16Array) => values.reduce((sum, value, i) => sum + value * weights[i]!, 0);
  return bootstrapInterval({
    ...options,
    units: unitOf.size,
    statistic: (weights) =>
      pairwiseFromCounts({ truePositives: dot(found, weights), falsePositives: dot(wrong, weights), falseNegatives: dot(lost, weights) })
        .f1,
  });
}
