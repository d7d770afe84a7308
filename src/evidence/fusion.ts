// Adds what demographics and histories say about a pair, as log-odds.
//
//   total = demographics + clinical + rules          posterior = 1 / (1 + e^-total)          joined when total > 0
//
//   demographics  either the learned model's log-odds, moved to the data's size, or the unsupervised match weight (log2, prior
//                 included) in nats: w ln 2
//   clinical      log-likelihood ratio of the two histories: calibrated log-odds less the log-odds of a match in its training
//   rules         nats off where a pair breaks a rule that holds nearly always: both genders known and different; both records
//                 at one facility. `Infinity` forbids; a finite number lets strong evidence through (10 nats: one in 22,000)
//
// Weight 1 is what Bayes asks for when the parts are calibrated and independent given the truth; fitted weights gained nothing.
// Nothing is rounded or clipped: a pair at 40 nats stays apart from one at 20.
//
// Prior. True pairs grow with the number of records R, pairs in all with R^2, so the odds of a match before any evidence fall as
// 1/R. The learned model was fitted among candidates of R' records; in R it answers log-odds + ln(R'/R). How candidates are chosen
// does not enter: the choice is a function of the fields that the model sees anyway, so P(match | fields, chosen) = P(match | fields).
// Worked case: demographics -1.2 at training size 7,357, here 640 records: -1.2 + ln(7357/640) = 1.24; clinical 3: total 4.24.
//
// Every feature is symmetric in the two records, so scoring both orders would give the same number twice: one is scored.

/** Nats taken from a pair that breaks a rule; `Infinity` never joins. */
export type PairRules = {
  readonly differentGender: number;
  readonly sameFacility: number;
};

/** What the rules look at, per record; 0 is a missing gender. */
export type RuleFields = { readonly gender: Uint8Array; readonly facility: Int32Array };

/** Both rules never broken: right for data that holds each patient once per facility, with a reliable gender. */
export const strictRules: PairRules = { differentGender: Number.POSITIVE_INFINITY, sameFacility: Number.POSITIVE_INFINITY };

/** Soft form: about one wrong gender in 1,000 records, about one double entry in 1,000. */
export const softRules: PairRules = { differentGender: 7, sameFacility: 7 };

/** Nats to take from a pair, 0 when it breaks no rule. Fits `forbid` of mean linkage. */
export function rulePenalty({ gender, facility }: RuleFields, rules: PairRules, left: number, right: number): number {
  const crossesGender = gender[left] !== gender[right] && gender[left] !== 0 && gender[right] !== 0;
  return (crossesGender ? rules.differentGender : 0) + (facility[left] === facility[right] ? rules.sameFacility : 0);
}

/** What is added to learned log-odds when the data holds `records` instead of the `trainingRecords` it was fitted on. */
export function priorShift({ trainingRecords, records }: { readonly trainingRecords: number; readonly records: number }): number {
  return Math.log(trainingRecords / Math.max(1, records));
}

/** An unsupervised match weight (log2 of the odds, prior included) in nats. */
export function matchWeightLogOdds(matchWeight: number): number {
  return matchWeight * Math.LN2;
}

/** Pairs and what each part says of them, in one order. */
export type PairScores = {
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** Log-odds of a match by demographics, prior included. */
  readonly demographic: Float64Array;
  /** Log-likelihood ratio of the histories; leave out to see demographics alone. */
  readonly clinical?: Float64Array;
};

/** The evidence added up, rules aside: the links that mean linkage takes, with `rulePenalty` as its `forbid` (so rules count once). */
export function sumEvidence({ demographic, clinical }: Pick<PairScores, 'demographic' | 'clinical'>): Float64Array {
  return demographic.map((value, pair) => value + (clinical?.[pair] ?? 0));
}

/** Total log-odds of each pair taken by itself: the evidence less what the rules take. */
export function fuse(scores: PairScores, fields: RuleFields, rules: PairRules): Float64Array {
  const { left, right } = scores;
  return sumEvidence(scores).map((value, pair) => value - rulePenalty(fields, rules, left[pair]!, right[pair]!));
}
