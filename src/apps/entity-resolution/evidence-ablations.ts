// What is the evidence worth without the parts that real data would not give so freely?
//
// Synthetic patients are too good in places: height is constant to the millimetre, visits are dealt out in time order among facilities,
// gender is never wrong. Each ablation takes such a part away, trains and measures again.

import { random } from '../../base/random.ts';
import { type ClinicalFeatureGroup, clinicalFeatureGroupOf, clinicalFeatureNames } from '../../evidence/features.ts';
import type { PairRules } from '../../evidence/fusion.ts';
import type { Profiles, Series, SeriesName } from '../../evidence/profile.ts';
import type { EvidenceData } from './evidence-data.ts';

export type Ablation = {
  /** What is taken away, as it follows "without". */
  readonly name: string;
  readonly rules?: Partial<PairRules>;
  readonly hidden?: ReadonlySet<string>;
  readonly change?: (data: EvidenceData, seed: number) => EvidenceData;
};

/** Half-widths of the uniform noise put on each body measure: a tape, scales with clothes on, and what is computed from both. */
const blur: { readonly [S in SeriesName]?: number } = {
  height: 1.7,
  weight: 1.7,
  bmi: 0.7,
  bmiPercentile: 5,
  headSize: 1,
  headPercentile: 5,
  weightForLength: 5,
};

const timing: readonly ClinicalFeatureGroup[] = ['timing', 'vaccines'];

export const ablations: readonly Ablation[] = [
  { name: 'gender', rules: { differentGender: 0 } },
  { name: 'exact body sizes (blurred by 1 cm and 1 kg)', change: blurBodySizes },
  { name: 'timing of visits and vaccines', hidden: columnsOf(timing) },
  { name: 'exact body sizes and timing', change: blurBodySizes, hidden: columnsOf(timing) },
  {
    name: 'exact body sizes, timing, conditions and code likelihoods',
    change: blurBodySizes,
    hidden: columnsOf([...timing, 'conditions', 'likelihood']),
  },
];

function columnsOf(groups: readonly ClinicalFeatureGroup[]): ReadonlySet<string> {
  return new Set(clinicalFeatureNames.filter((_, column) => groups.includes(clinicalFeatureGroupOf[column]!)));
}

/** Adds noise to every body measurement; a half-width of 1.7 has a standard deviation of about 1. */
export function blurBodySizes(data: EvidenceData, seed: number): EvidenceData {
  return { ...data, profiles: { ...data.profiles, series: { ...data.profiles.series, ...blurredSeries(data.profiles, seed) } } };
}

function blurredSeries({ series }: Profiles, seed: number): Partial<Record<SeriesName, Series>> {
  const entries = (Object.entries(blur) as [SeriesName, number][]).map(([name, width]) => {
    const draw = random(seed, 'blur', name);
    const { value, ...rest } = series[name];
    return [name, { ...rest, value: value.map((exact) => exact + width * (2 * draw.float() - 1)) }] as const;
  });
  return Object.fromEntries(entries);
}
