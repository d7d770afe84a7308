import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { learnClinicalStatistics } from '../../src/evidence/clinical-statistics.ts';
import { clinicalFeatureNames, clinicalFeatures, prepareClinical } from '../../src/evidence/features.ts';
import { buildProfiles } from '../../src/evidence/profile.ts';
import { type TableName, tableNames, tableSchemas } from '../../src/records/tables.ts';
import { clinicalDatabase, drawnTables, moment, type Row, type Tables } from './clinical-tables.ts';

// Synthetic data leaks the truth. These are the only columns clinical evidence may look at; every other column of every table, whatever
// it holds, must leave every feature as it is. Dates count by their 30-day month only.
const allowed: { readonly [T in TableName]?: readonly string[] } = {
  encounters: ['START', 'ENCOUNTERCLASS', 'CODE'],
  conditions: ['START', 'STOP', 'CODE'],
  medications: ['START', 'STOP', 'CODE'],
  observations: ['DATE', 'CATEGORY', 'CODE', 'VALUE'],
  procedures: ['START', 'CODE'],
  immunizations: ['DATE', 'CODE'],
  allergies: ['START', 'CODE'],
  careplans: ['START', 'STOP', 'CODE'],
  devices: ['START', 'CODE'],
};
/** Join keys: never values, but the rows of one patient must stay together. */
const keys = new Set(['Id', 'PATIENT', 'PATIENTID', 'facility']);

const tables = drawnTables({ patients: 12, seed: 3 });
const patient = Int32Array.from({ length: 24 }, (_, row) => row % 12);
const birthYear = Float32Array.from({ length: 24 }, (_, row) => 1970 + 2 * (row % 12));

/** Features of all pairs of records, statistics learned from the same tables. */
async function featuresOf(changed: Tables, order = Array.from({ length: 24 }, (_, row) => row)): Promise<Float32Array> {
  await using db = await clinicalDatabase(changed);
  const profiles = await buildProfiles(db);
  const person = new Int32Array(24);
  const born = new Float32Array(24);
  order.forEach((row, i) => {
    person[row] = patient[i]!;
    born[row] = birthYear[i]!;
  });
  const context = prepareClinical(profiles, learnClinicalStatistics(profiles, { patient: person, birthYear: born }));
  const pairs = order.flatMap((left, i) => order.slice(i + 1).map((right) => [left, right] as const));
  const out = new Float32Array(pairs.length * clinicalFeatureNames.length);
  const column = (side: 0 | 1) => Int32Array.from(pairs, (pair) => pair[side]);
  clinicalFeatures(context, column(0), column(1), 0, pairs.length, out);
  return out;
}

/** Every row of every table passed through `change`. */
function changeRows(change: (table: TableName, row: Row, rows: readonly Row[]) => Row): Tables {
  return Object.fromEntries(
    tableNames.map((table) => [table, (tables[table] ?? []).map((row) => change(table, row, tables[table]!))]),
  ) as Tables;
}

describe('forbidden fields', async () => {
  const before = await featuresOf(tables);

  test('the tables are full enough for the test to mean something', () => {
    const isSet = new Set<number>();
    before.forEach((value, i) => {
      if (!Number.isNaN(value)) isSet.add(i % clinicalFeatureNames.length);
    });
    expect(isSet.size).toBeGreaterThan(80);
  });

  test('shuffling every column that may not be looked at changes no feature', async () => {
    const draw = random(9);
    const touched = new Set<string>();
    const changed = changeRows((table, row, rows) => {
      const copy: Record<string, string | number | null> = { ...row };
      for (const { name } of tableSchemas[table]) {
        if (allowed[table]?.includes(name) || keys.has(name)) continue;
        touched.add(`${table}.${name}`);
        copy[name] = draw.pick(rows)[name]!;
      }
      return copy;
    });
    for (const column of [
      'patients.INCOME',
      'patients.LAT',
      'patients.DRIVERS',
      'encounters.ORGANIZATION',
      'medications.PAYER',
      'conditions.ENCOUNTER',
    ])
      expect(touched).toContain(column);
    expect(await featuresOf(changed)).toEqual(before);
  });

  test('answers to surveys change no feature, even under the code of a measurement', async () => {
    const changed = changeRows((table, row) =>
      table === 'observations' && row['CATEGORY'] === 'survey' ? { ...row, VALUE: `${row['VALUE']}9`, CODE: '8302-2' } : row,
    );
    expect(await featuresOf(changed)).toEqual(before);
  });

  test('the day, the weekday and the time within a 30-day month change no feature', async () => {
    const draw = random(11);
    const changed = changeRows((table, row) => {
      const copy: Record<string, string | number | null> = { ...row };
      for (const name of ['START', 'STOP', 'DATE']) {
        if (!allowed[table]?.includes(name) || typeof row[name] !== 'string') continue;
        const month = Math.floor(new Date(`${row[name].replace(' ', 'T')}Z`).getTime() / (30 * 86400_000));
        copy[name] = moment(month, draw.float());
      }
      return copy;
    });
    expect(await featuresOf(changed)).toEqual(before);
  });

  test('encounter ids change no feature, and patient ids only number the records', async () => {
    const renamed = (id: string) => `patient-${String(11 - Number(id.slice(-3))).padStart(3, '0')}`;
    const changed = changeRows((table, row) => ({
      ...row,
      ...('PATIENT' in row ? { PATIENT: renamed(row['PATIENT'] as string) } : {}),
      Id: table === 'patients' ? renamed(row['Id'] as string) : `other ${row['Id']}`,
    }));
    for (const table of tableNames) {
      if (!tableSchemas[table].some((column) => column.name === 'Id'))
        for (const row of changed[table]!) delete (row as { Id?: unknown }).Id;
    }
    const order = Array.from({ length: 24 }, (_, row) => (row < 12 ? 11 - row : 35 - row));
    expect(await featuresOf(changed, order)).toEqual(before);
  });

  test('a change that may be seen is seen: the test can fail', async () => {
    const changed = changeRows((table, row) => (table === 'observations' && row['CODE'] === '8302-2' ? { ...row, VALUE: '170.0' } : row));
    expect(await featuresOf(changed)).not.toEqual(before);
  });
});
