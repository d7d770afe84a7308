import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { type TableName, tableNames, tableSchemas } from '../../src/records/tables.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { ingest } from '../../src/synth/ingest.ts';
import { population, temporaryFolder, writeCsv } from './csv-fixture.ts';

async function read<T extends object>(folder: string, table: TableName, columns = '*'): Promise<T[]> {
  await using db = await Database.open();
  return await db.rows<T>(`select ${columns} from read_parquet(${literal(join(folder, `${table}.parquet`))})`);
}

describe('ingest', () => {
  test('every table gets the schema’s types, in the schema’s order, with all rows', async () => {
    const folder = temporaryFolder();
    const tables = population(5);
    const report = await ingest({ input: writeCsv(join(folder, 'csv'), tables), output: join(folder, 'out') });
    await using db = await Database.open();
    for (const table of tableNames) {
      expect(await db.describe(`read_parquet(${literal(join(folder, 'out', `${table}.parquet`))})`)).toEqual(tableSchemas[table]);
      expect(report.rows[table]).toBe(tables[table].length);
    }
    expect(report.extraColumns).toEqual([]);
  });

  test('names lose their digits, MIDDLE keeps them, ZIP keeps its zero, codes keep every digit, empty is null', async () => {
    const folder = temporaryFolder();
    const [first, ...rest] = population(3).patients;
    const patients = [{ ...first!, FIRST: ' María12  Elena653 ', LAST: "O'Keefe9", MAIDEN: '123', ZIP: '02191', FIPS: '' }, ...rest];
    await ingest({ input: writeCsv(join(folder, 'csv'), { ...population(3), patients }), output: join(folder, 'out') });
    const [patient] = await read<Record<string, unknown>>(join(folder, 'out'), 'patients');
    expect(patient).toMatchObject({ FIRST: 'María Elena', LAST: "O'Keefe", MAIDEN: null, ZIP: '02191', FIPS: null });
    expect(patient!['MIDDLE']).toBe(first!['MIDDLE']);
    const [procedure] = await read<{ CODE: bigint; REASONCODE: null }>(join(folder, 'out'), 'procedures');
    expect(procedure).toMatchObject({ CODE: 9007199254740993n, REASONCODE: null });
    const [transition] = await read<{ START_DATE: string }>(join(folder, 'out'), 'payer_transitions');
    expect(transition!.START_DATE).toMatch(/^20\d\d-01-01 00:00:00$/);
    const [organization] = await read<{ ZIP: string }>(join(folder, 'out'), 'organizations');
    expect(organization!.ZIP).toBe('010201314');
  });

  test('rows keep the file’s order', async () => {
    const folder = temporaryFolder();
    const tables = population(200);
    await ingest({ input: writeCsv(join(folder, 'csv'), tables), output: join(folder, 'out') });
    const ids = await read<{ Id: string }>(join(folder, 'out'), 'encounters', '"Id"');
    expect(ids.map(({ Id }) => Id)).toEqual(tables.encounters.map((row) => row['Id']));
  });

  test('a date alone is read in a timestamp column, and quoted commas and line ends stay in their cell', async () => {
    const folder = temporaryFolder();
    const tables = population(2);
    const [first] = tables.encounters;
    const encounters = [{ ...first!, START: '2020-02-29', DESCRIPTION: 'a "b",\nc' }];
    await ingest({ input: writeCsv(join(folder, 'csv'), { ...tables, encounters }), output: join(folder, 'out') });
    expect(await read(join(folder, 'out'), 'encounters', '"START", "DESCRIPTION"')).toEqual([
      { START: '2020-02-29 00:00:00', DESCRIPTION: 'a "b",\nc' },
    ]);
  });

  test('columns in another order are read by name, and unknown ones are kept as text', async () => {
    const folder = temporaryFolder();
    const input = writeCsv(join(folder, 'csv'), population(2), (table, text) =>
      table === 'supplies' ? 'NEW,QUANTITY,DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n7,2,2020-01-01,p,e,1,Glove\n' : text,
    );
    const report = await ingest({ input, output: join(folder, 'out') });
    expect(report.extraColumns).toEqual(['supplies.NEW']);
    expect(await read(join(folder, 'out'), 'supplies')).toEqual([
      { DATE: '2020-01-01', PATIENT: 'p', ENCOUNTER: 'e', CODE: 1, DESCRIPTION: 'Glove', QUANTITY: 2, NEW: '7' },
    ]);
  });

  test('the same input gives the same bytes with one thread and with two', async () => {
    const folder = temporaryFolder();
    const input = writeCsv(join(folder, 'csv'), population(300));
    for (const threads of [1, 2]) await ingest({ input, output: join(folder, `out${threads}`), threads });
    for (const name of readdirSync(join(folder, 'out1'))) {
      expect(readFileSync(join(folder, 'out1', name)).equals(readFileSync(join(folder, 'out2', name))), name).toBe(true);
    }
  });

  test.each<{ name: string; edit: (table: TableName, text: string) => string | Buffer | undefined; says: RegExp }>([
    { name: 'a missing table', edit: (table, text) => (table === 'devices' ? undefined : text), says: /table missing: .*devices\.csv/ },
    {
      name: 'a missing column',
      edit: (table, text) => (table === 'conditions' ? text.replace('DESCRIPTION', 'WORDS') : text),
      says: /column missing in .*conditions\.csv: DESCRIPTION/,
    },
    {
      name: 'an empty file',
      edit: (table, text) => (table === 'claims' ? '' : text),
      says: /file is empty: .*claims\.csv/,
    },
    {
      name: 'a table of nothing but a header',
      edit: (table, text) => (table === 'encounters' ? text.split('\n')[0]! : text),
      says: /table has no rows: .*encounters\.csv/,
    },
    {
      name: 'a date that is none',
      edit: (table, text) => (table === 'patients' ? text.replace(/\d{4}-\d\d-\d\d/, '31.12.1999') : text),
      says: /not a date: column BIRTHDATE of .*patients\.csv, line 2/,
    },
    {
      name: 'a number that is none',
      edit: (table, text) => (table === 'supplies' ? text.replace(/,2$/m, ',two') : text),
      says: /not a number: column QUANTITY of .*supplies\.csv, line 2/,
    },
    {
      name: 'a row with a column too few',
      edit: (table, text) => (table === 'conditions' ? text.replace(/,Finding\n/, '\n') : text),
      says: /row with 6 columns instead of 7: .*conditions\.csv, line 2/,
    },
    {
      name: 'a row with a column too many',
      edit: (table, text) => (table === 'conditions' ? text.replace(/,Finding\n/, ',Finding,more\n') : text),
      says: /row with 8 columns instead of 7: .*conditions\.csv, line 2/,
    },
    {
      name: 'bytes that are not UTF-8',
      edit: (table, text) => (table === 'patients' ? Buffer.from(text, 'latin1') : text),
      says: /not UTF-8: .*patients\.csv/,
    },
    {
      name: 'a repeated patient id',
      edit: (table, text) => (table === 'patients' ? text + text.split('\n')[1] : text),
      says: /repeated Id in .*patients\.csv: 1 row/,
    },
  ])('$name is refused in one line, and nothing is written', async ({ edit, says }) => {
    const folder = temporaryFolder();
    const input = writeCsv(join(folder, 'csv'), population(8), edit);
    const failed = await ingest({ input, output: join(folder, 'out') }).then(
      () => undefined,
      (error: Error) => error,
    );
    expect(failed?.name).toBe('UserError');
    expect(failed?.message).toMatch(says);
    expect(failed?.message).not.toMatch(/\n|999-\d\d|Jacobi/);
    expect(existsSync(join(folder, 'out'))).toBe(false);
    expect(readdirSync(folder)).toEqual(['csv']);
  });
});
