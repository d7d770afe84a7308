// Two ready models over the table `records`: the reference system's, to compare with, and ours, richer in levels, to find candidates.
// Both are ordinary Splink models: `toSplinkJson` writes them, Splink runs them.

import type { BlockingRule, Comparison, Condition, Level, LinkageSettings } from './settings.ts';
import type { TrainingPlan } from './training.ts';

const day = 86_400;
const birthText = "strftime(birthdate, '%Y-%m-%d')";

/** Levels null, the conditions from best to worst, else; rarity counts on the first one when asked for. */
function comparison(name: string, column: string, conditions: readonly Condition[], { rarity = false } = {}): Comparison {
  const levels = conditions.map((condition, i): Level => ({ condition, ...(rarity && i === 0 ? { termFrequency: { column } } : {}) }));
  return { name, levels: [{ condition: { kind: 'null', column }, isNull: true }, ...levels, { condition: { kind: 'else' } }] };
}

const exact = (column: string, other?: string): Condition => ({ kind: 'exact', column, ...(other ? { other } : {}) });
const edits = (column: string, atMost: number, other?: string): Condition => ({
  kind: 'damerauLevenshtein',
  column,
  ...(other ? { other } : {}),
  atMost,
});
const alike = (column: string, atLeast: number): Condition => ({ kind: 'jaroWinkler', column, atLeast });
const within = (column: string, atMost: number): Condition => ({ kind: 'difference', column, atMost });
const both = (...conditions: Condition[]): Condition => ({ kind: 'and', conditions });
const either = (...conditions: Condition[]): Condition => ({ kind: 'or', conditions });

const rule = (...on: string[]): BlockingRule => ({ on });
const [f3, l3, f1, l1] = ['substr(first_name, 1, 3)', 'substr(last_name, 1, 3)', 'substr(first_name, 1, 1)', 'substr(last_name, 1, 1)'];

/** The reference's comparisons and its 25 rules: what "Splink's settings" means in every table of results. */
export const referenceSettings: LinkageSettings = {
  linkType: 'dedupe_only',
  uniqueId: 'record_id',
  prior: 1e-4,
  comparisons: [
    comparison('first_name', 'first_name', [exact('first_name'), alike('first_name', 0.92), alike('first_name', 0.8)], { rarity: true }),
    comparison('last_name', 'last_name', [exact('last_name'), alike('last_name', 0.92), alike('last_name', 0.8)], { rarity: true }),
    comparison('address', 'address', [exact('address'), alike('address', 0.9), alike('address', 0.7)]),
    comparison('city', 'city', [exact('city'), alike('city', 0.9), alike('city', 0.7)], { rarity: true }),
    comparison('zip', 'zip', [exact('zip')]),
    comparison('ssn', 'ssn', [exact('ssn')]),
    comparison('birthdate', 'birthdate', [
      exact('birthdate'),
      edits(birthText, 1),
      within('epoch(birthdate)', 2_629_800),
      within('epoch(birthdate)', 31_557_600),
      within('epoch(birthdate)', 315_576_000),
    ]),
  ],
  blockingRules: [
    rule('last_name', 'city'),
    rule('zip', 'birth_year'),
    rule('first_name', 'birth_year'),
    rule('ssn'),
    rule('birthdate'),
    rule('first_name', 'zip'),
    rule('address'),
    rule(l3, 'birth_year', 'zip'),
    rule(f3, 'last_name'),
    rule('last_name'),
    rule('birth_year'),
    rule('first_name'),
    rule(f3, 'birth_year'),
    rule(l3, 'birth_year'),
    rule('zip'),
    rule('city'),
    rule('gender', 'birth_year'),
    rule('gender', f3),
    rule('gender', l3),
    rule('gender', f1, l1),
    rule('soundex_first_name', 'soundex_last_name'),
    rule('gender', 'soundex_first_name'),
    rule('gender', 'soundex_last_name'),
    rule('soundex_first_name', 'birth_year'),
    rule('soundex_last_name', 'birth_year'),
  ],
};

export const referenceTraining: TrainingPlan = {
  deterministicRules: [rule('ssn'), rule('first_name', 'last_name', 'birthdate')],
  recall: 0.7,
  emRules: [rule('birthdate'), rule('last_name', 'city'), rule('ssn')],
  samplePairs: 500_000,
};

/** 00000 stands for an unknown ZIP in Synthea, and in many registries. */
const zip = "nullif(zip, '00000')";
/** The name one is born with, as far as it is known: survives marriage and the use of a maiden name. */
const birthName = 'coalesce(maiden_name, last_name)';

const birthMonthAndDay = "strftime(birthdate, '%m-%d')";

/** Our comparisons: typing errors by edits, swapped dates, maiden names, addresses in one form. One record per facility and patient. */
export const clinicalRecordSettings: LinkageSettings = {
  linkType: 'link_only',
  uniqueId: 'record_id',
  source: 'facility_id',
  prior: 1e-4,
  comparisons: [
    comparison(
      'first_name',
      'first_name',
      [
        exact('first_name'),
        edits('first_name', 1),
        both(edits('first_name', 2), alike('first_name', 0.7)),
        both(edits('first_name', 3), alike('first_name', 0.7)),
        exact(f1),
      ],
      { rarity: true },
    ),
    comparison(
      'last_name',
      'last_name',
      [
        exact('last_name'),
        edits('last_name', 1),
        either(exact('last_name', 'maiden_name'), exact('maiden_name', 'last_name')),
        both(edits('last_name', 2), alike('last_name', 0.7)),
        both(edits('last_name', 3), alike('last_name', 0.7)),
        either(edits('last_name', 2, 'maiden_name'), edits('maiden_name', 2, 'last_name')),
        exact(l1),
      ],
      { rarity: true },
    ),
    comparison('birthdate', 'birthdate', [
      exact('birthdate'),
      within('epoch(birthdate)', day),
      either(exact(birthText, "strftime(birthdate, '%Y-%d-%m')"), edits(birthText, 1)),
      within('epoch(birthdate)', 31 * day),
      both(within('epoch(birthdate)', 367 * day), exact(birthMonthAndDay)),
      within('epoch(birthdate)', 400 * day),
      edits(birthText, 2),
      within('epoch(birthdate)', 3653 * day),
    ]),
    comparison('ssn', 'ssn', [exact('ssn'), edits('ssn', 1), edits('ssn', 2)]),
    comparison('address', 'address_canonical', [
      exact('address_canonical'),
      edits('address_canonical', 2),
      alike('address_canonical', 0.9),
      alike('address_canonical', 0.75),
    ]),
    comparison('city', 'city_canonical', [exact('city_canonical'), alike('city_canonical', 0.9)], { rarity: true }),
    comparison('zip', zip, [exact(zip), exact(`substr(${zip}, 1, 3)`)]),
    comparison('gender', 'gender', [exact('gender')]),
  ],
  blockingRules: [
    rule('ssn'),
    rule('birthdate'),
    rule('last_name', 'first_name'),
    rule('address_canonical'),
    rule('first_name', 'birth_year'),
    rule(birthName, 'birth_year'),
    rule('first_name', 'city_canonical'),
    rule('substr(ssn, 1, 5)'),
    rule('substr(ssn, 6, 4)'),
    rule('gender', birthMonthAndDay),
    rule('gender', 'substr(first_name, 1, 2)'),
    // The widest one: wide enough to find whom typing errors hide from all others, and growing with the square of the records.
    rule('gender', `substr(${birthName}, 1, 1)`),
  ],
  retain: ['maiden_name', 'birth_year', 'soundex_first_name', 'soundex_last_name'],
};

export const clinicalRecordTraining: TrainingPlan = {
  deterministicRules: [rule('ssn', 'first_name'), rule('first_name', 'last_name', 'birthdate')],
  recall: 0.35,
  emRules: [rule('birthdate'), rule('last_name', 'first_name'), rule('ssn')],
  // A registry never shows that a true match cannot differ; without a floor, a zip that always agreed would forbid what it has not seen.
  minimumM: 0.002,
};
