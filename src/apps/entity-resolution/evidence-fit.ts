// Chooses the pairs that the two evidence models learn from, and fits them.
//
// Both learn from pairs that may be one person by the rules (other facility, no known difference of gender), so that what they say
// is conditional on the rules and the rules' penalties can be chosen freely afterwards.
//   demographic   candidates as blocking proposes them: the pairs it will be asked about
//   clinical      all true pairs and random others: its answer is a likelihood ratio, whatever the share of matches

import { type ClinicalContext, prepareClinical } from '../../evidence/clinical-context.ts';
import { learnClinicalStatistics, type People } from '../../evidence/clinical-statistics.ts';
import { demographicFeatureNames, demographicFeatures } from '../../evidence/demographic-features.ts';
import { missingDay } from '../../evidence/demographics.ts';
import { clinicalFeatureNames, clinicalFeatures } from '../../evidence/features.ts';
import { type PairRules, rulePenalty } from '../../evidence/fusion.ts';
import type { EvidenceModel } from '../../evidence/model-file.ts';
import type { Pairs } from '../../evidence/score.ts';
import { type FittedScorer, fitScorer, labelPairs, randomOtherPairs, type TreeSettings, truePairs } from '../../evidence/train.ts';
import type { EvidenceData } from './evidence-data.ts';

/** Depths 1 to 5 do alike on noisier records than those learned from; 3 does best by a hair (docs/experiments.md). */
export const demographicTrees: TreeSettings = {
  depth: 3,
  learningRate: 0.1,
  rounds: 400,
  minChildWeight: 2,
  lambda: 1,
  subsample: 0.8,
  columnShare: 0.8,
};
/** First guesses, kept. */
export const clinicalTrees: TreeSettings = {
  depth: 5,
  learningRate: 0.1,
  rounds: 400,
  minChildWeight: 2,
  lambda: 1,
  subsample: 0.7,
  columnShare: 0.4,
};

export type FitOptions = {
  readonly data: EvidenceData;
  readonly seed: number;
  /** Records whose patients may be learned from; all by default. */
  readonly learns?: (record: number) => boolean;
  /** Which rules bound the training pairs; for the ablation without gender. */
  readonly rules: PairRules;
  /** Features hidden from the clinical model. */
  readonly hidden?: ReadonlySet<string>;
  readonly otherPairs?: number;
  readonly onFit?: () => void;
};

/** Fits both models; `metadata` is left to the caller. */
export function fitEvidence(options: FitOptions): Omit<EvidenceModel, 'metadata'> {
  const { data } = options;
  const learns = options.learns ?? (() => true);
  let trainingRecords = 0;
  for (let record = 0; record < data.recordCount; record++) if (learns(record)) trainingRecords++;
  const statistics = learnClinicalStatistics(data.profiles, knownPeople(data, learns));
  const context = prepareClinical(data.profiles, statistics);
  return { trainingRecords, statistics, demographic: strip(fitDemographic(options)), clinical: strip(fitClinical(options, context)) };
}

/** Patients and birth years as far as they may be learned from; a held-out record is a person of its own without a birth date. */
function knownPeople({ patients, demographics: { birth } }: EvidenceData, learns: (record: number) => boolean): People {
  return {
    patient: patients.map((patient, record) => (learns(record) ? patient : -1 - record)),
    birthYear: Float32Array.from(birth.day, (day, record) => (learns(record) && day !== missingDay ? 1970 + day / 365.25 : Number.NaN)),
  };
}

/** Fits the demographic model to the candidates. */
export function fitDemographic({ data, seed, learns = () => true, rules, onFit }: FitOptions): FittedScorer {
  const { demographics, patients, candidates } = data;
  const allowed = allowedPairs(data, rules, learns);
  const chosen = filterPairs(candidates, (l, r) => allowed(l, r));
  const pairs = labelPairs(
    filterPairs(chosen, (l, r) => patients[l] === patients[r]),
    filterPairs(chosen, (l, r) => patients[l] !== patients[r]),
  );
  return fitScorer({
    pairs,
    patients,
    seed,
    featureNames: demographicFeatureNames,
    write: (...at) => demographicFeatures(demographics, ...at),
    settings: demographicTrees,
    ...(onFit ? { onFit } : {}),
  });
}

/** Fits the clinical model to all true pairs and random others. */
export function fitClinical(
  { data, seed, learns = () => true, rules, hidden, otherPairs = 100_000, onFit }: FitOptions,
  context: ClinicalContext,
): FittedScorer {
  const { patients } = data;
  const allows = allowedPairs(data, rules, learns);
  return fitScorer({
    pairs: labelPairs(truePairs(patients, allows), randomOtherPairs({ patients, count: otherPairs, seed, allows })),
    patients,
    seed,
    featureNames: clinicalFeatureNames,
    write: (...at) => clinicalFeatures(context, ...at),
    settings: clinicalTrees,
    ...(hidden ? { hidden } : {}),
    ...(onFit ? { onFit } : {}),
  });
}

/** Pairs that break no rule and whose records may both be learned from. */
export function allowedPairs({ demographics }: EvidenceData, rules: PairRules, learns: (record: number) => boolean) {
  return (left: number, right: number) => learns(left) && learns(right) && rulePenalty(demographics, rules, left, right) === 0;
}

export function filterPairs({ left, right }: Pairs, passes: (left: number, right: number) => boolean): Pairs {
  const kept = Int32Array.from(left, (_, i) => i).filter((i) => passes(left[i]!, right[i]!));
  return { left: kept.map((i) => left[i]!), right: kept.map((i) => right[i]!) };
}

function strip({ featureNames, trees, calibration, trainingLogOdds }: FittedScorer) {
  return { featureNames, trees, calibration, trainingLogOdds };
}
