// Damages one patient row: how many attempts, of which kinds, on which fields.
//
// Idea: a record is touched with probability errorRate; it then gets one attempt, or (probability manyProbability) minErrors to
// maxErrors of them. Each attempt draws a category by weight, a class of it, one of the class's fields, and changes the value as it
// stands by then. An attempt that changes nothing (a blank field, no nickname known) is an attempt all the same, but is not logged.
// A blanked value stays blank: no later attempt may bring it back.
//
// Streams are named (seed, facility, patient, attempt): what one record suffers depends on no other record and no row order, and a
// second attempt of the same class draws anew.

import { random } from '../../base/random.ts';
import { type ErrorCategory, errorCategories, type InjectSettings } from '../settings.ts';
import { addressErrors } from './addresses.ts';
import { dateErrors } from './dates.ts';
import { type DamagedField, type ErrorClass, isBlank, type PatientFields } from './error-class.ts';
import { formattingErrors, missingErrors, whitespaceErrors } from './formatting.ts';
import { documentErrors, genderErrors, ssnErrors } from './identifiers.ts';
import { nameErrors } from './names.ts';

/** Every class of damage by category; a category without weight is never drawn. */
export const errorClasses: { readonly [Category in ErrorCategory]: readonly ErrorClass[] } = {
  name_variation: nameErrors,
  address_error: addressErrors,
  date_variation: dateErrors,
  ssn_error: ssnErrors,
  formatting_error: formattingErrors,
  missing_data: missingErrors,
  gender_error: genderErrors,
  document_error: documentErrors,
  missing_whitespace: whitespaceErrors,
};

/** One real change; null is missing. */
export type Change = {
  readonly field: DamagedField;
  readonly errorType: string;
  readonly original: string | null;
  readonly errored: string | null;
};

export type Damaged = { readonly fields: PatientFields; readonly attempts: number; readonly changes: readonly Change[] };

/** Damages one patient row of one facility. */
export function damage(
  row: PatientFields,
  { facility, patient, settings }: { readonly facility: number; readonly patient: string; readonly settings: InjectSettings },
): Damaged {
  const { seed, errorRate, manyProbability, minErrors, maxErrors, weights } = settings;
  const plan = random(seed, 'damage', facility, patient);
  const touched = plan.float() < errorRate;
  const many = plan.float() < manyProbability;
  const several = plan.integer(minErrors, maxErrors);
  const attempts = touched ? (many ? several : 1) : 0;

  const drawn = errorCategories.filter((category) => (weights[category] ?? 0) > 0);
  const shares = drawn.map((category) => weights[category]!);
  const fields: { [Field in DamagedField]: string | null } = { ...row };
  const changes: Change[] = [];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const stream = random(seed, 'damage', facility, patient, attempt);
    const errorClass = stream.pick(errorClasses[drawn[stream.weighted(shares)]!]);
    const field = stream.pick(errorClass.fields);
    const original = fields[field];
    if (isBlank(original)) continue;
    const errored = errorClass.apply(original, stream, fields);
    if (errored === original) continue;
    fields[field] = errored;
    changes.push({ field, errorType: errorClass.name, original, errored });
  }
  return { fields, attempts, changes };
}
