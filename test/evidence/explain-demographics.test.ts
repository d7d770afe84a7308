import { describe, expect, test } from 'vitest';

import { buildDemographics } from '../../src/evidence/demographics.ts';
import { type DemographicTheme, describeDemographics } from '../../src/evidence/explain-demographics.ts';
import { Database } from '../../src/sql/duckdb.ts';
import { createRecords, type TestRecord } from './records-table.ts';

describe('demographic facts in words', () => {
  test.each<{ theme: DemographicTheme; left: TestRecord; right: TestRecord; words: string }>([
    {
      theme: 'first name',
      left: { first_name: 'Ann' },
      right: { first_name: 'Ann' },
      words: 'First name agrees (Ann, on no other record)',
    },
    {
      theme: 'last name',
      left: { last_name: 'Smith' },
      right: { last_name: 'Smyth' },
      words: 'Last name differs in one letter (Smith / Smyth)',
    },
    {
      theme: 'last name',
      left: { last_name: 'Smith' },
      right: { last_name: 'Kowalski' },
      words: 'Last name differs altogether (Smith / Kowalski)',
    },
    {
      theme: 'maiden name',
      left: { last_name: 'Jones', maiden_name: 'Smith' },
      right: { last_name: 'Smith' },
      words: 'Last name on one record is the maiden name on the other (Smith)',
    },
    {
      theme: 'birth date',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1961-03-12' },
      words: 'Birth date agrees (12 Mar 1961)',
    },
    {
      theme: 'birth date',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1961-12-03' },
      words: 'Birth date has day and month swapped (12 Mar 1961 / 3 Dec 1961)',
    },
    {
      theme: 'birth date',
      left: { birthdate: '1961-03-12' },
      right: { birthdate: '1962-03-12' },
      words: 'Birth date differs by a year (12 Mar 1961 / 12 Mar 1962)',
    },
    { theme: 'birth date', left: {}, right: { birthdate: '1961-03-12' }, words: 'Birth date missing on one record' },
    { theme: 'SSN', left: { ssn: '999112222' }, right: { ssn: '999112223' }, words: 'SSN differs in one digit' },
    { theme: 'SSN', left: { ssn: '999112222' }, right: { ssn: '991912222' }, words: 'SSN has two neighbouring digits swapped' },
    { theme: 'SSN', left: { ssn: '999112222' }, right: { ssn: '999112222' }, words: 'SSN agrees (ends 2222)' },
    { theme: 'SSN', left: {}, right: {}, words: 'SSN missing on both records' },
    { theme: 'zip', left: { zip: '00000' }, right: { zip: '00000' }, words: 'ZIP missing on both records' },
    {
      theme: 'address',
      left: { address_canonical: '12 oak st' },
      right: { address_canonical: '12 oak st' },
      words: 'Address agrees (12 Oak St, on no other record)',
    },
  ])('$theme: $words', async ({ theme, left, right, words }) => {
    await using db = await Database.open({ threads: 1 });
    await createRecords(db, [left, right]);
    const demographics = await buildDemographics(db);
    expect(describeDemographics(demographics, theme, 0, 1)).toBe(words);
    if (!/ \/ /.test(words)) expect(describeDemographics(demographics, theme, 1, 0)).toBe(words);
  });
});
