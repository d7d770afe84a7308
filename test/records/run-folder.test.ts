import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { loadRecords } from '../../src/records/patient.ts';
import { attachRunFolder, openRunFolder } from '../../src/records/run-folder.ts';
import { createSummaries } from '../../src/records/summary.ts';
import { tableNames, tableSchemas } from '../../src/records/tables.ts';
import { Database } from '../../src/sql/duckdb.ts';
import { type FacilityTables, values, writeRunFolder } from './run-folder-fixture.ts';

async function attached(facilities: readonly FacilityTables[]): Promise<Database> {
  const db = await Database.open({ threads: 1 });
  await attachRunFolder(db, openRunFolder(await writeRunFolder(facilities)));
  return db;
}

const patients = values('Id', [['p']]);

describe('a run folder', () => {
  test('becomes one view per table with our columns and types, whatever was stored', async () => {
    await using db = await attached([{ patients }, { patients: values('Id, ZIP', [['q', 2191]]) }]);
    for (const table of tableNames) {
      const added = [
        { name: 'facility', type: 'INTEGER' },
        { name: 'file_row', type: 'BIGINT' },
      ];
      expect(await db.describe(table)).toEqual([...tableSchemas[table], ...added]);
    }
    expect(await db.rows('select facility, file_row, Id, ZIP from patients order by facility')).toEqual([
      { facility: 1, file_row: 0, Id: 'p', ZIP: null },
      { facility: 2, file_row: 0, Id: 'q', ZIP: '2191' },
    ]);
  });

  test('reads codes stored as numbers with decimals or as text, and columns without any value', async () => {
    const columns = 'PATIENT, START, STOP, CODE, REASONCODE, DESCRIPTION';
    await using db = await attached([
      {
        patients,
        careplans: values(columns, [['p', '2020-01-01', { sql: 'null::int' }, { sql: '44054006::double' }, { sql: 'null::int' }, 'x']]),
      },
      { patients, careplans: values(columns, [['p', { sql: `timestamp_ns '2020-01-02'` }, 'NaT', '44054006.0', '10509002', 'x']]) },
      {
        patients,
        careplans: values(columns, [
          ['p', { sql: `date '2020-01-03'` }, '2021-01-01', { sql: '9007199254740993::bigint' }, { sql: `'nan'::double` }, 'x'],
        ]),
      },
    ]);
    expect(await db.rows('select START, STOP, cast(CODE as varchar) as code, REASONCODE from careplans order by facility')).toEqual([
      { START: '2020-01-01', STOP: null, code: '44054006', REASONCODE: null },
      { START: '2020-01-02', STOP: null, code: '44054006', REASONCODE: 10509002 },
      { START: '2020-01-03', STOP: '2021-01-01', code: '9007199254740993', REASONCODE: null },
    ]);
  });

  test('keeps each file’s own order', async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => `(${i}, 'p', '${i}')`).join(', ');
    const observations = `select 'p' as PATIENT, v as VALUE from (values ${rows}) t(i, p, v)`;
    await using db = await attached([
      { patients, observations },
      { patients, observations },
    ]);
    expect(
      await db.rows(
        'select facility, count(*) as rows, bool_and(VALUE = cast(file_row as varchar)) as kept from observations group by facility order by facility',
      ),
    ).toEqual([
      { facility: 1, rows: 5000, kept: true },
      { facility: 2, rows: 5000, kept: true },
    ]);
  });

  test('needs no table that nothing reads', async () => {
    const path = await writeRunFolder([{ patients }]);
    for (const table of ['claims', 'claims_transactions', 'payers']) rmSync(join(path, 'facilities', 'facility_001', `${table}.parquet`));
    await using db = await Database.open({ threads: 1 });
    await attachRunFolder(db, openRunFolder(path));
    expect(await db.value('select count(*) from claims')).toBe(0);
  });
});

describe('a run folder written by pandas and Arrow', () => {
  test('loads unchanged: numbers for ZIPs, doubles for codes, columns of no type', async () => {
    await using db = await Database.open({ threads: 1 });
    await attachRunFolder(db, openRunFolder('test/oracle/run-folder/written'));
    expect(await loadRecords(db)).toBe(4);
    const columns = 'record_id, first_name, last_name, maiden_name, birthdate, ssn, address_canonical, city, zip';
    expect((await db.rows<object>(`select ${columns} from records order by row`)).map((row) => Object.values(row))).toEqual([
      ['facility_001_p1', 'Bob', "O'Brien", null, '1980-02-29', '999123456', '12 oak st unit 4', 'Hull', '02045'],
      ['facility_001_p2', 'Ann', 'Lee', 'Gray', '1990-01-01', '999654321', '3 elm rd', 'Boston', '02108'],
      ['facility_002_p1', 'Bob', "O'Brien", null, '1980-02-29', '999123456', '12 oak st unit 4', 'Hull', '02045'],
      ['facility_002_p3', 'Zoe', 'Nan', null, '2001-12-31', null, null, null, null],
    ]);
    expect(await db.rows('select facility, CODE, REASONCODE, STOP from medications order by facility, file_row')).toEqual([
      { facility: 1, CODE: 308182, REASONCODE: 10509002, STOP: '2019-03-16 08:00:00' },
      { facility: 1, CODE: 860975, REASONCODE: null, STOP: null },
      { facility: 2, CODE: 308182, REASONCODE: 10509002, STOP: '2019-03-16 08:00:00' },
    ]);
    await createSummaries(db);
    const { summary } = await db.columns<{ summary: string[] }>('select summary from summaries order by row');
    expect(summary.map((text) => createHash('sha256').update(text).digest('hex'))).toEqual(
      Object.values(JSON.parse(readFileSync('test/oracle/run-folder/summaries.json', 'utf8')) as Record<string, string>),
    );
  });
});

describe('a run folder is refused in one line', () => {
  test('when it is not there or not one', async () => {
    const path = await writeRunFolder([{ patients }]);
    expect(() => openRunFolder(join(path, 'nowhere'))).toThrow('run folder: not found');
    expect(() => openRunFolder(join(path, 'facilities', 'facility_001'))).toThrow('run folder: no facilities/facility_001 in');
  });

  test.each(['patients', 'encounters', 'observations'])('when %s is missing, naming the facility', async (table) => {
    const path = await writeRunFolder([{ patients }, { patients }]);
    rmSync(join(path, 'facilities', 'facility_002', `${table}.parquet`));
    expect(() => openRunFolder(path)).toThrow(`run folder: table missing: facility_002/${table}.parquet`);
  });

  const change = async (table: string, sql: string) => {
    const path = await writeRunFolder([{ patients }]);
    await using db = await Database.open({ threads: 1 });
    await db.run(`copy (${sql}) to '${join(path, 'facilities', 'facility_001', `${table}.parquet`)}' (format parquet)`);
    await attachRunFolder(db, openRunFolder(path));
  };

  test.each([
    {
      fault: 'a column is missing',
      table: 'conditions',
      sql: `select 'x' as PATIENT, 1 as CODE`,
      says: 'column missing: facility_001/conditions: START; the file has: PATIENT, CODE',
    },
    {
      fault: 'a date column holds numbers',
      table: 'careplans',
      sql: `select 20200101 as START, 'x' as PATIENT, 1 as CODE`,
      says: 'column holds no dates: facility_001/careplans: START (stored as INTEGER)',
    },
    {
      fault: 'a date column holds other texts',
      table: 'careplans',
      sql: `select 'soon' as START, 'x' as PATIENT, 1 as CODE`,
      says: 'column holds no dates: facility_001/careplans: START (stored as VARCHAR)',
    },
    {
      fault: 'a code column holds dates',
      table: 'careplans',
      sql: `select date '2020-01-01' as START, 'x' as PATIENT, date '2020-01-01' as CODE`,
      says: 'column holds no numbers: facility_001/careplans: CODE (stored as DATE)',
    },
  ])('when $fault', async ({ table, sql, says }) => {
    await expect(change(table, sql)).rejects.toThrow(says);
  });

  test('when a file is no Parquet', async () => {
    const path = await writeRunFolder([{ patients }]);
    const file = join(path, 'facilities', 'facility_001', 'devices.parquet');
    writeFileSync(file, 'START,STOP\n');
    await using db = await Database.open({ threads: 1 });
    await expect(attachRunFolder(db, openRunFolder(path))).rejects.toThrow(file);
  });

  test('when a file’s text is not UTF-8, without quoting it', async () => {
    const allergies = `select 'p' as PATIENT, 'LooksHarmless' as DESCRIPTION`;
    const path = await writeRunFolder([{ patients, allergies }]);
    const file = join(path, 'facilities', 'facility_001', 'allergies.parquet');
    await using db = await Database.open({ threads: 1 });
    await db.run(
      `copy (select 'p' as PATIENT, 'LooksHarmless' as DESCRIPTION, null::date as START, null::bigint as CODE) to '${file}' (format parquet, compression uncompressed)`,
    );
    await attachRunFolder(db, openRunFolder(path));
    await loadRecords(db);
    const bytes = readFileSync(file);
    for (let at = bytes.indexOf('LooksHarmless'); at >= 0; at = bytes.indexOf('LooksHarmless', at + 1)) bytes[at] = 0xff;
    writeFileSync(file, bytes);
    await expect(createSummaries(db)).rejects.toThrow(new RegExp(`holds bytes that are not UTF-8: ${file}`));
  });
});
