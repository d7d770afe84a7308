// The model that speed is measured with: seven comparisons and six rules, as users of Splink write them for a table of people.
//
// At 1 M records the rules propose 22.2 M different pairs (birthdate 15.7 M, last name + city 4.1 M, first + last name 1.8 M, first name +
// ZIP 1.4 M, address 0.8 M, SSN 0.5 M, overlaps apart), at 100 k 278 k, at 10 k 8.5 k: bench/people.ts, seed 1.

import { writeFileSync } from 'node:fs';

import type { Comparison, Condition, LinkageSettings } from '../../src/linkage/settings.ts';
import { toSplinkJson } from '../../src/linkage/splink-json.ts';

/** Levels null, the conditions from best to worst, else; rarity counts on the first where asked for. */
export const comparison = (column: string, conditions: readonly Condition[], rarity = false): Comparison => ({
  name: column,
  levels: [
    { condition: { kind: 'null', column }, isNull: true },
    ...conditions.map((condition, i) => ({ condition, ...(rarity && i === 0 ? { termFrequency: { column } } : {}) })),
    { condition: { kind: 'else' } },
  ],
});
export const exact = (column: string): Condition => ({ kind: 'exact', column });
export const alike = (column: string, atLeast: number): Condition => ({ kind: 'jaroWinkler', column, atLeast });
export const edits = (column: string, atMost: number): Condition => ({ kind: 'damerauLevenshtein', column, atMost });
const within = (column: string, atMost: number): Condition => ({
  kind: 'difference',
  column: `epoch(try_strptime(${column}, '%Y-%m-%d'))`,
  atMost,
});

export const speedSettings: LinkageSettings = {
  // Splink's defaults: values and levels are written, frequencies and Bayes factors are not.
  retainMatching: true,
  retainIntermediate: false,
  linkType: 'dedupe_only',
  uniqueId: 'unique_id',
  prior: 1e-4,
  comparisons: [
    comparison('first_name', [exact('first_name'), alike('first_name', 0.92), alike('first_name', 0.8)], true),
    comparison('last_name', [exact('last_name'), alike('last_name', 0.92), alike('last_name', 0.8)], true),
    comparison('address', [exact('address'), alike('address', 0.9), alike('address', 0.7)]),
    comparison('city', [exact('city'), alike('city', 0.9), alike('city', 0.7)], true),
    comparison('zip', [exact('zip')]),
    comparison('ssn', [exact('ssn')]),
    comparison('birthdate', [
      exact('birthdate'),
      edits('birthdate', 1),
      // A month, a year, ten years, in seconds.
      within('birthdate', 2_629_800),
      within('birthdate', 31_557_600),
      within('birthdate', 315_576_000),
    ]),
  ],
  blockingRules: [
    { on: ['ssn'] },
    { on: ['first_name', 'last_name'] },
    { on: ['last_name', 'city'] },
    { on: ['first_name', 'zip'] },
    { on: ['birthdate'] },
    { on: ['address'] },
  ],
};

export type Training = {
  readonly deterministic_rules: readonly string[];
  readonly recall: number;
  readonly u_max_pairs: number;
  readonly em_rules: readonly string[];
  readonly max_pairs?: number;
};

/** How both engines train: a `training` block as docs/linkage.md describes it and bench/peers/splink-link.py reads it. */
export const speedTraining: Training = {
  deterministic_rules: ['l.ssn = r.ssn', 'l.first_name = r.first_name and l.last_name = r.last_name and l.birthdate = r.birthdate'],
  recall: 0.7,
  u_max_pairs: 1e6,
  em_rules: ['l.birthdate = r.birthdate', 'l.last_name = r.last_name and l.city = r.city', 'l.ssn = r.ssn'],
};

/** Writes settings with their training as one Splink model file, the same for both engines. */
export function writeModel(file: string, settings: LinkageSettings, training?: Training): string {
  writeFileSync(file, JSON.stringify({ ...(toSplinkJson(settings) as object), ...(training ? { training } : {}) }));
  return file;
}
