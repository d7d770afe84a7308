// Typed tables of one population -> a run folder: the same people's records spread over facilities that know nothing of each other.
//
// Encounters are assigned first (assignment.ts); every clinical row follows its encounter, a claim follows its encounter, a claim's
// transactions follow the claim, insurance rows go wherever their time overlaps the patient's visits. A patient row is written to
// each facility at which the patient was seen, and to no other. Some patients are made to look alike (look-alikes.ts). All files
// keep the source's types and row order.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { writeFolder, writeJson } from '../base/files.ts';
import { type Progress, silent } from '../base/progress.ts';
import { compareCodePoints } from '../base/text.ts';
import { type TableName, tableNames } from '../records/tables.ts';
import type { Database } from '../sql/duckdb.ts';
import { assignEncounters } from './assignment.ts';
import { inventFacilities, type Organization } from './facilities.ts';
import { chooseLookAlikes, copiedFields, type Life, type LookAlike, wantedPairs } from './look-alikes.ts';
import { checkTables, openOrdered, parquetSource, writeParquet } from './parquet-folder.ts';
import type { SegmentSettings } from './settings.ts';

/** Tables whose rows name the encounter they belong to. */
export const encounterTables = [
  'conditions',
  'medications',
  'observations',
  'procedures',
  'immunizations',
  'allergies',
  'careplans',
  'imaging_studies',
  'devices',
  'supplies',
] as const satisfies readonly TableName[];

export type SegmentReport = {
  readonly patients: number;
  readonly encounters: number;
  /** Patient rows over all facilities. */
  readonly records: number;
  readonly lookAlikePairs: number;
  readonly patientsPerFacility: Readonly<Record<string, number>>;
  readonly encountersPerFacility: Readonly<Record<string, number>>;
  /** Key: number of facilities at which a patient was seen. */
  readonly facilityCounts: Readonly<Record<string, number>>;
};

/** Folder of one facility inside a run folder: `facility_001`. */
export function facilityFolder(facility: number): string {
  return `facility_${String(facility).padStart(3, '0')}`;
}

/**
 * Spreads a population over facilities. Whole or not at all; the same input and settings give the same bytes.
 *
 * @param options.input folder that `ingest` wrote
 * @param options.output run folder: `facilities/`, `metadata/`
 * @throws UserError for missing tables or columns, and when nobody has an encounter
 */
export async function segment({
  input,
  output,
  settings,
  threads,
  progress = silent,
}: {
  readonly input: string;
  readonly output: string;
  readonly settings: SegmentSettings;
  readonly threads?: number;
  readonly progress?: Progress;
}): Promise<SegmentReport> {
  await using db = await openOrdered(threads);
  await checkTables(db, input, 'segment');
  return await writeFolder(output, { names: ['facilities', 'metadata'], inputs: [input] }, async (folder) => {
    const step = progress.step('segment', { total: settings.facilities * tableNames.length, unit: 'files' });
    try {
      mkdirSync(join(folder, 'metadata'), { recursive: true });
      await loadPeople(db, input);
      await assignEncounters(db, settings);
      if ((await db.value<number>('select count(*) from visits')) === 0) {
        throw new UserError(
          'input.empty',
          `segment: no patient has an encounter: ${input}; check that PATIENT in encounters names Id in patients`,
        );
      }
      await makeLookAlikes(db, settings, join(folder, 'metadata', 'confusable_pairs.parquet'));
      await db.run(`create or replace temp table claim_places as
        select c."Id", v.facility from (select "Id", "APPOINTMENTID" from ${parquetSource(input, 'claims')}) c
        join visits v on v."Id" = c."APPOINTMENTID"`);
      for (let facility = 1; facility <= settings.facilities; facility++) {
        const place = join(folder, 'facilities', facilityFolder(facility));
        mkdirSync(place, { recursive: true });
        for (const table of tableNames) {
          await writeParquet(db, rowsOf(table, input, facility), join(place, `${table}.parquet`));
          step.advance(1);
        }
      }
      await writeFacilities(db, input, settings, join(folder, 'metadata', 'facilities.parquet'));
      const report = await summarize(db, settings);
      await writeJson(join(folder, 'metadata', 'assignment.json'), assignmentFile(report, settings));
      return report;
    } finally {
      step.finish();
    }
  });
}

async function loadPeople(db: Database, input: string): Promise<void> {
  await db.run(
    `create or replace temp table patients as select *, row_number() over () as file_row from ${parquetSource(input, 'patients')}`,
  );
  await db.run(`create or replace temp table encounters as select "Id", "PATIENT", "START" from ${parquetSource(input, 'encounters')}`);
}

/** What one facility gets of one table, in the source's row order. */
function rowsOf(table: TableName, input: string, facility: number): string {
  const source = parquetSource(input, table);
  const here = `from visits where facility = ${facility}`;
  if (table === 'organizations' || table === 'providers' || table === 'payers') return `select * from ${source}`;
  if (table === 'patients') {
    return `select p.* exclude (file_row) from patients p semi join (select distinct "PATIENT" ${here}) v on v."PATIENT" = p."Id" order by file_row`;
  }
  if (table === 'encounters') return `select t.* from ${source} t semi join (select "Id" ${here}) v on v."Id" = t."Id"`;
  if (table === 'claims') return `select t.* from ${source} t semi join (select "Id" ${here}) v on v."Id" = t."APPOINTMENTID"`;
  if (table === 'claims_transactions') {
    return `select t.* from ${source} t semi join (select "Id" from claim_places where facility = ${facility}) c on c."Id" = t."CLAIMID"`;
  }
  if (table === 'payer_transitions') {
    return `select t.* from ${source} t
      join (select "PATIENT", min("START") as first_seen, max("START") as last_seen ${here} group by "PATIENT") v on v."PATIENT" = t."PATIENT"
      where t."START_DATE" <= v.last_seen and (t."END_DATE" is null or t."END_DATE" >= v.first_seen)`;
  }
  return `select t.* from ${source} t semi join (select "Id" ${here}) v on v."Id" = t."ENCOUNTER"`;
}

/** Picks the pairs, rewrites the targets in `patients`, and lists the pairs in a file (none: no file). */
async function makeLookAlikes(db: Database, settings: SegmentSettings, file: string): Promise<void> {
  const members = Array.from({ length: settings.facilities }, () => [] as string[]);
  const seen = await db.rows<{ patient: string; facility: number }>(
    'select distinct "PATIENT" as patient, facility from visits order by facility, patient',
  );
  for (const { patient, facility } of seen) members[facility - 1]!.push(patient);
  const lives = await db.rows<Life>(`
    select p."Id" as patient, strftime(p."BIRTHDATE", '%Y-%m-%d') as birthdate, strftime(min(v."START"), '%Y-%m-%d') as "firstSeen"
    from patients p join visits v on v."PATIENT" = p."Id" where p."BIRTHDATE" is not null and v."START" is not null
    group by all`);
  const known = new Map(lives.map((life) => [life.patient, life]));
  const pairs = chooseLookAlikes({
    wanted: wantedPairs(await db.value<number>('select count(*) from patients'), settings),
    members: members.map((patients) => patients.filter((patient) => known.has(patient))),
    lives: known,
    lastDay: await db.value<string>(`select strftime(max("START"), '%Y-%m-%d') from visits`),
    seed: settings.seed,
    weights: settings.lookAlikeWeights,
  });
  if (pairs.length === 0) return;
  await createPairTable(db, pairs);
  // The sources are read before any target is written; no patient is in two pairs.
  const taken = ['FIRST', 'LAST', 'ADDRESS', 'CITY', 'ZIP', 'GENDER', 'STATE', 'LAT', 'LON'];
  const assignments = taken.map((field) => {
    const types = Object.entries(copiedFields).filter(([, fields]) => fields.includes(field));
    const list = types.map(([type]) => `'${type}'`).join(', ');
    return `"${field}" = case when c.group_type in (${list}) then c."${field}" else patients."${field}" end`;
  });
  await db.run(`
    update patients set "BIRTHDATE" = c.birthdate::timestamp, ${assignments.join(', ')}
    from (select l.target, l.group_type, l.birthdate, s.* from look_alikes l join patients s on s."Id" = l.source) c
    where patients."Id" = c.target`);
  await writeParquet(
    db,
    'select source as source_patient_id, target as target_patient_id, group_type, fields_copied from look_alikes order by nth',
    file,
  );
}

async function createPairTable(db: Database, pairs: readonly LookAlike[]): Promise<void> {
  const sorted = [...pairs].sort((a, b) => compareCodePoints(a.source, b.source));
  const fields = (type: LookAlike['type']) => [...copiedFields[type], ...(type === 'twin' ? [] : ['BIRTHDATE'])].join(',');
  await db.createTable('look_alikes', {
    nth: { type: 'INTEGER', values: sorted.map((_, i) => i) },
    source: { type: 'VARCHAR', values: sorted.map(({ source }) => source) },
    target: { type: 'VARCHAR', values: sorted.map(({ target }) => target) },
    group_type: { type: 'VARCHAR', values: sorted.map(({ type }) => type) },
    birthdate: { type: 'VARCHAR', values: sorted.map(({ birthdate }) => birthdate) },
    fields_copied: { type: 'VARCHAR', values: sorted.map(({ type }) => fields(type)) },
  });
}

async function writeFacilities(db: Database, input: string, settings: SegmentSettings, file: string): Promise<void> {
  const organizations = await db.rows<Organization>(`
    select "ADDRESS" as address, "CITY" as city, "STATE" as state, "ZIP"::varchar as zip, "LAT" as lat, "LON" as lon
    from ${parquetSource(input, 'organizations')} order by "Id"`);
  const surnames = await db.rows<{ surname: string }>(`
    select distinct regexp_extract("NAME", '(\\p{L}+)[0-9]*$', 1) as surname from ${parquetSource(input, 'providers')}
    where surname <> '' order by surname`);
  const invented = inventFacilities({
    count: settings.facilities,
    seed: settings.seed,
    organizations,
    surnames: surnames.map(({ surname }) => surname),
  });
  const text = (name: 'name' | 'address' | 'city' | 'state' | 'zip' | 'type') => ({
    type: 'VARCHAR' as const,
    values: invented.map((one) => one[name]),
  });
  const number = (name: 'lat' | 'lon') => ({ type: 'DOUBLE' as const, values: invented.map((one) => one[name]) });
  await db.createTable('facility_list', {
    facility_id: { type: 'INTEGER', values: invented.map((one) => one.facility_id) },
    name: text('name'),
    address: text('address'),
    city: text('city'),
    state: text('state'),
    zip: text('zip'),
    lat: number('lat'),
    lon: number('lon'),
    type: text('type'),
  });
  await writeParquet(db, 'select * replace (facility_id::bigint as facility_id) from facility_list order by facility_id', file);
}

async function summarize(db: Database, { facilities }: SegmentSettings): Promise<SegmentReport> {
  const places = await db.rows<{ facility: number; patients: number; encounters: number }>(
    'select facility, count(distinct "PATIENT") as patients, count(*) as encounters from visits group by facility',
  );
  const spread = await db.rows<{ facilities: number; patients: number }>(
    'select facilities, count(*) as patients from (select count(distinct facility) as facilities from visits group by "PATIENT") group by 1 order by 1',
  );
  const perFacility = (field: 'patients' | 'encounters') =>
    Object.fromEntries(
      Array.from({ length: facilities }, (_, i) => [String(i + 1), places.find(({ facility }) => facility === i + 1)?.[field] ?? 0]),
    );
  const [lists] = await db.rows<{ n: number }>("select count(*) as n from duckdb_tables() where table_name = 'look_alikes'");
  return {
    patients: await db.value<number>('select count(*) from patients'),
    encounters: await db.value<number>('select count(*) from visits'),
    records: spread.reduce((sum, one) => sum + one.facilities * one.patients, 0),
    lookAlikePairs: lists!.n > 0 ? await db.value<number>('select count(*) from look_alikes') : 0,
    patientsPerFacility: perFacility('patients'),
    encountersPerFacility: perFacility('encounters'),
    facilityCounts: Object.fromEntries(spread.map((one) => [String(one.facilities), one.patients])),
  };
}

/** metadata/assignment.json, with the settings that gave it, so that a later stage can say what it worked on. */
function assignmentFile(report: SegmentReport, settings: SegmentSettings): unknown {
  return {
    assignment_seed: settings.seed,
    num_facilities: settings.facilities,
    assignment_stats: {
      total_patients: report.patients,
      total_encounters: report.encounters,
      facility_count_distribution: report.facilityCounts,
      encounter_count_per_facility: report.encountersPerFacility,
      patient_count_per_facility: report.patientsPerFacility,
    },
    facility_distribution: {
      num_facilities: settings.facilities,
      strategy: 'chronological_switching',
      facility_count_weights: settings.facilityCountWeights,
      primary_facility_weight: settings.primaryShare,
    },
    confusable_groups: { total_pairs: report.lookAlikePairs, type_weights: settings.lookAlikeWeights },
  };
}
