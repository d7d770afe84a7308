// Pairs of two people for a classifier to learn from. Random strangers are told apart by anything; the pairs a matcher is really asked about
// are alike, so a share of them is hard:
//
//   confusable                 patients whose demographics were made alike (metadata/confusable_pairs.parquet): twins, namesakes, siblings
//   household                  two people recorded at one address
//   same_sex_and_birth_year    as it says, by what is recorded
//
// The first two are few: they take up to a third of the hard ones each, the last fills the rest. Kinds are not shown to the model, only
// written beside the pair, so that figures can be told apart by them.

import { random } from '../../../base/random.ts';
import type { Pairs } from '../../../evidence/score.ts';

export const negativeKinds = ['random', 'confusable', 'household', 'same_sex_and_birth_year'] as const;
export type NegativeKind = (typeof negativeKinds)[number];

export type NegativeOptions = {
  /** Patient and split of each record. */
  readonly patients: Int32Array;
  readonly splits: Uint8Array;
  /** Records that share something, for each of the kinds that are found by groups; a record is in one group at most. */
  readonly households: readonly (readonly number[])[];
  readonly sexAndBirthYears: readonly (readonly number[])[];
  /** Pairs of patients. */
  readonly confusables: readonly (readonly [number, number])[];
  /** The split to draw in, and how many. */
  readonly split: number;
  readonly count: number;
  readonly hardShare: number;
  readonly seed: number;
};

/** Draws pairs of two patients of one split, none twice; fewer than asked where the data has no more. */
export function drawNegatives(options: NegativeOptions): Pairs & { readonly kinds: readonly NegativeKind[] } {
  const { patients, splits, split, count, hardShare, seed } = options;
  const records = patients.length;
  const found = new Map<number, NegativeKind>();
  const counts = { random: 0, confusable: 0, household: 0, same_sex_and_birth_year: 0 };
  const add = (a: number, b: number, kind: NegativeKind): void => {
    if (patients[a] === patients[b] || splits[a] !== split || splits[b] !== split) return;
    const key = Math.min(a, b) * records + Math.max(a, b);
    if (found.has(key)) return;
    found.set(key, kind);
    counts[kind] += 1;
  };
  const hard = Math.round(count * hardShare);
  const draw = random(seed, 'negatives', split);

  const third = Math.floor(hard / 3);
  for (const [kind, pairs] of [
    ['confusable', confusableRecords(options)],
    ['household', pairsWithin(options.households)],
  ] as const) {
    for (const [a, b] of draw.shuffle(pairs)) {
      if (counts[kind] >= third) break;
      add(a, b, kind);
    }
  }
  const groups = options.sexAndBirthYears
    .map((group) => group.filter((record) => splits[record] === split))
    .filter(({ length }) => length > 1);
  const until = (total: number, kind: NegativeKind, pick: () => readonly [number, number]) => {
    for (let attempt = 0; attempt < 20 * count && found.size < total; attempt++) add(...pick(), kind);
  };
  if (groups.length > 0) {
    const place = cumulative(groups.map(({ length }) => (length * (length - 1)) / 2));
    until(hard, 'same_sex_and_birth_year', () => {
      const group = groups[place(draw.float())]!;
      return [draw.pick(group), draw.pick(group)];
    });
  }
  const inSplit = [...splits.keys()].filter((record) => splits[record] === split);
  if (inSplit.length > 1) until(count, 'random', () => [draw.pick(inSplit), draw.pick(inSplit)]);

  const keys = [...found.keys()].sort((a, b) => a - b);
  return {
    left: Int32Array.from(keys, (key) => Math.floor(key / records)),
    right: Int32Array.from(keys, (key) => key % records),
    kinds: keys.map((key) => found.get(key)!),
  };
}

/** Every record of one patient beside every record of its look-alike. */
function confusableRecords({ patients, confusables }: NegativeOptions): (readonly [number, number])[] {
  const recordsOf = new Map<number, number[]>();
  for (const [record, patient] of patients.entries()) recordsOf.set(patient, [...(recordsOf.get(patient) ?? []), record]);
  return confusables.flatMap(([a, b]) =>
    (recordsOf.get(a) ?? []).flatMap((left) => (recordsOf.get(b) ?? []).map((right) => [left, right] as const)),
  );
}

const pairsWithin = (groups: readonly (readonly number[])[]): (readonly [number, number])[] =>
  groups.flatMap((group) => group.flatMap((left, i) => group.slice(i + 1).map((right) => [left, right] as const)));

/** Turns a uniform number into an index drawn by weight. */
function cumulative(weights: readonly number[]): (uniform: number) => number {
  let sum = 0;
  const sums = weights.map((weight) => (sum += weight));
  return (uniform) => {
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! > uniform * sum) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
