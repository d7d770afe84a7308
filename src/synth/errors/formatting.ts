// Damage that keeps the words and changes how they are written: capitals, spaces, punctuation; and values left out.

import type { Random } from '../../base/random.ts';
import type { ErrorClass } from './error-class.ts';

const capitalizations: readonly ((value: string, stream: Random) => string)[] = [
  (value) => value.toUpperCase(),
  (value) => value.toLowerCase(),
  (value) => value.toLowerCase().replace(/(^|[^\p{L}])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase()),
  (value, stream) => [...value].map((letter) => (stream.float() < 0.5 ? letter.toUpperCase() : letter.toLowerCase())).join(''),
];

export const formattingErrors: readonly ErrorClass[] = [
  {
    name: 'capitalization_error',
    fields: ['FIRST', 'LAST', 'MAIDEN', 'ADDRESS', 'CITY'],
    apply: (value, stream) => stream.pick(capitalizations)(value, stream),
  },
  {
    name: 'extra_whitespace',
    fields: ['FIRST', 'LAST', 'MAIDEN', 'ADDRESS'],
    apply: (value, stream) => {
      const words = value.split(/\s+/).filter((word) => word !== '');
      return words.length < 2 ? value : words.join(' '.repeat(stream.integer(2, 4)));
    },
  },
  {
    name: 'leading_trailing_whitespace',
    fields: ['FIRST', 'LAST', 'MAIDEN', 'ADDRESS', 'CITY', 'SSN'],
    apply: (value, stream) => {
      const [before, after] = stream.pick([
        [1, 0],
        [0, 1],
        [1, 1],
      ] as const);
      return ' '.repeat(before * stream.integer(1, 3)) + value + ' '.repeat(after * stream.integer(1, 3));
    },
  },
  {
    name: 'special_character_variation',
    fields: ['FIRST', 'LAST', 'MAIDEN'],
    apply: (value, stream) => {
      if (stream.float() < 0.5) return value.includes('.') ? value : `${value}.`;
      const bare = value.replace(/[.'-]/g, '');
      // A name is never blanked: one of nothing but punctuation stays.
      return bare.trim() === '' ? value : bare;
    },
  },
];

export const whitespaceErrors: readonly ErrorClass[] = [
  { name: 'missing_whitespace', fields: ['ADDRESS'], apply: (value) => value.replace(/\s+/g, '') },
];

export const missingErrors: readonly ErrorClass[] = [
  { name: 'missing_field_value', fields: ['SSN', 'BIRTHDATE', 'ADDRESS', 'CITY', 'ZIP'], apply: () => null },
];
