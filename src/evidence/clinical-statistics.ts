// What the clinical features need to know about a population: which codes are rare, which are met in both records of one patient,
// how often a vaccine is given, and at which age facts are seen. Learned from the training population and stored in the model, so
// that a pair's evidence never depends on the data it is scored among, nor on its size.
//
//   rarity(code)     = -ln max(share of records with it, 1/1000)
//   both(code), one(code) = ln [ P(both records have it | same) / P(| different) ], and the same for one of the two, against neither
//
// Each ratio is drawn towards 0 (no evidence) by as many pairs as `shrinkage`, so a code seen in a few patients says little.

import { z } from 'zod';

import { type AgeStatistics, factNames, learnAges } from './implied-age.ts';
import { codeDomains, type Facts, type Profiles } from './profile.ts';

/** Learned facts about the training population; plain data, part of the model file. */
export type ClinicalStatistics = {
  /** Per fact (`domain code`): rarity, weight when both records have it, weight when one has it. */
  readonly codes: Readonly<Record<string, readonly [rarity: number, both: number, one: number]>>;
  /** Per vaccine code: shortest usual gap between two doses in months, and most doses usually given. */
  readonly vaccines: Readonly<Record<string, readonly [shortestGap: number, mostDoses: number]>>;
  readonly ages: AgeStatistics;
};

export const clinicalStatisticsSchema = z.object({
  codes: z.record(z.string(), z.tuple([z.number(), z.number(), z.number()])),
  vaccines: z.record(z.string(), z.tuple([z.number(), z.number()])),
  ages: z.object({ temper: z.number(), prior: z.array(z.number()), facts: z.record(z.string(), z.array(z.number())) }),
});

/** Rarity of a code that the training population hardly has. */
export const greatestRarity = Math.log(1000);

/** Who the training records belong to. */
export type People = {
  /** One number per patient; records with the same number are the same patient, those with -1 are left out. */
  readonly patient: Int32Array;
  /** Fractional year; NaN where unknown. */
  readonly birthYear: Float32Array;
};

/**
 * Learns the statistics from a training population whose true patients are known.
 *
 * @param people records whose patient is -1 teach nothing: those held out
 */
export function learnClinicalStatistics(profiles: Profiles, people: People): ClinicalStatistics {
  const birthYear = people.birthYear.map((year, record) => (people.patient[record]! < 0 ? Number.NaN : year));
  const names = factNames(profiles);
  const codes: Record<string, [number, number, number]> = {};
  for (const domain of codeDomains) {
    const learned = learnCodes(profiles.facts[domain], people.patient);
    names[domain].forEach((name, c) => {
      codes[name] = learned[c]!;
    });
  }
  return { codes, vaccines: learnVaccines(profiles.facts.immunizations), ages: learnAges(profiles, birthYear) };
}

const shrinkage = 20;

/** Rarity and pair weights of every code of one table. */
function learnCodes({ codes, start, code }: Facts, patient: Int32Array): [number, number, number][] {
  const groups = groupsOf(patient);
  const recordCount = groups.reduce((sum, group) => sum + group.length, 0);
  const records = new Float64Array(codes.length);
  const both = new Float64Array(codes.length);
  const either = new Float64Array(codes.length);
  for (const group of groups) {
    const has = new Map<number, number>();
    for (const record of group) {
      for (let at = start[record]!; at < start[record + 1]!; at++) {
        if (at === start[record] || code[at] !== code[at - 1]) has.set(code[at]!, (has.get(code[at]!) ?? 0) + 1);
      }
    }
    for (const [c, holders] of has) {
      records[c]! += holders;
      both[c]! += (holders * (holders - 1)) / 2;
      either[c]! += holders * (group.length - holders);
    }
  }
  const pairs = groups.reduce((sum, group) => sum + (group.length * (group.length - 1)) / 2, 0);
  const round = (x: number) => Math.round(x * 1000) / 1000;
  return codes.map((_, c) => {
    const share = records[c]! / recordCount;
    const ratio = (count: number, chance: number) => Math.log((count + shrinkage * chance) / (pairs + shrinkage) / chance);
    const neither = ratio(pairs - both[c]! - either[c]!, (1 - share) ** 2);
    return [
      round(Math.min(greatestRarity, -Math.log(Math.max(share, 1e-9)))),
      round(ratio(both[c]!, share ** 2 + 1e-9) - neither),
      round(ratio(either[c]!, 2 * share * (1 - share) + 1e-9) - neither),
    ];
  });
}

/** Shortest gap and most doses, each such that only one record in a hundred goes beyond. */
function learnVaccines({ codes, start, code, month }: Facts): Record<string, [number, number]> {
  const gaps: number[][] = codes.map(() => []);
  const doses: number[][] = codes.map(() => []);
  for (let record = 0; record + 1 < start.length; record++) {
    let count = 0;
    for (let at = start[record]!; at < start[record + 1]!; at++) {
      const isSame = at > start[record]! && code[at] === code[at - 1];
      count = isSame ? count + 1 : 1;
      if (isSame) gaps[code[at]!]!.push(month[at]! - month[at - 1]!);
      if (at + 1 === start[record + 1] || code[at + 1] !== code[at]) doses[code[at]!]!.push(count);
    }
  }
  const at = (values: number[], share: number, none: number) =>
    values.length === 0 ? none : values.sort((a, b) => a - b)[Math.floor(share * (values.length - 1))]!;
  return Object.fromEntries(codes.map((name, c) => [name, [at(gaps[c]!, 0.01, 0), at(doses[c]!, 0.99, 1)]]));
}

function groupsOf(patient: Int32Array): number[][] {
  const groups = new Map<number, number[]>();
  patient.forEach((person, record) => {
    if (person < 0) return;
    const group = groups.get(person);
    if (group) group.push(record);
    else groups.set(person, [record]);
  });
  return [...groups.values()];
}
