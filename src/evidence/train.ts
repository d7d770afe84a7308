// Fits one pair scorer: how many trees, how to calibrate, then the trees themselves on all pairs.
//
// Idea: patients are dealt into K folds. Fold k's model learns from pairs with neither record in fold k, and scores the pairs with
// both records in it: no patient is on both sides. From these scores come the number of trees (where the held-out loss was least)
// and the calibration; the last fit uses all pairs.
//
// Sampling. Of true pairs a fold holds 1/K, of other pairs 1/K^2 (both records must fall in it), and the models learn from
// (K-1)/K and ((K-1)/K)^2. Others are weighted by K and K/(K-1), so that every fit and the calibration see one and the same share
// of matches: the one of the whole data. Log-odds from any fold are then on one scale.
// Worked case: K = 3, 6,000 true and 120,000 other pairs: fold 0 tests 2,000 and 13,333 x 3 = 40,000; 1 : 20 everywhere.
//
// Cost: K fits for the folds and one on everything.

import { hash32, random } from '../base/random.ts';
import { fitPlatt } from './calibrate.ts';
import type { PairScorer } from './model-file.ts';
import type { FeatureWriter, Pairs } from './score.ts';
import { predictTrees } from './trees.ts';
import { trainTrees } from './trees-train.ts';

export type TreeSettings = {
  readonly depth: number;
  readonly learningRate: number;
  /** Most trees; fewer when the held-out loss stops falling. */
  readonly rounds: number;
  readonly minChildWeight: number;
  readonly lambda: number;
  readonly subsample: number;
  readonly columnShare: number;
};

export type LabelledPairs = Pairs & {
  /** 1 for two records of one patient. */
  readonly labels: Uint8Array;
  /** How many pairs each stands for, when only a sample was drawn; 1 by default. */
  readonly weights?: Float32Array;
};

export type ScorerTraining = {
  readonly pairs: LabelledPairs;
  readonly featureNames: readonly string[];
  readonly write: FeatureWriter;
  /** Patient of each record: decides its fold. */
  readonly patients: Int32Array;
  readonly folds?: number;
  readonly settings: TreeSettings;
  readonly seed: number;
  /** Features hidden from the trees (they read as missing): for ablations. */
  readonly hidden?: ReadonlySet<string>;
  /** Told when each of the `folds + 1` fits is done. */
  readonly onFit?: () => void;
};

export type FittedScorer = PairScorer & {
  /** Held-out log-odds before calibration, with their labels and weights: what the calibration was fitted on. */
  readonly heldOut: { readonly scores: Float64Array; readonly labels: Uint8Array; readonly weights: Float32Array };
};

/** Fold of each record, by its patient: 0 to folds - 1, the same for the same seed. */
export function patientFolds(patients: Int32Array, { folds, seed }: { readonly folds: number; readonly seed: number }): Uint8Array {
  return Uint8Array.from(patients, (patient) => hash32(`fold ${seed} ${patient}`) % folds);
}

/**
 * Fits trees and calibration to labelled pairs.
 *
 * @throws Error when a fold holds only one kind of pair: too little data
 */
export function fitScorer(training: ScorerTraining): FittedScorer {
  const { pairs, featureNames, patients, folds = 3, settings, seed, onFit } = training;
  const rowCount = pairs.left.length;
  const data = { features: writeFeatures(training), rowCount, featureCount: featureNames.length, labels: pairs.labels };
  const fold = patientFolds(patients, { folds, seed });
  const scores = new Float64Array(rowCount);
  const heldOutWeights = new Float32Array(rowCount);
  let rounds = 0;
  for (let k = 0; k < folds; k++) {
    const learning = pairWeights(pairs, (record) => fold[record] !== k, folds / (folds - 1));
    const testing = pairWeights(pairs, (record) => fold[record] === k, folds);
    // Pairs with one record on each side are watched with weight 0: they neither teach nor test.
    const heldOut = learning.map((weight) => (weight > 0 ? 0 : 1));
    const weights = learning.map((weight, i) => weight + testing[i]!);
    const trees = trainTrees({ ...data, ...settings, seed, weights, heldOut: Uint8Array.from(heldOut), patience });
    rounds += trees.roots.length / folds;
    predictTrees(trees, data.features, rowCount).forEach((score, i) => {
      if (testing[i]! > 0) scores[i] = score;
    });
    testing.forEach((weight, i) => {
      heldOutWeights[i]! += weight;
    });
    onFit?.();
  }
  const heldOut = { scores, labels: pairs.labels, weights: heldOutWeights };
  const weights = pairWeights(pairs, () => true, 1);
  const trees = trainTrees({ ...data, ...settings, rounds: Math.max(1, Math.round(rounds)), seed, weights });
  onFit?.();
  return { featureNames, trees, calibration: fitPlatt(heldOut), trainingLogOdds: trees.baseScore, heldOut };
}

/** Rounds without a better held-out loss after which a fold's training ends. */
const patience = 30;

function writeFeatures({ pairs: { left, right }, featureNames, write, hidden }: ScorerTraining): Float32Array {
  const count = featureNames.length;
  const features = new Float32Array(left.length * count);
  write(left, right, 0, left.length, features);
  featureNames.forEach((name, f) => {
    if (hidden?.has(name)) for (let at = f; at < features.length; at += count) features[at] = Number.NaN;
  });
  return features;
}

/** Weight of each pair whose records both pass, 0 for the rest; pairs of two patients count `otherWeight` times. */
function pairWeights(pairs: LabelledPairs, passes: (record: number) => boolean, otherWeight: number): Float32Array {
  const { left, right, labels, weights } = pairs;
  return Float32Array.from(labels, (label, i) =>
    passes(left[i]!) && passes(right[i]!) ? (weights?.[i] ?? 1) * (label === 1 ? 1 : otherWeight) : 0,
  );
}

/** All pairs of records of one patient that `allows` lets pass, in order. */
export function truePairs(patients: Int32Array, allows: (left: number, right: number) => boolean): Pairs {
  const members = new Map<number, number[]>();
  patients.forEach((patient, record) => {
    if (patient >= 0) members.set(patient, [...(members.get(patient) ?? []), record]);
  });
  const pairs: (readonly [number, number])[] = [];
  for (const records of members.values()) {
    records.forEach((left, i) => {
      for (const right of records.slice(i + 1)) if (allows(left, right)) pairs.push([left, right]);
    });
  }
  pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  return { left: Int32Array.from(pairs, (pair) => pair[0]), right: Int32Array.from(pairs, (pair) => pair[1]) };
}

/**
 * Random pairs of two patients that `allows` lets pass, none twice, in order; fewer than asked when the data is too small.
 */
export function randomOtherPairs(options: {
  readonly patients: Int32Array;
  readonly count: number;
  readonly seed: number;
  readonly allows: (left: number, right: number) => boolean;
}): Pairs {
  const { patients, count, seed, allows } = options;
  const draw = random(seed, 'other pairs');
  const drawn = new Set<number>();
  const records = patients.length;
  for (let attempt = 0; attempt < 20 * count && drawn.size < count && records > 1; attempt++) {
    const a = draw.integer(0, records - 1);
    const b = draw.integer(0, records - 1);
    const [left, right] = a < b ? [a, b] : [b, a];
    if (patients[left] === patients[right] || !allows(left, right)) continue;
    drawn.add(left * records + right);
  }
  const keys = Float64Array.from(drawn).sort();
  return { left: Int32Array.from(keys, (key) => Math.floor(key / records)), right: Int32Array.from(keys, (key) => key % records) };
}

/** True pairs and others as one labelled list. */
export function labelPairs(matches: Pairs, others: Pairs): LabelledPairs {
  const size = matches.left.length;
  const join = (side: 'left' | 'right') => {
    const joined = new Int32Array(size + others.left.length);
    joined.set(matches[side]);
    joined.set(others[side], size);
    return joined;
  };
  const left = join('left');
  return { left, right: join('right'), labels: Uint8Array.from(left, (_, i) => (i < size ? 1 : 0)) };
}
