// Measures a model on patients it has not seen: pairs one by one, and what the whole way from candidates to clusters makes of them.

import { sigmoid } from '../../base/statistics.ts';
import { type Interval, pairwiseF1Interval } from '../../evaluation/bootstrap.ts';
import { expectedCalibrationError, type ReliabilityBin, reliabilityCurve } from '../../evaluation/calibration.ts';
import { clusterMetrics } from '../../evaluation/clusters.ts';
import { pairwiseFromClusters, pairwiseFromCounts, truePairCount } from '../../evaluation/pairwise.ts';
import { fuse, matchWeightLogOdds, type PairRules, rulePenalty, sumEvidence } from '../../evidence/fusion.ts';
import type { EvidenceModel } from '../../evidence/model-file.ts';
import { type Pairs, scoreClinical, scoreDemographics } from '../../evidence/score.ts';
import { randomOtherPairs, truePairs } from '../../evidence/train.ts';
import { meanLinkage } from '../../linkage/cluster.ts';
import type { EvidenceData } from './evidence-data.ts';

export type PairFigures = { readonly precision: number; readonly recall: number; readonly f1: number };
export type ResolutionFigures = {
  /** Candidates at posterior 0.5 against all true pairs. */
  readonly pairs: PairFigures;
  /** Records of one cluster as pairs, against all true pairs. */
  readonly clustered: PairFigures;
  /** 95 % of clustered F1 over patients drawn anew. */
  readonly clusteredInterval: Interval;
  readonly splitPatients: number;
  readonly impureClusters: number;
  readonly calibration: { readonly bins: readonly ReliabilityBin[]; readonly error: number };
};
export type Measured = {
  readonly records: number;
  readonly patients: number;
  readonly truePairs: number;
  readonly candidates: number;
  readonly candidateRecall: number;
  /** Clinical evidence alone on as many true as random pairs, and as many true as false candidate pairs. */
  readonly balanced: PairFigures;
  readonly hardNegatives: PairFigures;
  readonly demographics: ResolutionFigures;
  readonly fused: ResolutionFigures;
  readonly emFused: ResolutionFigures;
};

/** The figures of one population, or of one part taken away. */
export type NamedFigures = { readonly name: string; readonly damage?: string; readonly figures: Measured };
/** All that a training run measured: what the model card says. */
export type TrainingFigures = {
  readonly data: {
    readonly name: string;
    readonly damage: string;
    readonly records: number;
    readonly patients: number;
    readonly truePairs: number;
  };
  readonly seed: number;
  readonly command: string;
  /** On the patients kept aside. */
  readonly heldOut: Measured;
  /** Likewise, trained without a part of the evidence; `others` on the populations of `testFolders`. */
  readonly ablations: readonly (NamedFigures & { readonly others: readonly NamedFigures[] })[];
  /** The final model on the populations of `testFolders`. */
  readonly others: readonly NamedFigures[];
};

export type MeasureOptions = {
  readonly model: EvidenceModel;
  readonly data: EvidenceData;
  readonly rules: PairRules;
  readonly seed: number;
  /** Records of the patients to measure on; all by default. */
  readonly tests?: (record: number) => boolean;
};

/** All figures on one data set, or on the part of it that `tests` lets pass. */
export function measureEvidence({ model, data, rules, seed, tests = () => true }: MeasureOptions): Measured {
  const { patients, demographics, profiles } = data;
  const records = patients.filter((_, record) => tests(record)).length;
  const matches = truePairs(patients, (l, r) => tests(l) && tests(r) && demographics.facility[l] !== demographics.facility[r]);
  const at = Int32Array.from(data.candidates.left, (_, i) => i).filter(
    (i) => tests(data.candidates.left[i]!) && tests(data.candidates.right[i]!),
  );
  const candidates = { left: at.map((i) => data.candidates.left[i]!), right: at.map((i) => data.candidates.right[i]!) };
  const clinical = scoreClinical(model, profiles, candidates);
  // The prior belongs to the size of what is resolved here: the tested part alone.
  const demographic = scoreDemographics(model, { ...demographics, recordCount: records }, candidates);
  const em = Float64Array.from(at, (i) => matchWeightLogOdds(data.candidates.matchWeight[i]!));
  const resolve = (logOdds: Float64Array) => resolutionFigures({ data, pairs: candidates, logOdds, rules, seed, tests });
  const labels = matchLabels(patients, candidates);
  return {
    records,
    patients: new Set(patients.filter((_, record) => tests(record))).size,
    truePairs: matches.left.length,
    candidates: at.length,
    candidateRecall: labels.reduce((sum, label) => sum + label, 0) / matches.left.length,
    balanced: balancedFigures(
      model,
      data,
      matches,
      randomOtherPairs({ patients, count: matches.left.length, seed, allows: allowedAt(data, tests) }),
    ),
    hardNegatives: balancedFigures(model, data, matches, hardest(candidates, labels, demographic, matches.left.length)),
    demographics: resolve(demographic),
    fused: resolve(sumEvidence({ demographic, clinical })),
    emFused: resolve(sumEvidence({ demographic: em, clinical })),
  };
}

/** Records of two facilities, both tested: what a random stranger pair may be. Gender is not looked at, as in the published figure. */
function allowedAt({ demographics }: EvidenceData, tests: (record: number) => boolean) {
  return (left: number, right: number) => tests(left) && tests(right) && demographics.facility[left] !== demographics.facility[right];
}

function matchLabels(patients: Int32Array, { left, right }: Pairs): Uint8Array {
  return Uint8Array.from(left, (l, i) => (patients[l] === patients[right[i]!] ? 1 : 0));
}

/** The false candidates that demographics find likeliest. */
function hardest({ left, right }: Pairs, labels: Uint8Array, demographic: Float64Array, count: number): Pairs {
  const others = Int32Array.from(left, (_, i) => i).filter((i) => labels[i] === 0);
  const kept = others.sort((a, b) => demographic[b]! - demographic[a]! || a - b).slice(0, count);
  return { left: kept.map((i) => left[i]!), right: kept.map((i) => right[i]!) };
}

/** Clinical evidence alone, a match where it speaks for one: posterior 0.5 when half the pairs are matches. */
function balancedFigures(model: EvidenceModel, { profiles }: EvidenceData, matches: Pairs, others: Pairs): PairFigures {
  const found = scoreClinical(model, profiles, matches).filter((ratio) => ratio > 0).length;
  const wrong = scoreClinical(model, profiles, others).filter((ratio) => ratio > 0).length;
  return figures(found, wrong, matches.left.length);
}

function figures(found: number, wrong: number, truths: number): PairFigures {
  return pairwiseFromCounts({ truePositives: found, falsePositives: wrong, falseNegatives: truths - found });
}

function resolutionFigures(options: {
  readonly data: EvidenceData;
  readonly pairs: Pairs;
  /** The evidence, rules aside. */
  readonly logOdds: Float64Array;
  readonly rules: PairRules;
  readonly seed: number;
  readonly tests: (record: number) => boolean;
}): ResolutionFigures {
  const { data, pairs, logOdds, rules, seed, tests } = options;
  const { patients, demographics, recordCount } = data;
  const outcomes = matchLabels(patients, pairs);
  const total = fuse({ ...pairs, demographic: logOdds }, demographics, rules);
  const accepted = total.filter((value) => value > 0).length;
  const found = total.filter((value, i) => value > 0 && outcomes[i] === 1).length;
  const cluster = meanLinkage({ count: recordCount, ...pairs, logOdds, forbid: (a, b) => rulePenalty(demographics, rules, a, b) });
  const predicted = cluster.filter((_, record) => tests(record));
  const truth = patients.filter((_, record) => tests(record));
  const { splitPatients, impureClusters } = clusterMetrics(predicted, truth);
  const predictions = { probabilities: total.map(sigmoid), outcomes, kind: 'equal-width' } as const;
  return {
    pairs: figures(found, accepted - found, truePairCount(truth)),
    clustered: pairwiseFromClusters(predicted, truth),
    clusteredInterval: pairwiseF1Interval({ predicted, truth, seed, draws: 400 }),
    splitPatients,
    impureClusters,
    calibration: { bins: reliabilityCurve(predictions), error: expectedCalibrationError(predictions) },
  };
}
