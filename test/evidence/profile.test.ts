import { describe, expect, test } from 'vitest';

import { buildProfiles, openEnd, type Profiles } from '../../src/evidence/profile.ts';
import { clinicalDatabase, drawnTables, moment, type Tables } from './clinical-tables.ts';

async function profilesOf(tables: Tables): Promise<Profiles> {
  await using db = await clinicalDatabase(tables);
  return await buildProfiles(db);
}

const patients = [
  { facility: 1, Id: 'ann' },
  { facility: 1, Id: 'bob' },
  { facility: 2, Id: 'ann' },
];

describe('clinical profiles', () => {
  test('measurements stand per record, by month then value', async () => {
    const height = (facility: number, patient: string, month: number, value: string) => ({
      facility,
      PATIENT: patient,
      DATE: moment(month, 0.4),
      CODE: '8302-2',
      CATEGORY: 'vital-signs',
      VALUE: value,
    });
    const { recordCount, series } = await profilesOf({
      patients,
      observations: [
        height(2, 'ann', 500, '171.5'),
        height(1, 'bob', 410, '180.0'),
        height(1, 'ann', 400, '171.5'),
        height(1, 'ann', 390, '171.2'),
        height(1, 'ann', 400, '171.1'),
        height(1, 'ann', 401, 'not a number'),
        { ...height(1, 'bob', 411, '90.0'), CATEGORY: 'survey' },
        { ...height(1, 'bob', 412, '90.0'), CODE: '1-1' },
      ],
    });
    expect(recordCount).toBe(3);
    expect([...series.height.start]).toEqual([0, 3, 4, 5]);
    expect([...series.height.month]).toEqual([390, 400, 400, 410, 500]);
    expect([...series.height.value].map((value) => value.toFixed(1))).toEqual(['171.2', '171.1', '171.5', '180.0', '171.5']);
    expect(series.weight.value.length).toBe(0);
  });

  test('a code counts once a month, and ends with the last of its episodes that month', async () => {
    const condition = (patient: string, start: number, stop: number | null, code = 15777000) => ({
      facility: 1,
      PATIENT: patient,
      START: moment(start, 0.2).slice(0, 10),
      STOP: stop === null ? null : moment(stop, 0.2).slice(0, 10),
      CODE: code,
    });
    const { facts } = await profilesOf({
      patients,
      conditions: [
        condition('bob', 420, 425),
        condition('bob', 410, 411),
        condition('bob', 410, 413),
        condition('ann', 430, null, 59621000),
        condition('ann', 430, 431, 59621000),
        condition('ann', 430, null),
      ],
    });
    const { codes, start, code, month, end } = facts.conditions;
    expect(codes).toEqual(['15777000', '59621000']);
    expect([...start]).toEqual([0, 2, 4, 4]);
    expect([...code]).toEqual([0, 1, 0, 0]);
    expect([...month]).toEqual([430, 430, 410, 420]);
    expect([...end]).toEqual([openEnd, openEnd, 413, 425]);
  });

  test('visits are counted by month; what belongs to nobody here is left out', async () => {
    const visit = (facility: number, patient: string, month: number) => ({
      facility,
      PATIENT: patient,
      START: moment(month, 0.9),
      ENCOUNTERCLASS: 'wellness',
      CODE: 162673000,
    });
    const { visits, facts } = await profilesOf({
      patients,
      encounters: [visit(1, 'ann', 400), visit(1, 'ann', 400), visit(1, 'ann', 390), visit(2, 'ann', 410), visit(2, 'bob', 411)],
    });
    expect([...visits.start]).toEqual([0, 2, 2, 3]);
    expect([...visits.month]).toEqual([390, 400, 410]);
    expect([...visits.count]).toEqual([1, 2, 1]);
    expect(facts.encounters.codes).toEqual(['wellness 162673000']);
  });

  test('the order of the rows in the tables does not matter', async () => {
    const tables = drawnTables({ patients: 4, seed: 1 });
    const { patients: people, ...clinical } = tables;
    const reversed = Object.fromEntries(Object.entries(clinical).map(([table, rows]) => [table, [...rows].reverse()]));
    expect(await profilesOf({ patients: people!, ...reversed })).toEqual(await profilesOf(tables));
  });
});
