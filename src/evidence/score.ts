// Applies a learned scorer to pairs: features block by block into one small buffer, trees, calibration.
// Nothing per pair is kept but its score, so millions of pairs need no more memory than their scores.

import { calibrate } from './calibrate.ts';
import { prepareClinical } from './clinical-context.ts';
import { demographicFeatures } from './demographic-features.ts';
import type { Demographics } from './demographics.ts';
import { clinicalFeatures } from './features.ts';
import { priorShift } from './fusion.ts';
import type { EvidenceModel, PairScorer } from './model-file.ts';
import type { Profiles } from './profile.ts';
import { predictTrees } from './trees.ts';

const blockPairs = 4096;

export type Pairs = { readonly left: Int32Array; readonly right: Int32Array };

/** Writes the features of pairs `from` to `to` (excluded) as rows of a matrix. */
export type FeatureWriter = (left: Int32Array, right: Int32Array, from: number, to: number, out: Float32Array) => void;

/** Log-odds of a match by the learned demographic model, its prior moved to data of this size. */
export function scoreDemographics(model: EvidenceModel, demographics: Demographics, pairs: Pairs): Float64Array {
  const shift = priorShift({ trainingRecords: model.trainingRecords, records: demographics.recordCount });
  const score = scorePairs(model.demographic, pairs, (...at) => demographicFeatures(demographics, ...at));
  return score.map((logOdds) => logOdds + shift);
}

type ClinicalModel = Pick<EvidenceModel, 'clinical' | 'statistics'>;

/** Log-likelihood ratio of the two histories: what they say whatever the share of matches. */
export function scoreClinical(model: ClinicalModel, profiles: Profiles, pairs: Pairs): Float64Array {
  return clinicalScorer(model, profiles)(pairs);
}

/** The same for pairs that come in portions: what the profiles need is prepared once. */
export function clinicalScorer(model: ClinicalModel, profiles: Profiles): (pairs: Pairs) => Float64Array {
  const { clinical } = model;
  const context = prepareClinical(profiles, model.statistics);
  return (pairs) =>
    scorePairs(clinical, pairs, (...at) => clinicalFeatures(context, ...at)).map((logOdds) => logOdds - clinical.trainingLogOdds);
}

/** Calibrated log-odds of each pair, on the scale of the scorer's training pairs. */
export function scorePairs(scorer: PairScorer, { left, right }: Pairs, write: FeatureWriter): Float64Array {
  const count = scorer.trees.featureCount;
  const features = new Float32Array(blockPairs * count);
  const scores = new Float64Array(left.length);
  for (let from = 0; from < left.length; from += blockPairs) {
    const to = Math.min(left.length, from + blockPairs);
    write(left, right, from, to, features);
    const logOdds = predictTrees(scorer.trees, features, to - from);
    for (let i = 0; i < logOdds.length; i++) scores[from + i] = calibrate(scorer.calibration, logOdds[i]!);
  }
  return scores;
}
