import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { loadRecords } from '../../src/records/patient.ts';
import { attachRunFolder, openRunFolder } from '../../src/records/run-folder.ts';
import { createSummaries, pairPrompt, pairPromptSql } from '../../src/records/summary.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { type FacilityTables, values, writeRunFolder } from './run-folder-fixture.ts';

const noRecords = 'No clinical records available.';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** Summaries of the folder's records, by record id. */
async function summariesOf(facilities: readonly FacilityTables[], rows?: readonly number[]): Promise<Record<string, string>> {
  await using db = await Database.open({ threads: 2 });
  await attachRunFolder(db, openRunFolder(await writeRunFolder(facilities)));
  await loadRecords(db);
  await createSummaries(db, rows ? { rows } : {});
  const found = await db.rows<{ record_id: string; summary: string }>(
    'select record_id, summary from summaries join records using (row) order by row',
  );
  return Object.fromEntries(found.map(({ record_id, summary }) => [record_id, summary]));
}

const onePatient = { patients: values('Id', [['p']]) };
const only = async (tables: FacilityTables) => (await summariesOf([{ ...onePatient, ...tables }]))['facility_001_p']!;

/** A moment or day as our own files hold it. */
const at = (date: string | null, type = 'timestamp') => ({ sql: date === null ? `null::${type}` : `${type} '${date}'` });

describe('the clinical summary', () => {
  const description = 'PATIENT, DESCRIPTION';
  const workedExample: FacilityTables = {
    ...onePatient,
    conditions: values(
      `START, STOP, ${description}`,
      (
        [
          ['2019-03-02', '2019-03-16', 'Acute bronchitis (disorder)'],
          ['2021-05-10', null, 'Prediabetes (finding)'],
          ['2021-01-20', '2021-02-01', 'Sprain of wrist (disorder)'],
          [null, null, 'Anemia (disorder)'],
        ] as const
      ).map(([start, stop, text]) => [at(start, 'date'), at(stop, 'date'), 'p', text]),
    ),
    medications: values(
      `${description}, START, STOP`,
      (
        [
          ['Amoxicillin 250 MG Oral Capsule', '2019-03-02', '2019-03-16'],
          ['Metformin 500 MG Oral Tablet', '2021-05-10', '2022-05-10'],
          ['Metformin 500 MG Oral Tablet', '2020-05-10', '2021-05-09'],
          ['Lisinopril 10 MG Oral Tablet', '2022-01-04', null],
          ['Ibuprofen 200 MG Oral Tablet', null, '2022-02-02'],
        ] as const
      ).map(([text, start, stop]) => ['p', text, at(start), at(stop)]),
    ),
    allergies: values(
      description,
      ['Shellfish', 'Aspirin', 'latex', 'Aspirin'].map((text) => ['p', text]),
    ),
    observations: values(
      `DATE, ${description}, VALUE, UNITS`,
      (
        [
          ['2019-03-02', 'Body Height', '171.0', 'cm'],
          ['2020-05-10', 'Body Height', '171.2', 'cm'],
          ['2021-05-10', 'Body Height', '171.2', 'cm'],
          ['2021-05-10', 'Body Weight', '70.5', 'kg'],
          [null, 'Body Weight', '70.9', 'kg'],
          ['2020-05-10', 'Body mass index (BMI) [Ratio]', '24.0', 'kg/m2'],
          ['2020-05-10', 'Body Mass Index (BMI) [Ratio]', '24.1', 'kg/m2'],
          ['2021-05-10', 'Body Mass Index (BMI) [Percentile] Per age and sex', '55.2', '%'],
          ['2020-05-10', 'Glucose [Mass/volume] in Blood', '88.1', 'mg/dL'],
          ['2021-05-10', 'Glucose [Mass/volume] in Blood', '', 'mg/dL'],
          ['2022-01-04', 'Glucose [Presence] in Urine by Test strip', 'Negative (qualifier value)', ''],
          ['2022-01-04', 'Pain severity - 0-10 verbal numeric rating [Score] - Reported', '3.0', '{score}'],
        ] as const
      ).map(([date, text, value, units]) => [at(date), 'p', text, value, units]),
    ),
    procedures: values(
      `START, ${description}`,
      (
        [
          ['2021-05-10', 'Depression screening (procedure)'],
          ['2019-03-02', 'Chest X-ray (procedure)'],
          ['2019-03-02', 'Depression screening (procedure)'],
          ['2019-09-02', 'Depression screening (procedure)'],
          [null, 'Dental care (procedure)'],
        ] as const
      ).map(([start, text]) => [at(start), 'p', text]),
    ),
  };

  test('prints the worked example byte for byte', async () => {
    const summary = (await summariesOf([workedExample]))['facility_001_p']!;
    expect(summary).toBe(readFileSync('test/golden/summary/worked-example.txt', 'utf8'));
    expect(Buffer.byteLength(summary)).toBe(705);
    expect(sha256(summary)).toBe('b08babf821b78a19c63ae0cb392343a3f0034d1026b9163124a590bb44511ca1');
    expect(sha256(pairPrompt(summary, noRecords))).toBe('a42086889912a3a134d10a7be65c85c5c2d1a0bffd0f33450cce881708da85c4');
  });

  test('says so when a record has no clinical rows, and keeps facilities apart', async () => {
    const other = { conditions: values('START, PATIENT, DESCRIPTION', [[at('2020-01-01', 'date'), 'q', 'Cough']]) };
    const summaries = await summariesOf([
      { ...onePatient, ...other },
      { patients: values('Id', [['p'], ['q']]), ...other },
    ]);
    expect(summaries).toEqual({
      facility_001_p: noRecords,
      facility_002_p: noRecords,
      facility_002_q: 'CONDITIONS:\n  2020: Cough *',
    });
  });

  test('restricts itself to the records asked for', async () => {
    expect(Object.keys(await summariesOf([{ patients: values('Id', [['p'], ['q'], ['r']]) }], [2, 0]))).toEqual([
      'facility_001_p',
      'facility_001_r',
    ]);
  });

  const observation = (value: string, type: string, date: string) =>
    only({
      observations: values('PATIENT, DATE, DESCRIPTION, VALUE, UNITS', [
        ['p', { sql: date }, 'Body Height', { sql: `${value}::${type}` }, null],
      ]),
    });

  test.each([
    { name: 'text as it stands', value: `'070.0 '`, type: 'VARCHAR', printed: '070.0 ' },
    { name: 'a whole double with one decimal', value: '70', type: 'DOUBLE', printed: '70.0' },
    { name: 'a double in its shortest form', value: '71.25', type: 'DOUBLE', printed: '71.25' },
    { name: 'a tiny double with exponent', value: '0.00001', type: 'DOUBLE', printed: '1e-05' },
    { name: 'a huge double with exponent', value: '1e16', type: 'DOUBLE', printed: '1e+16' },
    { name: 'the largest double without one', value: '1234567890123456', type: 'DOUBLE', printed: '1234567890123456.0' },
    { name: 'an integer', value: '70', type: 'BIGINT', printed: '70' },
  ])('prints a value stored as $name', async ({ value, type, printed }) => {
    expect(await observation(value, type, `timestamp '2021-05-10 01:02:03'`)).toBe(`OBSERVATIONS:\n- Body Height: ${printed} (2021-05-10)`);
  });

  test.each([
    { name: 'a missing timestamp', date: 'null::timestamp', printed: 'NaT' },
    { name: 'a missing timestamp in nanoseconds', date: 'null::timestamp_ns', printed: 'NaT' },
    { name: 'a missing text', date: 'null::varchar', printed: 'None' },
    { name: 'a text', date: `'2021-05-10T01:02:03Z'`, printed: '2021-05-10' },
    { name: 'a day', date: `date '2021-05-10'`, printed: '2021-05-10' },
    { name: 'a timestamp in milliseconds', date: `timestamp_ms '2021-05-10 01:02:03'`, printed: '2021-05-10' },
  ])('prints $name by its stored type', async ({ date, printed }) => {
    expect(await observation("'171.2'", 'VARCHAR', date)).toBe(`OBSERVATIONS:\n- Body Height: 171.2 (${printed})`);
  });

  test('keeps the heading when no metric matches or no value is left', async () => {
    const rows = (text: string, value: string) =>
      only({ observations: values('PATIENT, DATE, DESCRIPTION, VALUE', [['p', at('2021-05-10'), text, value]]) });
    expect(await rows('Pain severity', '3')).toBe('OBSERVATIONS:');
    expect(await rows('Body Height', ' ')).toBe('OBSERVATIONS:');
    expect(await rows('HEMOGLOBIN A1C/Hemoglobin-total in blood', '5.7')).toContain('5.7 (2021-05-10)');
  });

  test('breaks ties of time by place in the file', async () => {
    const rows = ['1', '2', '3', '4'].map((value) => ['p', at('2021-05-10'), 'Glucose', value]);
    expect(await only({ observations: values('PATIENT, DATE, DESCRIPTION, VALUE', rows) })).toBe(
      'OBSERVATIONS:\n- Glucose: 3 (2021-05-10), 4 (2021-05-10)',
    );
  });

  test('prints a condition without description as None, leaves out an allergy without one, sorts an empty one first', async () => {
    expect(
      await only({
        conditions: values('PATIENT, START, STOP, DESCRIPTION', [['p', '2020-01-01', ' ', null]]),
        allergies: values('PATIENT, DESCRIPTION', [
          ['p', 'a'],
          ['p', null],
          ['p', 'B'],
          ['p', ''],
        ]),
      }),
    ).toBe('CONDITIONS:\n  2020: None *\n\nALLERGIES: ; B; a');
  });

  test('reads facilities that store the same column in different types', async () => {
    const rows = (value: { sql: string }, date: { sql: string }) =>
      values('PATIENT, DATE, DESCRIPTION, VALUE, UNITS', [['p', date, 'Body Height', value, 'cm']]);
    const summaries = await summariesOf([
      { ...onePatient, observations: rows({ sql: '170::double' }, at('2021-05-10')) },
      { ...onePatient, observations: rows({ sql: "'170'" }, { sql: "'2021-05-10T00:00:00Z'" }) },
    ]);
    expect(Object.values(summaries)).toEqual([
      'OBSERVATIONS:\n- Body Height: 170.0 cm (2021-05-10)',
      'OBSERVATIONS:\n- Body Height: 170 cm (2021-05-10)',
    ]);
  });
});

describe('the sample’s summaries', () => {
  test('equal those of the plain recipe (test/oracle/summary), record by record', async () => {
    const expected = JSON.parse(readFileSync('test/oracle/summary/sample.json', 'utf8')) as Record<string, string>;
    await using db = await Database.open({ threads: 2 });
    await attachRunFolder(db, openRunFolder('examples/data'));
    await loadRecords(db);
    await createSummaries(db);
    const found = await db.rows<{ record_id: string; summary: string }>(
      'select record_id, summary from summaries join records using (row)',
    );
    const sums = Object.fromEntries(
      found.filter(({ record_id }) => record_id in expected).map(({ record_id, summary }) => [record_id, sha256(summary)]),
    );
    expect(Object.keys(expected).length).toBeGreaterThan(30);
    expect(sums).toEqual(expected);
  });
});

describe('the question to the language model', () => {
  test('is the constant that models were trained on', () => {
    const prompt = pairPrompt('{summary_a}', '{summary_b}');
    expect(Buffer.byteLength(prompt)).toBe(276);
    expect(sha256(prompt)).toBe('c20bb609b5c3924b3856bbc2afc6bd758a09910f98396cd2157d35fff4125fe7');
  });

  test('is the same from SQL', async () => {
    await using db = await Database.open({ threads: 1 });
    const [a, b] = ["it's A\n–", '{summary_a}'];
    expect(await db.value(`select ${pairPromptSql(literal(a!), literal(b!))}`)).toBe(pairPrompt(a!, b!));
  });
});
