import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { canonicalAddress, canonicalCity } from '../../src/records/address.ts';

describe('canonical address', () => {
  test.each([
    {
      form: '12 oak st unit 4',
      spellings: [
        '12 Oak Street Apt. 4',
        '12 OAK ST #4',
        '12 oak st. unit 4',
        '12 Oak Str, No. 4',
        '12  OAK STREET APT4',
        '12 Oak St Suite # 4',
      ],
    },
    {
      form: '672 wiegand grv unit 52',
      spellings: ['672 Wiegand Grove, Suite 52', '672 WIEGAND GRV APARTMENT 52', '672 wiegand grove ste 52'],
    },
    { form: 'nw 3rd ave', spellings: ['N.W. 3rd Avenue', 'Northwest 3rd Av', 'nw 3RD ave.'] },
    { form: '1 obrien pkwy', spellings: ["1 O'Brien Parkway", '1 O’BRIEN PKWY', '1 obrien pky'] },
    { form: '5 no name rd', spellings: ['5 No Name Road'] },
    { form: '9 jose ln', spellings: ['9 José Lane'] },
    { form: '3 stokes ct', spellings: ['3 ST.OKES CT.', '3 Stokes Court'] },
    { form: '', spellings: ['', ' . ', '-'] },
  ])('$form', ({ form, spellings }) => {
    for (const spelling of spellings) expect(canonicalAddress(spelling)).toBe(form);
  });

  test('is its own canonical form', () => {
    const word = fc.constantFrom(
      '12',
      'Oak',
      'STREET',
      'st.',
      '#',
      'apt',
      'Apt.5',
      'no.',
      '7B',
      'North',
      'é',
      "O'X",
      ',',
      '  ',
      'unit',
      'Court',
    );
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const once = canonicalAddress(words.join(' '));
        expect(canonicalAddress(once)).toBe(once);
      }),
    );
  });
});

describe('canonical city', () => {
  test.each([
    ['SAINT-LOUIS ', 'st louis'],
    ['St. Louis', 'st louis'],
    ['Mount  Holyoke', 'mt holyoke'],
    ['North Attleborough', 'north attleborough'],
  ])('%s -> %s', (city, form) => {
    expect(canonicalCity(city)).toBe(form);
  });
});
