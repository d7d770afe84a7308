// A small population as Synthea would write it: 18 CSV files with consistent references, made from a seed.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

import { random } from '../../src/base/random.ts';
import { type TableName, tableNames, tableSchemas } from '../../src/records/tables.ts';

type Cells = Readonly<Record<string, string | number>>;
export type Population = { readonly [Table in TableName]: readonly Cells[] };

/** A folder that is gone when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'clinfuse-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const firstNames = ['Robert', 'Margaret', 'Abel', 'Antonia', 'José', 'Li', 'Elizabeth', 'Thomas'];
const lastNames = ['Price', 'Yundt', "O'Keefe", 'Rendón', 'Hane', 'Wolf'];
const streets = ['Jacobi Flat', 'Oak Street Apt 7', 'Romaguera Tunnel Suite 15', 'Stokes Avenue'];

/** People with 1 to 12 encounters each, every encounter with a row or two in each clinical table. */
export function population(people = 60, seed = 1): Population {
  const tables = Object.fromEntries(tableNames.map((table) => [table, [] as Cells[]])) as Record<TableName, Cells[]>;
  for (let p = 0; p < people; p++) {
    const stream = random(seed, 'person', p);
    const born = 1940 + stream.integer(0, 70);
    const patient = uuid(stream.integer(0, 2 ** 31 - 1), p);
    tables.patients.push({
      Id: patient,
      BIRTHDATE: `${born}-${two(stream.integer(1, 12))}-${two(stream.integer(1, 28))}`,
      SSN: `999-${stream.integer(10, 99)}-${stream.integer(1000, 9999)}`,
      DRIVERS: `S999${stream.integer(10000, 99999)}`,
      FIRST: `${stream.pick(firstNames)}${stream.integer(1, 999)}`,
      MIDDLE: `Mid${stream.integer(1, 999)}`,
      LAST: `${stream.pick(lastNames)}${stream.integer(1, 999)}`,
      MAIDEN: stream.float() < 0.3 ? `${stream.pick(lastNames)}${stream.integer(1, 999)}` : '',
      GENDER: stream.pick(['M', 'F']),
      ADDRESS: `${stream.integer(1, 999)} ${stream.pick(streets)}`,
      CITY: stream.pick(['Carver', 'Newton', 'West Boylston']),
      STATE: 'Massachusetts',
      ZIP: `0${stream.integer(1000, 2999)}`,
      LAT: 42.1 + stream.integer(0, 999) / 1000,
      LON: -71.5,
      INCOME: stream.integer(1000, 90000),
    });
    const visits = stream.integer(1, 12);
    for (let v = 0; v < visits; v++) {
      const encounter = uuid(v, p);
      const claim = uuid(1000 + v, p);
      const day = `${2012 + v}-${two(stream.integer(1, 12))}-${two(stream.integer(1, 28))}`;
      const time = `${day}T08:30:00Z`;
      const visit = { PATIENT: patient, ENCOUNTER: encounter };
      tables.encounters.push({ Id: encounter, START: time, STOP: time, PATIENT: patient, CODE: 410620009, DESCRIPTION: 'Visit, planned' });
      tables.conditions.push({ ...visit, START: day, SYSTEM: 'SNOMED-CT', CODE: 314529007, DESCRIPTION: 'Finding' });
      tables.medications.push({ ...visit, START: time, CODE: 308192, DESCRIPTION: 'Amoxicillin', DISPENSES: 1 });
      tables.observations.push({ ...visit, DATE: time, CODE: '8302-2', DESCRIPTION: 'Body Height', VALUE: '171.0', UNITS: 'cm' });
      tables.observations.push({ PATIENT: patient, DATE: time, CODE: 'QALY', DESCRIPTION: 'QALY', VALUE: String(v) });
      tables.procedures.push({ ...visit, START: time, CODE: '9007199254740993', DESCRIPTION: 'Long code' });
      tables.immunizations.push({ ...visit, DATE: time, CODE: 49, DESCRIPTION: 'Hib' });
      tables.supplies.push({ ...visit, DATE: day, CODE: 1, DESCRIPTION: 'Supply', QUANTITY: 2 });
      tables.claims.push({ Id: claim, PATIENTID: patient, APPOINTMENTID: encounter, DIAGNOSIS1: 314529007 });
      for (const type of ['CHARGE', 'PAYMENT']) {
        tables.claims_transactions.push({
          ID: uuid(v, p + (type === 'CHARGE' ? 7000 : 8000)),
          CLAIMID: claim,
          PATIENTID: patient,
          TYPE: type,
        });
      }
    }
    const [start, end] = [`${stream.integer(2005, 2015)}-01-01T00:00:00Z`, stream.float() < 0.5 ? '' : '2016-01-01T00:00:00Z'];
    tables.payer_transitions.push({ PATIENT: patient, START_DATE: start, END_DATE: end });
  }
  tables.organizations.push({ Id: uuid(1, 9), NAME: 'Clinic', ADDRESS: '1 Main Street', CITY: 'CHICOPEE', STATE: 'MA', ZIP: '010201314' });
  tables.providers.push({ Id: uuid(2, 9), ORGANIZATION: uuid(1, 9), NAME: 'Juan88 Rendón540', ZIP: '01020' });
  tables.payers.push({ Id: uuid(3, 9), NAME: 'Medicare' });
  return tables;
}

/** Writes the tables as `<table>.csv`; `edit` may change a file's text before it is written, or leave it out. */
export function writeCsv(
  folder: string,
  tables: Population = population(),
  edit: (table: TableName, text: string) => string | Buffer | undefined = (_, text) => text,
): string {
  mkdirSync(folder, { recursive: true });
  for (const table of tableNames) {
    const names = tableSchemas[table].map(({ name }) => name);
    const lines = tables[table].map((row) => names.map((name) => cell(row[name])).join(','));
    const text = edit(table, `${[names.join(','), ...lines].join('\n')}\n`);
    if (text !== undefined) writeFileSync(join(folder, `${table}.csv`), text);
  }
  return folder;
}

function cell(value: string | number | undefined): string {
  const text = value === undefined ? '' : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

function uuid(a: number, b: number): string {
  const hex = (number: number, width: number) => number.toString(16).padStart(width, '0').slice(-width);
  return `${hex(a, 8)}-${hex(b, 4)}-4000-8000-${hex(a * 31 + b, 12)}`;
}
