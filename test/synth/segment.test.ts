import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { tableNames, tableSchemas } from '../../src/records/tables.ts';
import { Database } from '../../src/sql/duckdb.ts';
import { drawFacilities } from '../../src/synth/assignment.ts';
import { encounterTables, segment } from '../../src/synth/segment.ts';
import type { SegmentReport } from '../../src/synth/segment-report.ts';
import { segmentSettings } from '../../src/synth/settings.ts';
import { temporaryFolder } from './csv-fixture.ts';
import { differences, query, smallPopulation, tree } from './run-folder-tree.ts';

let work: string;
let parquet: string;
let run: string;
let report: SegmentReport;
const settings = segmentSettings.parse({ confusable_pct: 20 });
const all = (table: string) => `read_parquet('${run}/facilities/*/${table}.parquet', filename = true)`;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'clinfuse-segment-'));
  parquet = await smallPopulation(work);
  run = join(work, 'segmented');
  report = await segment({ input: parquet, output: run, settings });
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('segment', () => {
  test('five facilities hold 18 tables each, with the schema’s types even where a table has no rows', async () => {
    expect([...tree(run).keys()].filter((name) => name.startsWith('facilities'))).toHaveLength(5 * 18);
    await using db = await Database.open();
    for (const table of tableNames) {
      expect(await db.describe(`read_parquet('${run}/facilities/facility_005/${table}.parquet')`)).toEqual(tableSchemas[table]);
    }
  });

  test('every encounter of every patient is at exactly one facility', async () => {
    const ids = `select "Id" from read_parquet('${parquet}/encounters.parquet')`;
    const [counts] = await query<{ there: number; here: number; apart: number }>(`
      select (select count(*) from (${ids})) as there, count(*) as here, count(distinct "Id") as apart from ${all('encounters')}`);
    expect(counts!.here).toBe(counts!.there);
    expect(counts!.apart).toBe(counts!.there);
  });

  test('the primary facility has the earliest 60 % of the encounters, the others take turns at the rest', async () => {
    const rows = await query<{ patient: string; facility: number; n: number }>(`
      select "PATIENT" as patient, regexp_extract(filename, 'facility_(\\d+)', 1)::int as facility, n from
      (select *, count(*) over (partition by "PATIENT") as n from ${all('encounters')}) order by "PATIENT", "START", "Id"`);
    const places = new Map<string, typeof rows>();
    for (const row of rows) places.set(row.patient, [...(places.get(row.patient) ?? []), row]);
    expect(places.size).toBe(60);
    for (const [patient, visits] of places) {
      const [primary, ...others] = drawFacilities(patient, settings);
      const cut = others.length === 0 ? visits.length : Math.floor(visits.length * 0.6);
      const expected = visits.map((_, i) => (i < cut ? primary : others[(i - cut) % others.length]));
      expect(visits.map(({ facility }) => facility)).toEqual(expected);
    }
  });

  test('a patient row stands where the patient was seen, and nowhere else', async () => {
    const where = (table: string, column: string) =>
      `select distinct "${column}" as patient, filename.regexp_extract('facility_\\d+') as place from ${all(table)} order by all`;
    expect(await query(where('patients', 'Id'))).toEqual(await query(where('encounters', 'PATIENT')));
  });

  test('clinical rows, claims and their transactions follow the encounter; rows without one are dropped', async () => {
    for (const table of encounterTables) {
      const [counts] = await query<{ here: number; there: number; stray: number }>(`
        with e as (select "Id", filename.regexp_extract('facility_\\d+') as place from ${all('encounters')}),
          t as (select "ENCOUNTER", filename.regexp_extract('facility_\\d+') as place from ${all(table)})
        select (select count(*) from t) as here, count(*) as there,
          (select count(*) from t anti join e on e."Id" = t."ENCOUNTER" and e.place = t.place) as stray
        from read_parquet('${parquet}/${table}.parquet') where "ENCOUNTER" is not null`);
      expect(counts, table).toEqual({ here: counts!.there, there: counts!.there, stray: 0 });
    }
    const [claims] = await query<{ here: number; there: number }>(`
      select (select count(*) from ${all('claims_transactions')} t join ${all('claims')} c on c."Id" = t."CLAIMID" and c.filename.regexp_extract('facility_\\d+') = t.filename.regexp_extract('facility_\\d+')) as here,
        count(*) as there from read_parquet('${parquet}/claims_transactions.parquet')`);
    expect(claims!.here).toBe(claims!.there);
  });

  test('insurance rows overlap the patient’s time at the facility', async () => {
    const [counts] = await query<{ wrong: number; lacking: number }>(`
      with v as (select "PATIENT", filename.regexp_extract('facility_\\d+') as place, min("START") as first_seen, max("START") as last_seen
          from ${all('encounters')} group by all),
        t as (select *, filename.regexp_extract('facility_\\d+') as place from ${all('payer_transitions')}),
        due as (select p."PATIENT", p."START_DATE", v.place from read_parquet('${parquet}/payer_transitions.parquet') p join v using ("PATIENT")
          where p."START_DATE" <= last_seen and (p."END_DATE" is null or p."END_DATE" >= first_seen))
      select (select count(*) from t anti join due using ("PATIENT", "START_DATE", place)) as wrong,
        (select count(*) from due anti join t using ("PATIENT", "START_DATE", place)) as lacking`);
    expect(counts).toEqual({ wrong: 0, lacking: 0 });
  });

  test('rows keep the source’s order, and long codes every digit', async () => {
    for (const table of ['encounters', 'claims_transactions'] as const) {
      const id = table === 'encounters' ? 'Id' : 'ID';
      const order = new Map(
        (await query<{ id: string }>(`select "${id}" as id from read_parquet('${parquet}/${table}.parquet')`)).map(({ id: one }, i) => [
          one,
          i,
        ]),
      );
      for (let facility = 1; facility <= 5; facility++) {
        const ids = await query<{ id: string }>(
          `select "${id}" as id from read_parquet('${run}/facilities/facility_00${facility}/${table}.parquet')`,
        );
        const places = ids.map(({ id: one }) => order.get(one)!);
        expect(places).toEqual([...places].sort((a, b) => a - b));
      }
    }
    const codes = await query<{ CODE: bigint }>(`select distinct "CODE" from ${all('procedures')}`);
    expect(codes).toEqual([{ CODE: 9007199254740993n }]);
  });

  test('look-alikes take over what their kind says, keep their id and number, and are born before they are seen', async () => {
    const pairs = await query<Record<string, string>>(`
      select c.group_type as type, c.fields_copied as fields,
        s."Id" < t."Id" as sorted, s."LAST" = t."LAST" and s."ADDRESS" = t."ADDRESS" and s."ZIP" = t."ZIP" as alike,
        t."SSN" = o."SSN" as own, s."FIRST" = t."FIRST" as first, s."GENDER" = t."GENDER" as gender,
        date_diff('year', s."BIRTHDATE", t."BIRTHDATE") as years,
        t."BIRTHDATE" <= (select min("START") from read_parquet('${parquet}/encounters.parquet') where "PATIENT" = t."Id") as possible
      from read_parquet('${run}/metadata/confusable_pairs.parquet') c
      join (select distinct * exclude (filename) from ${all('patients')}) s on s."Id" = c.source_patient_id
      join (select distinct * exclude (filename) from ${all('patients')}) t on t."Id" = c.target_patient_id
      join read_parquet('${parquet}/patients.parquet') o on o."Id" = t."Id" order by s."Id"`);
    expect(pairs).toHaveLength(report.lookAlikePairs);
    expect(report.lookAlikePairs).toBe(12);
    for (const pair of pairs) {
      expect(pair).toMatchObject({ sorted: true, alike: true, own: true, possible: true });
      if (pair['type'] === 'twin') expect(pair).toMatchObject({ gender: true, years: 0, fields: expect.stringContaining('BIRTHDATE') });
      if (pair['type'] === 'parent_child')
        expect(pair).toMatchObject({ first: true, fields: expect.stringMatching(/^FIRST.*,BIRTHDATE$/) });
    }
  });

  test('metadata says what was done, and agrees with the files', async () => {
    const facilities = await query<Record<string, unknown>>(`select * from read_parquet('${run}/metadata/facilities.parquet')`);
    expect(facilities.map((one) => one['facility_id'])).toEqual([1, 2, 3, 4, 5]);
    expect(facilities[0]).toMatchObject({ address: '1 Main Street', zip: '010201314' });
    for (const one of facilities) expect(one['name']).toMatch(/^(Chicopee|St\. Rendón's|Rendón Memorial) /);
    const assignment = JSON.parse(readFileSync(join(run, 'metadata', 'assignment.json'), 'utf8'));
    expect(assignment).toMatchObject({ assignment_seed: 99, num_facilities: 5, assignment_stats: { total_patients: 60 } });
    const [rows] = await query<{ n: number }>(`select count(*) as n from ${all('patients')}`);
    expect(report.records).toBe(rows!.n);
    expect(assignment.assignment_stats.patient_count_per_facility).toEqual(report.patientsPerFacility);
  });

  test('the same seed gives the same bytes with one thread and with two; another seed does not', async () => {
    for (const threads of [1, 2]) {
      await segment({ input: parquet, output: join(work, `again${threads}`), settings, threads });
      expect(differences(run, join(work, `again${threads}`))).toEqual([]);
    }
    await segment({ input: parquet, output: join(work, 'other'), settings: { ...settings, seed: 100 } });
    expect(differences(run, join(work, 'other')).length).toBeGreaterThan(0);
  });

  test('no look-alikes: no file for them', async () => {
    const output = join(work, 'none');
    await segment({ input: parquet, output, settings: segmentSettings.parse({ confusable_pct: 0 }) });
    expect([...tree(output).keys()].filter((name) => name.includes('confusable'))).toEqual([]);
  });

  test('a missing table is named, and nothing is written', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'in'));
    await expect(segment({ input: join(folder, 'in'), output: join(folder, 'out'), settings })).rejects.toThrow(
      /table missing: .*patients\.parquet/,
    );
    writeFileSync(join(folder, 'in', 'patients.parquet'), 'no parquet');
    await expect(segment({ input: join(folder, 'in'), output: join(folder, 'out'), settings })).rejects.toThrow(
      /cannot be read: .*patients\.parquet/,
    );
    expect([...tree(folder).keys()]).toEqual(['in/patients.parquet']);
  });

  test('a folder that holds something else is not overwritten', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'thesis.txt'), 'mine');
    await expect(segment({ input: parquet, output: folder, settings })).rejects.toThrow(/not written by this command: .*thesis\.txt/);
    expect([...tree(folder).keys()]).toEqual(['thesis.txt']);
  });
});
