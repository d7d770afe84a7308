import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { loadRecords, titleCase } from '../../src/records/patient.ts';
import { attachRunFolder, openRunFolder } from '../../src/records/run-folder.ts';
import { loadTruth, truthLabels } from '../../src/records/truth.ts';
import { Database } from '../../src/sql/duckdb.ts';
import { type FacilityTables, values, writeRunFolder } from './run-folder-fixture.ts';

type Row = Record<string, string | number | null>;

async function opened(facilities: readonly FacilityTables[], truth?: string): Promise<{ db: Database; records: Row[]; hasTruth: boolean }> {
  const db = await Database.open({ threads: 2 });
  const folder = openRunFolder(await writeRunFolder(facilities, truth === undefined ? {} : { truth }));
  await attachRunFolder(db, folder);
  await loadRecords(db);
  return { db, records: await db.rows<Row>('from records order by row'), hasTruth: await loadTruth(db, folder) };
}

/** One patient per value of one column. */
async function standardised(column: string, cells: readonly { readonly sql: string }[]): Promise<Row[]> {
  const rows = cells.map((cell, i) => [`p${String(i).padStart(3, '0')}`, cell]);
  const { db, records } = await opened([{ patients: values(`Id, ${column}`, rows) }]);
  db.close();
  return records;
}

describe('records', () => {
  test('are numbered by record id and keep facilities apart', async () => {
    const { db, records } = await opened([
      {
        patients: values('Id, FIRST, CITY', [
          ['b', 'BILL', 'Hull'],
          ['a', "o'BRIEN-smith", 'Hull'],
        ]),
      },
      { patients: values('Id, FIRST, CITY', [['b', 'William', 'Hull']]) },
    ]);
    db.close();
    expect(
      records.map(({ row, record_id, facility_id, patient_id, first_name, soundex_first_name }) => ({
        row,
        record_id,
        facility_id,
        patient_id,
        first_name,
        soundex_first_name,
      })),
    ).toEqual([
      {
        row: 0,
        record_id: 'facility_001_a',
        facility_id: 'facility_001',
        patient_id: 'a',
        first_name: "O'Brien-Smith",
        soundex_first_name: 'O165',
      },
      { row: 1, record_id: 'facility_001_b', facility_id: 'facility_001', patient_id: 'b', first_name: 'Bill', soundex_first_name: 'W450' },
      {
        row: 2,
        record_id: 'facility_002_b',
        facility_id: 'facility_002',
        patient_id: 'b',
        first_name: 'William',
        soundex_first_name: 'W450',
      },
    ]);
  });

  test.each([
    {
      name: 'text',
      cells: [`'02191'`, `' 2191 '`, `'2191.0'`, `'02191-1234'`, `'021911234'`, `'00nan'`, `null`],
      zip: ['02191', '02191', '02191', '02191', '02191', null, null],
    },
    { name: 'integers', cells: ['2191::bigint', '0', '90210', 'null'], zip: ['02191', '00000', '90210', null] },
    { name: 'doubles', cells: ['2191.0::double', 'null', `'nan'::double`, '90210'], zip: ['02191', null, null, '90210'] },
  ])('read ZIPs stored as $name', async ({ cells, zip }) => {
    expect(
      (
        await standardised(
          'ZIP',
          cells.map((sql) => ({ sql })),
        )
      ).map((row) => row['zip']),
    ).toEqual(zip);
  });

  test.each([
    { name: 'timestamps in nanoseconds', cells: [`timestamp_ns '2001-02-03'`, 'null'] },
    { name: 'timestamps in milliseconds', cells: [`timestamp_ms '2001-02-03'`, 'null'] },
    { name: 'timestamps with zone', cells: [`make_timestamptz(981158400000000)`, 'null'] },
    { name: 'days', cells: [`date '2001-02-03'`, 'null'] },
    { name: 'day texts', cells: [`'2001-02-03'`, `'NaT'`, `'None'`, `'nan'`, `''`, `'2001-02-30'`] },
    { name: 'moment texts', cells: [`'2001-02-03T00:00:00Z'`, 'null'] },
  ])('read birth dates stored as $name; one that cannot be read is missing', async ({ cells }) => {
    const records = await standardised(
      'BIRTHDATE',
      cells.map((sql) => ({ sql })),
    );
    expect(records.map((row) => [row['birthdate'], row['birth_year']])).toEqual(
      cells.map((_, i) => (i === 0 ? ['2001-02-03', 2001] : [null, null])),
    );
  });

  test('drop dashes from SSNs and take all zeros for unknown', async () => {
    const cells = [`'999-12-3456'`, `' 999123456'`, `'000-00-0000'`, `'000000000'`, `'None'`, `'-'`];
    expect(
      (
        await standardised(
          'SSN',
          cells.map((sql) => ({ sql })),
        )
      ).map((row) => row['ssn']),
    ).toEqual(['999123456', '999123456', null, null, null, null]);
  });

  test('keep the case of addresses, and give them one canonical spelling', async () => {
    const rows = await standardised('ADDRESS', [{ sql: `' 12 OAK STREET APT 4'` }, { sql: `'12 Oak St. #4'` }, { sql: `'.'` }]);
    expect(rows.map((row) => [row['address'], row['address_canonical']])).toEqual([
      ['12 OAK STREET APT 4', '12 oak st unit 4'],
      ['12 Oak St. #4', '12 oak st unit 4'],
      ['.', null],
    ]);
  });

  test('are missing in every spelling of missing, and missing equals nothing', async () => {
    const columns = ['FIRST', 'LAST', 'MAIDEN', 'SSN', 'ADDRESS', 'CITY', 'STATE', 'ZIP', 'GENDER', 'BIRTHDATE'];
    const spelling = fc.constantFrom<string | null>(null, '', ' ', 'None', 'nan', 'NaN', 'NaT', ' nan ', 'null');
    const patient = fc.tuple(...columns.map(() => spelling));
    await fc.assert(
      fc.asyncProperty(fc.array(patient, { minLength: 2, maxLength: 5 }), async (patients) => {
        const rows = patients.map((cells, i) => [`p${i}`, ...cells.map((cell) => (cell === null ? { sql: 'null::varchar' } : cell))]);
        const { db } = await opened([{ patients: values(`Id, ${columns.join(', ')}`, rows) }]);
        const compared = [
          'first_name',
          'last_name',
          'maiden_name',
          'birthdate',
          'birth_year',
          'ssn',
          'address',
          'city',
          'address_canonical',
          'city_canonical',
        ].concat(['state', 'zip', 'gender', 'soundex_first_name', 'soundex_last_name']);
        const equal = compared.map((column) => `l.${column} = r.${column}`).join(' or ');
        expect(await db.value<number>(`select count(*) from records l, records r where l.row < r.row and (${equal})`)).toBe(0);
        db.close();
      }),
      { numRuns: 15 },
    );
  });

  test('do not depend on columns that leak the truth', async () => {
    const forbidden = 'DRIVERS, PASSPORT, RACE, ETHNICITY, BIRTHPLACE, COUNTY, LAT, LON, HEALTHCARE_EXPENSES, HEALTHCARE_COVERAGE, INCOME';
    const load = async (noise: readonly number[]) => {
      const { db, records } = await opened([
        {
          patients: values(
            `Id, FIRST, ${forbidden}`,
            noise.map((cell, i) => [
              `p${i}`,
              `Ann${i}`,
              ...forbidden.split(', ').map((column) => (/LAT|LON|HEALTH|INCOME/.test(column) ? Number(cell) * i : String(cell))),
            ]),
          ),
        },
      ]);
      db.close();
      return records;
    };
    expect(await load([1, 2, 3])).toEqual(await load([3, 1, 2]));
  });

  test('may have names that only look like a missing value', async () => {
    expect((await standardised('FIRST', [{ sql: `'Nan'` }, { sql: `'Null'` }])).map((row) => row['first_name'])).toEqual(['Nan', 'Null']);
  });

  test.each([
    { name: 'no patient anywhere', facilities: [{}, {}], says: 'records: no patients in any facility' },
    {
      name: 'a repeated Id',
      facilities: [{ patients: values('Id', [['a']]) }, { patients: values('Id', [['a'], ['b'], ['a'], ['a']]) }],
      says: 'records: patient Ids repeated: facility_002: 2;',
    },
    { name: 'a missing Id', facilities: [{ patients: values('Id', [['a'], ['']]) }], says: 'records: patients without an Id: 1;' },
  ])('are refused for $name', async ({ facilities, says }) => {
    await expect(opened(facilities)).rejects.toThrow(says);
  });
});

describe('title case', () => {
  test.each([
    ["o'BRIEN-smith", "O'Brien-Smith"],
    ['h5istot', 'H5Istot'],
    ['MARÍA elena', 'María Elena'],
    ['ßen', 'Ssen'],
    ['', ''],
  ])('%s -> %s', (text, title) => {
    expect(titleCase(text)).toBe(title);
  });
});

describe('ground truth', () => {
  const facilities = [{ patients: values('Id', [['a'], ['b']]) }, { patients: values('Id', [['b'], ['z']]) }];

  test('labels each record with its patient', async () => {
    const truth = values('original_patient_uuid, facility_id, errors_applied', [
      ['b', 2, 'name_typo,missing_field_value'],
      ['b', 1, 'none'],
      ['a', 1, 'none'],
    ]);
    const { db, hasTruth } = await opened(facilities, truth);
    expect(hasTruth).toBe(true);
    expect([...(await truthLabels(db))]).toEqual([0, 1, 1, -1]);
    expect(await db.rows('select row, facility_count, error_count from truth order by row')).toEqual([
      { row: 0, facility_count: 1, error_count: 0 },
      { row: 1, facility_count: 2, error_count: 0 },
      { row: 2, facility_count: 2, error_count: 2 },
    ]);
    db.close();
  });

  test('may be absent', async () => {
    const { db, hasTruth } = await opened(facilities);
    expect(hasTruth).toBe(false);
    expect([...(await truthLabels(db))]).toEqual([-1, -1, -1, -1]);
    db.close();
  });

  test('is refused when a record is listed twice or a column is missing', async () => {
    const twice = values('original_patient_uuid, facility_id', [
      ['a', 1],
      ['a', 1],
    ]);
    await expect(opened(facilities, twice)).rejects.toThrow('truth: records listed twice: 1');
    await expect(opened(facilities, values('facility_id', [[1]]))).rejects.toThrow('truth: column missing: original_patient_uuid');
  });
});
