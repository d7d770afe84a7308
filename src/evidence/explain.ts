// Why are two records joined, or not? Every fact with its weight, adding up to the posterior.
//
// A tree walks from its root to a leaf; each step changes the mean of what lies below, and that change is credited to the feature
// asked there (Saabas 2014). Summed over trees and over the features of one theme (a field, or a kind of clinical fact) this is the theme's
// weight in nats: e^weight times more likely one patient. Calibration is a straight line through these sums, so its slope scales
// them; rules and the prior are added as they are. The weights add up exactly to the total log-odds.
// Worked case: prior -6, birth date +4.1, SSN +5.0, height +1.9, rules 0: total 5.0, posterior 0.993.

import { sigmoid } from '../base/statistics.ts';
import { type Calibration, calibrate } from './calibrate.ts';
import { type ClinicalContext, prepareClinical } from './clinical-context.ts';
import { demographicFeatureNames, demographicFeatures } from './demographic-features.ts';
import type { Demographics } from './demographics.ts';
import { type CodeWords, describeClinical } from './explain-clinical.ts';
import { demographicThemeOf, demographicThemes, describeDemographics } from './explain-demographics.ts';
import { clinicalFeatureGroupOf, clinicalFeatureGroups, clinicalFeatures } from './features.ts';
import { type PairRules, priorShift } from './fusion.ts';
import type { EvidenceModel, PairScorer } from './model-file.ts';
import type { Profiles } from './profile.ts';
import { explainTrees, predictTrees } from './trees.ts';

/** One thing that speaks for (nats above 0) or against one patient. */
export type Fact = {
  readonly kind: 'demographic' | 'clinical' | 'rule';
  readonly theme: string;
  readonly text: string;
  readonly nats: number;
};

export type Explanation = {
  /** Log-odds before any fact of this pair. */
  readonly prior: number;
  /** Strongest first. */
  readonly facts: readonly Fact[];
  readonly demographic: number;
  readonly clinical: number;
  /** Log-odds of one patient; prior and facts add up to it. */
  readonly total: number;
  readonly posterior: number;
};

export type ExplainOptions = {
  readonly model: EvidenceModel;
  readonly demographics: Demographics;
  readonly profiles: Profiles;
  readonly left: number;
  readonly right: number;
  readonly rules: PairRules;
  readonly words?: CodeWords;
};

/** Explains one pair of records. */
export function explainPair(options: ExplainOptions): Explanation {
  const { model, demographics, profiles } = options;
  const context = prepareClinical(profiles, model.statistics);
  const fields = explainDemographics(options);
  const histories = explainClinical(options, context);
  const rules = ruleFacts(options);
  const sum = (facts: readonly Fact[]) => facts.reduce((total, fact) => total + fact.nats, 0);
  const prior = fields.base + priorShift({ trainingRecords: model.trainingRecords, records: demographics.recordCount });
  const demographic = prior + sum(fields.facts);
  const clinical = histories.base + sum(histories.facts);
  const total = demographic + clinical + sum(rules);
  // What a history says before anything is looked at is no fact of this pair: it belongs to the prior.
  const facts = [...fields.facts, ...histories.facts, ...rules].filter((fact) => fact.nats !== 0);
  facts.sort((a, b) => Math.abs(b.nats) - Math.abs(a.nats));
  return { prior: prior + histories.base, facts, demographic, clinical, total, posterior: sigmoid(total) };
}

type Explained = { readonly base: number; readonly facts: readonly Fact[] };

function explainDemographics({ model, demographics, left, right }: ExplainOptions): Explained {
  const row = new Float32Array(demographicFeatureNames.length);
  demographicFeatures(demographics, Int32Array.of(left), Int32Array.of(right), 0, 1, row);
  const { base, parts } = calibratedParts(model.demographic, row);
  const weights = new Map<string, number>();
  demographicFeatureNames.forEach((name, f) => {
    const theme = demographicThemeOf[name];
    weights.set(theme, (weights.get(theme) ?? 0) + parts[f]!);
  });
  const facts = demographicThemes.map((theme) => ({
    kind: 'demographic' as const,
    theme,
    text: describeDemographics(demographics, theme, left, right),
    nats: weights.get(theme) ?? 0,
  }));
  return { base, facts };
}

function explainClinical({ model, left, right, words = () => undefined }: ExplainOptions, context: ClinicalContext): Explained {
  const row = new Float32Array(clinicalFeatureGroupOf.length);
  clinicalFeatures(context, Int32Array.of(left), Int32Array.of(right), 0, 1, row);
  const { base, parts } = calibratedParts(model.clinical, row);
  const facts = clinicalFeatureGroups.map((theme) => ({
    kind: 'clinical' as const,
    theme,
    text: describeClinical({ context, left, right, words }, theme),
    nats: clinicalFeatureGroupOf.reduce((sum, group, f) => sum + (group === theme ? parts[f]! : 0), 0),
  }));
  return { base: base - model.clinical.trainingLogOdds, facts };
}

/** The features' parts of the calibrated log-odds; `base` is what is left, so that base and parts add up to it. */
function calibratedParts({ trees, calibration }: PairScorer, row: Float32Array): { readonly base: number; readonly parts: Float64Array } {
  const raw = explainTrees(trees, row);
  const scale = slopeBetween(calibration, raw[trees.featureCount]!, predictTrees(trees, row, 1)[0]!);
  const parts = raw.slice(0, trees.featureCount).map((part) => part * scale);
  const total = calibrate(calibration, predictTrees(trees, row, 1)[0]!);
  return { base: total - parts.reduce((sum, part) => sum + part, 0), parts };
}

function slopeBetween(calibration: Calibration, from: number, to: number): number {
  if (calibration.kind === 'platt') return calibration.slope;
  return from === to ? 1 : (calibrate(calibration, to) - calibrate(calibration, from)) / (to - from);
}

function ruleFacts({ demographics: { gender, facility }, rules, left, right }: ExplainOptions): Fact[] {
  const facts: Fact[] = [];
  if (gender[left] !== gender[right] && gender[left] !== 0 && gender[right] !== 0) {
    facts.push({ kind: 'rule', theme: 'gender', text: 'Gender differs', nats: -rules.differentGender });
  }
  if (facility[left] === facility[right]) {
    facts.push({ kind: 'rule', theme: 'facility', text: 'Both records come from one facility', nats: -rules.sameFacility });
  }
  return facts;
}
