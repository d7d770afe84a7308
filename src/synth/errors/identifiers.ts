// Damage to identifiers: social security number, driving licence, passport; and a wrong gender.

import type { Random } from '../../base/random.ts';
import type { ErrorClass } from './error-class.ts';

const digits = [...'0123456789'];
const capitals = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];

/** Changes the digits of a number and puts the dashes back 3-2-rest if there were any. */
function onDigits(value: string, change: (digits: string[]) => void): string {
  const all = [...value.replace(/[^0-9]/g, '')];
  if (all.length < 2) return value;
  change(all);
  const joined = all.join('');
  return value.includes('-') ? dashed(joined) : joined;
}

function dashed(text: string): string {
  return `${text.slice(0, 3)}-${text.slice(3, 5)}-${text.slice(5)}`;
}

/** One character becomes another of its kind: digit, capital or small letter; others stay. */
function replaceOne(value: string, stream: Random): string {
  const letters = [...value];
  const at = stream.integer(0, letters.length - 1);
  const letter = letters[at]!;
  const kind = /[0-9]/.test(letter) ? digits : /[A-Z]/.test(letter) ? capitals : capitals.map((one) => one.toLowerCase());
  if (!kind.includes(letter)) return value;
  letters[at] = stream.pick(kind.filter((one) => one !== letter));
  return letters.join('');
}

export const ssnErrors: readonly ErrorClass[] = [
  {
    name: 'ssn_transposition',
    fields: ['SSN'],
    apply: (value, stream) =>
      onDigits(value, (all) => {
        const at = stream.integer(0, all.length - 2);
        [all[at], all[at + 1]] = [all[at + 1]!, all[at]!];
      }),
  },
  {
    name: 'ssn_digit_error',
    fields: ['SSN'],
    apply: (value, stream) =>
      onDigits(value, (all) => {
        const at = stream.integer(0, all.length - 1);
        all[at] = stream.pick(digits.filter((digit) => digit !== all[at]));
      }),
  },
  {
    name: 'ssn_format_variation',
    fields: ['SSN'],
    apply: (value) => {
      const bare = value.replace(/[^0-9]/g, '');
      if (bare.length !== 9) return value;
      return value.includes('-') ? value.replaceAll('-', '') : dashed(bare);
    },
  },
];

export const documentErrors: readonly ErrorClass[] = [
  { name: 'drivers_license_error', fields: ['DRIVERS'], apply: replaceOne },
  { name: 'passport_error', fields: ['PASSPORT'], apply: replaceOne },
];

export const genderErrors: readonly ErrorClass[] = [
  { name: 'gender_flip', fields: ['GENDER'], apply: (value) => (value === 'M' ? 'F' : value === 'F' ? 'M' : value) },
];
