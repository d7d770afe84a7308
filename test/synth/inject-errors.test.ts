import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { Database } from '../../src/sql/duckdb.ts';
import { readConfigFile } from '../../src/synth/config.ts';
import { type InjectReport, injectErrors } from '../../src/synth/inject-errors.ts';
import { segment } from '../../src/synth/segment.ts';
import { errorCategories, injectSettings, segmentSettings } from '../../src/synth/settings.ts';
import { differences, query, smallPopulation, tree } from './run-folder-tree.ts';

let work: string;
let clean: string;
let run: string;
let report: InjectReport;
const settings = injectSettings.parse({});
const timestamp = '2026-01-01T00:00:00';
const fields = ['FIRST', 'LAST', 'MAIDEN', 'SSN', 'ADDRESS', 'CITY', 'ZIP', 'GENDER', 'DRIVERS', 'PASSPORT'];

type LogLine = {
  patient_uuid: string;
  facility_id: number;
  field: string;
  error_type: string;
  original: string | null;
  errored: string | null;
};
const log = (folder: string): LogLine[] =>
  readFileSync(join(folder, 'metadata', 'error_log.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogLine);

/** Every patient row as text by `facility patient field`. */
async function cells(folder: string): Promise<Map<string, string | null>> {
  const rows = await query<Record<string, string>>(`
    select regexp_extract(filename, 'facility_0*(\\d+)', 1) as facility, "Id", strftime("BIRTHDATE"::timestamp, '%Y-%m-%d') as "BIRTHDATE",
      ${fields.map((field) => `"${field}"::varchar as "${field}"`).join(', ')}
    from read_parquet('${folder}/facilities/*/patients.parquet', filename = true)`);
  return new Map(
    rows.flatMap((row) => [...fields, 'BIRTHDATE'].map((field) => [`${row['facility']} ${row['Id']} ${field}`, row[field] ?? null])),
  );
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'clinfuse-inject-'));
  clean = join(work, 'segmented');
  run = join(work, 'augmented');
  await segment({ input: await smallPopulation(work), output: clean, settings: segmentSettings.parse({}) });
  report = await injectErrors({ input: clean, output: run, settings, timestamp });
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('inject-errors', () => {
  test('only the patients tables change; all else is copied byte for byte', () => {
    const changed = differences(join(clean, 'facilities'), join(run, 'facilities'));
    expect(changed.every((name) => name.endsWith('patients.parquet'))).toBe(true);
    expect([...differences(join(clean, 'metadata'), join(run, 'metadata'))].sort()).toEqual(
      ['assignment.json', 'error_log.jsonl', 'ground_truth.parquet', 'run_config.yaml'].sort(),
    );
  });

  test('patients tables keep their columns, types and row order', async () => {
    await using db = await Database.open();
    for (const folder of [clean, run])
      await db.run(`create view ${folder === run ? 'b' : 'a'} as from read_parquet('${folder}/facilities/facility_001/patients.parquet')`);
    expect(await db.describe('b')).toEqual(await db.describe('a'));
    expect(await db.rows('select "Id", "INCOME", "LAT" from b')).toEqual(await db.rows('select "Id", "INCOME", "LAT" from a'));
  });

  test('the log, played back on the clean rows, gives the damaged rows', async () => {
    const [played, after] = [await cells(clean), await cells(run)];
    const lines = log(run);
    expect(lines.length).toBe(report.total_error_transformations);
    for (const { patient_uuid, facility_id, field, original, errored } of lines) {
      const key = `${facility_id} ${patient_uuid} ${field}`;
      expect(played.get(key)).toBe(original);
      expect(errored).not.toBe(original);
      played.set(key, errored);
    }
    expect(played).toEqual(after);
  });

  test('ground truth has one row per record, in order, with the values after the errors', async () => {
    const truth = await query<Record<string, unknown>>(`select * from read_parquet('${run}/metadata/ground_truth.parquet')`);
    const [rows] = await query<{ n: number }>(`select count(*) as n from read_parquet('${run}/facilities/*/patients.parquet')`);
    expect(truth).toHaveLength(rows!.n);
    expect(Object.keys(truth[0]!)).toEqual(
      'original_patient_uuid facility_id num_encounters errors_applied first_name last_name maiden_name ssn birthdate gender address city zip'.split(
        ' ',
      ),
    );
    const keys = truth.map((row) => `${row['original_patient_uuid']} ${row['facility_id']}`);
    expect(keys).toEqual([...keys].sort());
    const after = await cells(run);
    const applied = new Map<string, string[]>();
    for (const line of log(run)) {
      const key = `${line.patient_uuid} ${line.facility_id}`;
      applied.set(key, [...(applied.get(key) ?? []), line.error_type]);
    }
    for (const row of truth) {
      const cell = (field: string) => after.get(`${row['facility_id']} ${row['original_patient_uuid']} ${field}`);
      expect([row['first_name'], row['ssn'], row['zip'], row['address']]).toEqual([
        cell('FIRST'),
        cell('SSN'),
        cell('ZIP'),
        cell('ADDRESS'),
      ]);
      expect(row['errors_applied']).toBe(applied.get(`${row['original_patient_uuid']} ${row['facility_id']}`)?.join(',') ?? 'none');
      expect(row['num_encounters']).toBeGreaterThan(0);
    }
  });

  test('statistics count real changes and say what was achieved', () => {
    const written = JSON.parse(readFileSync(join(run, 'statistics', 'augmentation_report.json'), 'utf8')) as InjectReport;
    expect(written).toEqual(report);
    const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0);
    expect(sum(report.errors.errors_by_type)).toBe(report.total_error_transformations);
    expect(sum(report.errors.errors_by_facility)).toBe(report.total_error_transformations);
    expect(sum(report.achieved.changes_per_record)).toBe(report.total_patient_facility_pairs);
    expect(report.achieved.changes_per_record[0] ?? 0).toBe(report.achieved.records_unchanged);
  });

  test('run_config.yaml is plain YAML, and given back as configuration makes the same records', async () => {
    const text = readFileSync(join(run, 'metadata', 'run_config.yaml'), 'utf8');
    expect(text).not.toContain('!');
    expect(parse(text)).toMatchObject({ error_injection: { min_errors: 8, max_errors: 12 }, random_seed: 99, validate_output: true });
    const { inject } = readConfigFile(join(run, 'metadata', 'run_config.yaml'));
    await injectErrors({ input: clean, output: join(work, 'again'), settings: injectSettings.parse(inject), timestamp });
    expect(differences(run, join(work, 'again'))).toEqual(['metadata/run_config.yaml']);
  });

  test('one thread and two give the same bytes; another seed does not', async () => {
    for (const threads of [1, 2]) {
      await injectErrors({ input: clean, output: join(work, 'threads'), settings, timestamp, threads });
      expect(differences(run, join(work, 'threads')).filter((name) => !name.endsWith('run_config.yaml'))).toEqual([]);
    }
    await injectErrors({ input: clean, output: join(work, 'other'), settings: { ...settings, seed: 1 }, timestamp });
    expect(differences(run, join(work, 'other'))).toContain('facilities/facility_001/patients.parquet');
  });

  test('every category can be turned on, gender and documents too', async () => {
    const weights = Object.fromEntries(errorCategories.map((category) => [category, 1 / errorCategories.length]));
    const all = await injectErrors({
      input: clean,
      output: join(work, 'all'),
      settings: injectSettings.parse({ error_weights: weights }),
      timestamp,
    });
    expect(all.errors.errors_by_field).toMatchObject({ GENDER: expect.any(Number), DRIVERS: expect.any(Number) });
  });

  test.each([
    { zip: 'BIGINT', birthdate: 'DATE', text: /^\d{4}$/ },
    { zip: 'DOUBLE', birthdate: 'TIMESTAMP', text: /^\d{4}\.0$/ },
  ])('files of other writers keep their types: ZIP as $zip, BIRTHDATE as $birthdate', async ({ zip, birthdate, text }) => {
    const input = join(work, `other-${zip}`);
    for (const name of tree(clean).keys()) {
      mkdirSync(join(input, name, '..'), { recursive: true });
      copyFileSync(join(clean, name), join(input, name));
    }
    for (let facility = 1; facility <= 5; facility++) {
      const file = `facilities/facility_00${facility}/patients.parquet`;
      await query(
        `copy (select * replace ("ZIP"::${zip} as "ZIP", "BIRTHDATE"::${birthdate} as "BIRTHDATE") from read_parquet('${clean}/${file}')) to '${input}/${file}' (format parquet)`,
      );
    }
    const output = join(work, `damaged-${zip}`);
    await injectErrors({ input, output, settings, timestamp });
    await using db = await Database.open();
    const types = await db.describe(`read_parquet('${output}/facilities/facility_001/patients.parquet')`);
    expect(types).toContainEqual({ name: 'ZIP', type: zip });
    expect(types).toContainEqual({ name: 'BIRTHDATE', type: birthdate });
    const zips = [...(await cells(output))].filter(([key, value]) => key.endsWith(' ZIP') && value !== null);
    for (const [, value] of zips) expect(value).toMatch(text);
  });

  test('a row that points at nothing stops the run, unless checks are left out', async () => {
    const input = join(work, 'broken');
    for (const name of tree(clean).keys()) {
      mkdirSync(join(input, name, '..'), { recursive: true });
      copyFileSync(join(clean, name), join(input, name));
    }
    const file = 'facilities/facility_002/conditions.parquet';
    await query(
      `copy (select * replace ('nowhere' as "ENCOUNTER") from read_parquet('${clean}/${file}')) to '${input}/${file}' (format parquet)`,
    );
    const output = join(work, 'broken-out');
    await expect(injectErrors({ input, output, settings, timestamp })).rejects.toThrow(
      'references do not hold: facility_002: conditions.ENCOUNTER names 1 that encounters does not have',
    );
    expect(tree(work).has('broken-out/metadata/ground_truth.parquet')).toBe(false);
    await injectErrors({ input, output, settings, timestamp, validate: false });
    expect(tree(work).has('broken-out/metadata/ground_truth.parquet')).toBe(true);
  });

  test('a folder without facilities is refused', async () => {
    await expect(injectErrors({ input: join(work, 'csv'), output: join(work, 'none'), settings, timestamp })).rejects.toThrow(
      'no facilities found',
    );
  });
});
