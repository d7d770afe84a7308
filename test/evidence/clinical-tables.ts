// Small clinical tables for tests: hand-made rows, or a seeded population in which every column of every table holds something.

import { random } from '../../src/base/random.ts';
import { type TableName, tableNames, tableSchemas } from '../../src/records/tables.ts';
import { Database } from '../../src/sql/duckdb.ts';

export type Row = Readonly<Record<string, string | number | null>>;
export type Tables = { readonly [T in TableName]?: readonly Row[] };

/** A database with the 18 tables (empty where no rows are given) and the table `records`, one row per row of patients, by facility and Id. */
export async function clinicalDatabase(tables: Tables): Promise<Database> {
  const db = await Database.open({ threads: 1 });
  for (const name of tableNames) {
    const columns = [...tableSchemas[name], { name: 'facility', type: 'INTEGER' }, { name: 'file_row', type: 'BIGINT' }];
    await db.run(`create table ${name} (${columns.map((column) => `"${column.name}" ${column.type}`).join(', ')})`);
    const rows = tables[name] ?? [];
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    if (rows.length === 0) continue;
    const values = rows.map((row, i) => `(${names.map((column) => sqlLiteral(row[column] ?? null)).join(', ')}, ${i})`);
    await db.run(`insert into ${name} (${[...names.map((column) => `"${column}"`), 'file_row'].join(', ')}) values ${values.join(', ')}`);
  }
  await db.run(`create table records as select (row_number() over (order by facility, Id) - 1)::INTEGER as row, facility, Id as patient_id,
    year(BIRTHDATE)::INTEGER as birth_year, BIRTHDATE::DATE as birthdate, GENDER as gender from patients order by row`);
  return db;
}

function sqlLiteral(value: string | number | null): string {
  if (value === null) return 'null';
  return typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`;
}

const monthSeconds = 30 * 24 * 3600;

/** A moment in the given 30-day month since 1970; `share` in [0, 1) says where in it. */
export function moment(month: number, share: number): string {
  return new Date(1000 * Math.floor((month + share) * monthSeconds)).toISOString().replace('.000Z', '').replace('T', ' ');
}

const codePools: { readonly [T in TableName]?: readonly number[] } = {
  encounters: [162673000, 185349003, 410620009],
  conditions: [59621000, 15777000, 444814009, 72892002],
  medications: [314076, 310798, 849574],
  procedures: [430193006, 73761001, 171207006],
  immunizations: [140, 113, 20],
  allergies: [419199007, 84489001],
  careplans: [698360004, 53950000],
  devices: [337414009, 170615005],
  supplies: [337388004],
};
const measured: readonly (readonly [code: string, low: number, high: number])[] = [
  ['8302-2', 150, 190],
  ['29463-7', 50, 100],
  ['39156-5', 18, 35],
  ['8480-6', 100, 150],
  ['8462-4', 60, 95],
  ['4548-4', 5, 9],
];

/** Patients with a record at each of two facilities, all tables filled, every column drawn; the same seed gives the same tables. */
export function drawnTables({ patients, seed }: { readonly patients: number; readonly seed: number }): Tables {
  const draw = random(seed, 'clinical tables');
  const tables: Record<string, Record<string, string | number | null>[]> = {};
  const add = (table: TableName, facility: number, patient: string, given: Row) => {
    const row: Record<string, string | number | null> = { facility };
    for (const { name, type } of tableSchemas[table]) {
      if (name === 'PATIENT' || name === 'PATIENTID') row[name] = patient;
      else if (type === 'VARCHAR') row[name] = `${name.toLowerCase()} ${draw.integer(1, 9999)}`;
      else if (type === 'BIGINT' || type === 'DOUBLE') row[name] = draw.integer(1, 9999);
      else row[name] = moment(draw.integer(300, 500), draw.float());
    }
    tables[table] ??= [];
    tables[table].push({ ...row, ...given });
  };
  for (let p = 0; p < patients; p++) {
    const patient = `patient-${String(p).padStart(3, '0')}`;
    const born = draw.integer(0, 400);
    for (const facility of [1, 2]) {
      add('patients', facility, patient, { Id: patient, BIRTHDATE: moment(born, 0.5).slice(0, 10), GENDER: p % 2 ? 'F' : 'M' });
      for (let visit = 0; visit < 6; visit++) {
        const month = draw.integer(420, 640);
        const at = () => moment(month, draw.float());
        for (const [table, codes] of Object.entries(codePools) as [TableName, readonly number[]][]) {
          const date = tableSchemas[table].some((column) => column.name === 'DATE') ? 'DATE' : 'START';
          const ended = draw.float() < 0.5 ? null : moment(month + draw.integer(1, 9), draw.float());
          const stop = tableSchemas[table].some((column) => column.name === 'STOP') ? { STOP: ended } : {};
          const kind = table === 'encounters' ? { ENCOUNTERCLASS: draw.pick(['wellness', 'ambulatory']) } : {};
          add(table, facility, patient, { [date]: at(), ...stop, ...kind, CODE: draw.pick(codes) });
        }
        for (const [code, low, high] of measured) {
          const value = (low + (high - low) * draw.float()).toFixed(1);
          add('observations', facility, patient, { DATE: at(), CATEGORY: 'vital-signs', CODE: code, VALUE: value, TYPE: 'numeric' });
        }
        for (const [code, value] of [
          ['63586-2', '52000'],
          ['56799-0', '12 Elm Street'],
          ['8302-2', '111.1'],
        ]) {
          add('observations', facility, patient, { DATE: at(), CATEGORY: 'survey', CODE: code!, VALUE: value!, TYPE: 'text' });
        }
        add('imaging_studies', facility, patient, { DATE: at() });
        add('claims', facility, patient, {});
        add('payer_transitions', facility, patient, {});
      }
    }
  }
  return tables as Tables;
}
