import { describe, expect, test } from 'vitest';

import type { ClinicalStatistics } from '../../src/evidence/clinical-statistics.ts';
import { describeClinical } from '../../src/evidence/explain-clinical.ts';
import { type ClinicalFeatureGroup, prepareClinical } from '../../src/evidence/features.ts';
import { buildProfiles } from '../../src/evidence/profile.ts';
import { clinicalDatabase, moment, type Row, type Tables } from './clinical-tables.ts';

const statistics: ClinicalStatistics = {
  codes: {},
  vaccines: { 140: [10, 40] },
  ages: { temper: 1, prior: Array<number>(130).fill(0), facts: {} },
};

const row = (facility: number, date: string, month: number, rest: Row): Row => ({
  facility,
  PATIENT: 'ann',
  [date]: moment(month, 0.5),
  ...rest,
});
const measured = (facility: number, month: number, code: string, value: number) =>
  row(facility, 'DATE', month, { CODE: code, CATEGORY: 'vital-signs', VALUE: String(value) });
const shot = (facility: number, month: number) => row(facility, 'DATE', month, { CODE: 140 });
const condition = (facility: number, month: number) => row(facility, 'START', month, { CODE: 59621000, STOP: null });
const visit = (facility: number, month: number) => row(facility, 'START', month, { ENCOUNTERCLASS: 'ambulatory', CODE: 185349003 });

describe('clinical facts in words', () => {
  test.each<{ theme: ClinicalFeatureGroup; tables: Tables; words: string }>([
    {
      theme: 'body',
      tables: { observations: [measured(1, 400, '8302-2', 171.2), measured(2, 402, '8302-2', 171.2)] },
      words: 'Height 171.2 cm on both records within 2 months',
    },
    {
      theme: 'body',
      tables: { observations: [measured(1, 400, '8302-2', 171.2), measured(2, 437, '8302-2', 158)] },
      words: 'Height 171.2 cm and 158.0 cm, 3 years apart',
    },
    {
      theme: 'body',
      tables: { observations: [measured(1, 400, '29463-7', 70), measured(2, 400, '29463-7', 71)] },
      words: 'Weight 70.0 kg and 71.0 kg, in the same month',
    },
    { theme: 'body', tables: {}, words: 'No height or weight measured on both records' },
    {
      theme: 'vaccines',
      tables: { immunizations: [shot(1, 500), shot(2, 501)] },
      words: 'Given twice a month apart: Influenza: unlikely for one person',
    },
    {
      theme: 'vaccines',
      tables: { immunizations: [shot(1, 500), shot(2, 512)] },
      words: 'Vaccinations fit together: none given twice too soon',
    },
    {
      theme: 'conditions',
      tables: { conditions: [condition(1, 480), condition(2, 490)] },
      words: 'One diagnosis on both records: code 59621000',
    },
    { theme: 'size', tables: { encounters: [visit(1, 400), visit(1, 401), visit(2, 402)] }, words: '2 and 1 visits on record' },
    {
      theme: 'timing',
      tables: { encounters: [visit(1, 400), visit(1, 440), visit(2, 450)] },
      words: 'Visits 2002 to 2006 on one record, in 2006 on the other',
    },
    {
      theme: 'likelihood',
      tables: { conditions: [condition(1, 480), condition(2, 490)], immunizations: [shot(1, 500)] },
      words: '1 kind of entry on both records, 1 on one only',
    },
  ])('$theme: $words', async ({ theme, tables, words }) => {
    const patients = [1, 2].map((facility) => ({ facility, Id: 'ann' }));
    await using db = await clinicalDatabase({ patients, ...tables });
    const context = prepareClinical(await buildProfiles(db), statistics);
    const name = (domain: string, code: string) => (domain === 'immunizations' && code === '140' ? 'Influenza' : undefined);
    expect(describeClinical({ context, left: 0, right: 1, words: name }, theme)).toBe(words);
  });
});
