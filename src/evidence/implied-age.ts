// When was the holder of this record born, judging by nothing but his clinical facts?
//
// Idea: most facts belong to an age: a rotavirus vaccine, a height of 110 cm, a colonoscopy, dementia. From a training population, learn
// for each fact how often it is seen at each age against how often anything is seen at that age; then every dated fact of a record
// votes for the birth years that would put it at a fitting age:
//
//   log P(birth year b | facts) = log P(b) + temper x sum over facts of log [ P(age at fact | fact) / P(age) ] + constant
//
// Facts are far from independent, so their sum is tempered by a factor in (0, 1] chosen to make the true birth years most likely.
// Worked case: a rotavirus vaccine in 2010 (always under 1) leaves nearly all weight on 2009 and 2010.
// Cost: records x facts x birth years; about 60 x 130 per record.

import { type CodeDomain, codeDomains, type Profiles, type SeriesName } from './profile.ts';

/** Birth years 1900 .. 2029, one bin each. */
export const firstBirthYear = 1900;
export const birthYears = 130;

/** Ages 0 .. 19 by one year, to 40 by two, to 110 by five. */
const ageEdges = [
  ...Array.from({ length: 20 }, (_, i) => i),
  ...Array.from({ length: 10 }, (_, i) => 20 + 2 * i),
  ...Array.from({ length: 14 }, (_, i) => 40 + 5 * i),
];
export const ageBins = ageEdges.length;

/** Measurements that tell age, and how wide a step of their value counts as one fact. */
const measuredFacts: readonly { readonly series: SeriesName; readonly step: number }[] = [
  { series: 'height', step: 4 },
  { series: 'weight', step: 4 },
  { series: 'headSize', step: 1 },
  { series: 'bmiPercentile', step: 1000 },
  { series: 'systolic', step: 10 },
  { series: 'diastolic', step: 8 },
  { series: 'filtrationRate', step: 10 },
];

/** What was learned about facts and ages; plain data, part of the model file. */
export type AgeStatistics = {
  readonly temper: number;
  /** 100 x log prior of each birth year. */
  readonly prior: readonly number[];
  /** Per fact, per age bin: 100 x log [ P(age | fact) / P(age) ]. */
  readonly facts: Readonly<Record<string, readonly number[]>>;
};

/** What each record implies: mean and standard deviation of its birth year (NaN without facts), and the whole distribution. */
export type ImpliedBirth = {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
  /** Record by record, `birthYears` probabilities that sum to 1. */
  readonly probability: Float32Array;
  /** Of the training population. */
  readonly prior: Float32Array;
};

type Visit = (fact: string, year: number) => void;

/** Calls back with each fact of a record that can tell age: first and last date of each code, first and last of each measurement. */
function eachFact(profiles: Profiles, names: readonly (readonly string[])[], record: number, visit: Visit): void {
  codeDomains.forEach((domain, d) => {
    const { start, code, month } = profiles.facts[domain];
    const end = start[record + 1]!;
    for (let at = start[record]!; at < end; at++) {
      const isFirst = at === start[record] || code[at - 1] !== code[at];
      const isLast = at + 1 === end || code[at + 1] !== code[at];
      if (isFirst || isLast) visit(names[d]![code[at]!]!, yearOf(month[at]!));
    }
  });
  for (const { series, step } of measuredFacts) {
    const { start, month, value } = profiles.series[series];
    const from = start[record]!;
    const last = start[record + 1]! - 1;
    for (const at of from > last ? [] : from === last ? [from] : [from, last]) {
      visit(`${series} ${Math.floor(value[at]! / step)}`, yearOf(month[at]!));
    }
  }
}

/** Domain and code of each dictionary entry as one text, as `facts` is keyed. */
export function factNames(profiles: Profiles): Record<CodeDomain, readonly string[]> {
  const entries = codeDomains.map((domain) => [domain, profiles.facts[domain].codes.map((code) => `${domain} ${code}`)] as const);
  return Object.fromEntries(entries) as unknown as Record<CodeDomain, readonly string[]>;
}

/**
 * Learns at which ages each fact is seen.
 *
 * @param birthYear per record, fractional; NaN where unknown
 * @param leastRecords facts in fewer records are left out
 */
export function learnAges(profiles: Profiles, birthYear: Float32Array, { leastRecords = 20 } = {}): AgeStatistics {
  const names = Object.values(factNames(profiles));
  const counts = new Map<string, Float64Array>();
  const overall = new Float64Array(ageBins);
  const births = new Float64Array(birthYears).fill(1);
  for (let record = 0; record < profiles.recordCount; record++) {
    const born = birthYear[record]!;
    if (Number.isNaN(born)) continue;
    births[Math.min(birthYears - 1, Math.max(0, Math.floor(born) - firstBirthYear))]!++;
    eachFact(profiles, names, record, (fact, year) => {
      const bin = ageBin(year - born);
      if (bin < 0) return;
      let seen = counts.get(fact);
      if (seen === undefined) counts.set(fact, (seen = new Float64Array(ageBins)));
      seen[bin]!++;
      overall[bin]!++;
    });
  }
  const background = smooth(overall);
  const facts: Record<string, number[]> = {};
  for (const fact of [...counts.keys()].sort()) {
    const seen = counts.get(fact)!;
    if (seen.reduce((sum, count) => sum + count, 0) >= leastRecords) facts[fact] = logRatios(smooth(seen), background);
  }
  const prior = logShares(smooth(births)).map((log) => Math.round(100 * log));
  return chooseTemper(profiles, birthYear, { temper: 1, prior, facts });
}

/** Birth-year distribution of every record. */
export function implyBirth(profiles: Profiles, statistics: AgeStatistics): ImpliedBirth {
  const { recordCount } = profiles;
  const scores = sumVotes(profiles, statistics);
  const probability = new Float32Array(recordCount * birthYears);
  const mean = new Float32Array(recordCount).fill(Number.NaN);
  const deviation = new Float32Array(recordCount).fill(Number.NaN);
  for (let record = 0; record < recordCount; record++) {
    const distribution = posterior(statistics, scores.votes, record, statistics.temper);
    probability.set(distribution, record * birthYears);
    if (scores.facts[record] === 0) continue;
    let first = 0;
    let second = 0;
    distribution.forEach((share, b) => {
      first += share * b;
      second += share * b * b;
    });
    mean[record] = firstBirthYear + 0.5 + first;
    deviation[record] = Math.sqrt(Math.max(0, second - first * first));
  }
  return { mean, deviation, probability, prior: Float32Array.from(softmax(statistics.prior.map((log) => log / 100))) };
}

/** Untempered votes of all facts, record by record over birth years, and how many facts voted. */
function sumVotes(profiles: Profiles, statistics: AgeStatistics): { readonly votes: Float32Array; readonly facts: Int32Array } {
  const names = Object.values(factNames(profiles));
  const byYear = new Map(Object.entries(statistics.facts).map(([fact, known]) => [fact, votesByAge(known)]));
  const votes = new Float32Array(profiles.recordCount * birthYears);
  const facts = new Int32Array(profiles.recordCount);
  for (let record = 0; record < profiles.recordCount; record++) {
    const base = record * birthYears;
    eachFact(profiles, names, record, (fact, year) => {
      const known = byYear.get(fact);
      const bin = Math.round(year - 0.5) - firstBirthYear;
      if (known === undefined || bin < 0 || bin >= birthYears) return;
      facts[record]!++;
      for (let b = 0; b < birthYears; b++) votes[base + b]! += known[bin - b + birthYears]!;
    });
  }
  return { votes, facts };
}

/** One fact's vote by whole years of age; index `birthYears` is age 0, below it lies the time before birth. */
function votesByAge(known: readonly number[]): Float32Array {
  return Float32Array.from({ length: 2 * birthYears }, (_, i) => (i < birthYears ? -4 : known[ageBin(i - birthYears)]! / 100));
}

function posterior({ prior }: AgeStatistics, votes: Float32Array, record: number, temper: number): Float64Array {
  return softmax(prior.map((log, b) => log / 100 + temper * votes[record * birthYears + b]!));
}

function chooseTemper(profiles: Profiles, birthYear: Float32Array, statistics: AgeStatistics): AgeStatistics {
  const { votes } = sumVotes(profiles, statistics);
  let best = { temper: 1, score: Number.NEGATIVE_INFINITY };
  for (const temper of [0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1]) {
    let score = 0;
    for (let record = 0; record < profiles.recordCount; record++) {
      const bin = Math.floor(birthYear[record]!) - firstBirthYear;
      if (!(bin >= 0 && bin < birthYears)) continue;
      score += Math.log(posterior(statistics, votes, record, temper)[bin]! + 1e-6);
    }
    if (score > best.score) best = { temper, score };
  }
  return { ...statistics, temper: best.temper };
}

/** Age bin, -1 before birth (a few months of slack, as birth years are whole). */
function ageBin(age: number): number {
  if (age < -0.6) return -1;
  if (age < 20) return Math.max(0, Math.floor(age));
  if (age < 40) return 20 + Math.floor((age - 20) / 2);
  return Math.min(ageBins - 1, 30 + Math.floor((age - 40) / 5));
}

function yearOf(month: number): number {
  return 1970 + ((month + 0.5) * 30) / 365.25;
}

/** Each bin shared a little with its neighbours. */
function smooth(counts: Float64Array): Float64Array {
  return counts.map((count, i) => 0.6 * count + 0.2 * (counts[i - 1] ?? count) + 0.2 * (counts[i + 1] ?? count));
}

function logShares(counts: Float64Array): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return [...counts].map((count) => Math.log(count / total));
}

function logRatios(seen: Float64Array, background: Float64Array): number[] {
  const total = seen.reduce((sum, count) => sum + count, 0);
  const whole = background.reduce((sum, count) => sum + count, 0);
  // A pseudo-count of five rows at background ages keeps ages never seen from being impossible.
  return [...seen].map((count, i) => {
    const expected = (background[i]! + 1) / (whole + background.length);
    return Math.round(100 * Math.max(-4, Math.log((count + 5 * expected) / (total + 5) / expected)));
  });
}

function softmax(logs: readonly number[]): Float64Array {
  const top = Math.max(...logs);
  const shares = Float64Array.from(logs, (log) => Math.exp(log - top));
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}
