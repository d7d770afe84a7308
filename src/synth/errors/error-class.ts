// One kind of damage: which fields it may hit and what it does to the text it finds there.

import type { Random } from '../../base/random.ts';

/** Fields of a patient row that can be damaged. Dates are `YYYY-MM-DD`. */
export const damagedFields = [
  'BIRTHDATE',
  'SSN',
  'DRIVERS',
  'PASSPORT',
  'FIRST',
  'LAST',
  'MAIDEN',
  'GENDER',
  'ADDRESS',
  'CITY',
  'ZIP',
] as const;
export type DamagedField = (typeof damagedFields)[number];

/** The damageable part of a patient row as it stands now; null is missing. */
export type PatientFields = { readonly [Field in DamagedField]: string | null };

export type ErrorClass = {
  /** The name in the error log. */
  readonly name: string;
  readonly fields: readonly DamagedField[];
  /** The damaged value; the same value where this kind of damage cannot be done to it; null to blank it. Never called for a blank value. */
  readonly apply: (value: string, stream: Random, row: PatientFields) => string | null;
};

/** Null, empty, or nothing but white space. */
export function isBlank(value: string | null): value is null {
  return value === null || value.trim() === '';
}
