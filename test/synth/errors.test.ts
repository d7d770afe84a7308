import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { damage, errorClasses } from '../../src/synth/errors/damage.ts';
import { damagedFields, type PatientFields } from '../../src/synth/errors/error-class.ts';
import { errorCategories, injectSettings } from '../../src/synth/settings.ts';

const row: PatientFields = {
  BIRTHDATE: '1980-02-29',
  SSN: '999-16-3595',
  DRIVERS: 'S99988707',
  PASSPORT: 'X41256237X',
  FIRST: 'Robert',
  LAST: "O'Keefe",
  MAIDEN: 'Price',
  GENDER: 'F',
  ADDRESS: '12 Stokes Lane Apt 7',
  CITY: 'West Boylston',
  ZIP: '01583',
};
const classes = errorCategories.flatMap((category) => errorClasses[category]);

/** Every outcome that many streams give. */
function outcomes(name: string, value: string, fields: Partial<PatientFields> = {}, tries = 400): ReadonlySet<string | null> {
  const found = classes.find((one) => one.name === name)!;
  return new Set(Array.from({ length: tries }, (_, i) => found.apply(value, random(i, name), { ...row, ...fields })));
}

describe('error classes', () => {
  test.each([
    ['nickname_substitution', 'Robert', ['BOB']],
    ['nickname_substitution', 'margaret12', ['PEGGY']],
    ['nickname_substitution', 'Abel', ['Abel']],
    ['maiden_name_usage', "O'Keefe", ['Price']],
    ['ssn_format_variation', '999-16-3595', ['999163595']],
    ['ssn_format_variation', '999163595', ['999-16-3595']],
    ['ssn_format_variation', '99916', ['99916']],
    ['ssn_transposition', '111-11-1112', ['111-11-1112', '111-11-1121']],
    ['date_off_by_one', '2000-02-28', ['2000-02-27', '2000-02-29', '2000-01-29', '2000-03-29', '1999-02-28', '2001-02-27']],
    ['date_digit_transposition', '1980-03-04', ['1980-04-03']],
    ['date_digit_transposition', '1981-03-31', ['1918-03-31']],
    ['date_digit_transposition', '1988-05-05', ['1988-05-05']],
    ['date_digit_transposition', '1984-02-29', ['1948-02-29']],
    ['date_digit_transposition', '2012-02-29', ['2012-02-29']],
    ['date_digit_transposition', '2019-03-31', ['2019-03-31']],
    ['address_abbreviation', '12 Oak Street', ['12 OAK ST', '12 OAK ST.', '12 OAK STR']],
    ['address_abbreviation', '12 Oak Rd', ['12 OAK ROAD', '12 OAK RD.']],
    ['address_abbreviation', '12 Way', ['12 Way']],
    ['apartment_format_variation', '1 Elm Unit 70', ['1 ELM APARTMENT 70', '1 ELM APT 70', '1 ELM APT. 70', '1 ELM #70', '1 ELM NO. 70']],
    ['apartment_format_variation', '1 Elm', ['1 ELM']],
    ['extra_whitespace', 'Mary Ann', ['Mary  Ann', 'Mary   Ann', 'Mary    Ann']],
    ['extra_whitespace', 'Mary', ['Mary']],
    ['special_character_variation', "O'Keefe", ["O'Keefe.", 'OKeefe']],
    ['special_character_variation', '-', ['-.', '-']],
    ['missing_whitespace', '12 Oak Street', ['12OakStreet']],
    ['gender_flip', 'M', ['F']],
    ['gender_flip', 'U', ['U']],
    ['missing_field_value', '01583', [null]],
    ['name_typo', 'A', ['A']],
    ['multi_character_name_typo', 'Abe', ['Abe']],
  ] as const)('%s of %j gives one of %j', (name, value, expected) => {
    const seen = outcomes(name, value);
    expect([...seen].sort()).toEqual([...expected].sort());
  });

  test('a street word is replaced inside other words too, as a careless search and replace does', () => {
    expect([...outcomes('address_abbreviation', '12 Stokes Way')].sort()).toEqual([
      '12 ST.OKES WAY',
      '12 STREETOKES WAY',
      '12 STROKES WAY',
    ]);
  });

  test('a slip of the finger never hits the first letter, and hits a neighbouring key of the same case about half the time', () => {
    for (const typed of outcomes('name_typo', 'Wolf')) {
      expect(typed).toHaveLength(4);
      expect(typed![0]).toBe('W');
      expect([...typed!].filter((letter, i) => letter !== 'Wolf'[i]).length).toBe(1);
    }
    const seen = outcomes('name_typo', 'Wo');
    for (const neighbour of 'ipl') expect(seen).toContain(`W${neighbour}`);
  });

  test('several slips change two or three letters at most', () => {
    for (const typed of outcomes('multi_character_name_typo', 'Robert')) {
      const wrong = [...typed!].filter((letter, i) => letter !== 'Robert'[i]).length;
      expect(wrong).toBeGreaterThanOrEqual(1);
      expect(wrong).toBeLessThanOrEqual(3);
    }
  });

  test('a wrong digit keeps the dashes', () => {
    for (const number of outcomes('ssn_digit_error', '999-16-3595')) expect(number).toMatch(/^\d{3}-\d\d-\d{4}$/);
  });

  test('documents keep their shape', () => {
    for (const number of outcomes('passport_error', 'X41256237X')) expect(number).toMatch(/^[A-Z]\d{8}[A-Z]$/);
    for (const number of outcomes('drivers_license_error', 'S99988707')) expect(number).toMatch(/^[A-Z]\d{8}$/);
  });

  test('no class is given a field it does not list, and every name is its own', () => {
    expect(new Set(classes.map(({ name }) => name)).size).toBe(classes.length);
    for (const { fields } of classes) for (const field of fields) expect(damagedFields).toContain(field);
    expect(errorClasses.missing_data.flatMap(({ fields }) => fields)).not.toContain('FIRST');
  });
});

const text = fc.oneof(fc.constant(null), fc.string({ maxLength: 12 }), fc.constantFrom('Robert', "O'Keefe", '12 Oak Street Apt 7', '-'));
const fields = fc.record({
  BIRTHDATE: fc.oneof(
    fc.constant(null),
    fc
      .date({ min: new Date('1900-01-01'), max: new Date('2025-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString().slice(0, 10)),
  ),
  SSN: fc.oneof(fc.constant(null), fc.stringMatching(/^[0-9]{3}-?[0-9]{2}-?[0-9]{4}$/)),
  DRIVERS: text,
  PASSPORT: text,
  FIRST: text,
  LAST: text,
  MAIDEN: text,
  GENDER: fc.constantFrom('M', 'F', null),
  ADDRESS: text,
  CITY: text,
  ZIP: fc.oneof(fc.constant(null), fc.stringMatching(/^[0-9]{5}$/)),
});
const who = { facility: 1, patient: 'p' };

describe('damage', () => {
  test('with the default weights it never touches gender or documents, and never blanks a name', () => {
    fc.assert(
      fc.property(fields, fc.nat(), (before, seed) => {
        const { fields: after } = damage(before, { ...who, settings: injectSettings.parse({ error_seed: seed }) });
        for (const field of ['GENDER', 'DRIVERS', 'PASSPORT'] as const) expect(after[field]).toBe(before[field]);
        for (const field of ['FIRST', 'LAST', 'MAIDEN'] as const) {
          expect((after[field] ?? '').trim() === '').toBe((before[field] ?? '').trim() === '');
        }
      }),
    );
  });

  test('the log, played back on the row before, gives the row after; and holds only real changes', () => {
    const weights = Object.fromEntries(errorCategories.map((category) => [category, 1 / errorCategories.length]));
    fc.assert(
      fc.property(fields, fc.nat(), (before, seed) => {
        const settings = injectSettings.parse({ error_seed: seed, error_weights: weights });
        const { fields: after, changes, attempts } = damage(before, { ...who, settings });
        const played: Record<string, string | null> = { ...before };
        for (const { field, original, errored } of changes) {
          expect(played[field]).toBe(original);
          expect(errored).not.toBe(original);
          played[field] = errored;
        }
        expect(played).toEqual(after);
        expect(changes.length).toBeLessThanOrEqual(attempts);
      }),
    );
  });

  test('a blanked value stays blank', () => {
    fc.assert(
      fc.property(fields, fc.nat(), (before, seed) => {
        const settings = injectSettings.parse({
          error_seed: seed,
          min_errors: 12,
          error_weights: { missing_data: 0.5, address_error: 0.5 },
        });
        const { changes } = damage(before, { ...who, settings });
        const blanked = new Set<string>();
        for (const { field, errored } of changes) {
          expect(blanked).not.toContain(field);
          if (errored === null) blanked.add(field);
        }
      }),
    );
  });

  test('attempts keep to the settings: none, one, or between the least and the most', () => {
    const attempts = (keys: object) =>
      new Set(
        Array.from(
          { length: 300 },
          (_, i) => damage(row, { facility: 1, patient: String(i), settings: injectSettings.parse(keys) }).attempts,
        ),
      );
    expect([...attempts({ global_error_rate: 0 })]).toEqual([0]);
    expect([...attempts({ multiple_errors_probability: 0 })]).toEqual([1]);
    expect([...attempts({})].sort((a, b) => a - b)).toEqual([1, 8, 9, 10, 11, 12]);
  });

  test('the same record, facility and seed suffer the same; another facility or seed does not', () => {
    const settings = injectSettings.parse({ multiple_errors_probability: 1 });
    const at = (facility: number, seed = 99) => damage(row, { facility, patient: 'p', settings: { ...settings, seed } }).changes;
    expect(at(1)).toEqual(at(1));
    expect(at(1)).not.toEqual(at(2));
    expect(at(1)).not.toEqual(at(1, 100));
  });

  test('a second attempt of the same class draws anew', () => {
    const settings = injectSettings.parse({ multiple_errors_probability: 1, error_weights: { ssn_error: 1 } });
    const digits = Array.from({ length: 50 }, (_, i) => damage(row, { facility: 1, patient: String(i), settings }))
      .map(({ changes }) => changes.filter(({ errorType }) => errorType === 'ssn_digit_error').map(({ errored }) => errored))
      .filter((seen) => seen.length > 1);
    expect(digits.some((seen) => new Set(seen).size > 1)).toBe(true);
  });
});
