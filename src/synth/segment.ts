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
import { Database, literal } from '../sql/duckdb.ts';
import { assignEncounters } from './assignment.ts';
import { inventFacilities, type Organization } from './facilities.ts';
import { chooseLookAlikes, copiedFields, type Life, type LookAlike, wantedPairs } from './look-alikes.ts';
import { besideEachOther, checkTables, parquetSource, writeParquet } from './parquet-folder.ts';
import { assignmentFile, type SegmentReport, summarize } from './segment-report.ts';
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
  await using db = await Database.open(threads ? { threads } : {});
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
      const lookAlikePairs = await makeLookAlikes(db, settings, join(folder, 'metadata', 'confusable_pairs.parquet'));
      await createPlaces(db, input);
      const place = (facility: number) => join(folder, 'facilities', facilityFolder(facility));
      for (let facility = 1; facility <= settings.facilities; facility++) mkdirSync(place(facility), { recursive: true });
      for (const table of tableNames) await markRows(db, table, input);
      await besideEachOther(db, {
        items: filesToWrite(settings.facilities),
        threads,
        work: async (own, { table, facility }) => {
          await writeParquet(own, await rowsOf(own, table, input, facility), join(place(facility), `${table}.parquet`));
          step.advance(1);
        },
      });
      await writeFacilities(db, input, settings, join(folder, 'metadata', 'facilities.parquet'));
      const report = await summarize(db, { facilities: settings.facilities, lookAlikePairs });
      await writeJson(join(folder, 'metadata', 'assignment.json'), assignmentFile(report, settings));
      return report;
    } finally {
      step.finish();
    }
  });
}

async function loadPeople(db: Database, input: string): Promise<void> {
  await db.run(`create or replace table patients as select * from ${withRowNumbers('patients', input)}`);
  await db.run(`create or replace table encounters as select "Id", "PATIENT", "START" from ${parquetSource(input, 'encounters')}`);
}

/** Creates tables `seen` (patient and facility, with first and last visit there) and `claim_places`. */
async function createPlaces(db: Database, input: string): Promise<void> {
  await db.run(`create or replace table seen as
    select "PATIENT", facility, min("START") as first_seen, max("START") as last_seen from visits group by all`);
  await db.run(`create or replace table claim_places as
    select c."Id", v.facility from (select "Id", "APPOINTMENTID" from ${parquetSource(input, 'claims')}) c
    join visits v on v."Id" = c."APPOINTMENTID"`);
}

/** Which rows go where: rows of the source joined with what says their facility. Nothing for tables that go everywhere. */
function placesOf(table: TableName): { readonly places: string; readonly on: string } | undefined {
  if (table === 'organizations' || table === 'providers' || table === 'payers') return undefined;
  if (table === 'patients') return { places: 'seen', on: 'p."PATIENT" = t."Id"' };
  if (table === 'encounters') return { places: 'visits', on: 'p."Id" = t."Id"' };
  if (table === 'claims') return { places: 'visits', on: 'p."Id" = t."APPOINTMENTID"' };
  if (table === 'claims_transactions') return { places: 'claim_places', on: 'p."Id" = t."CLAIMID"' };
  if (table === 'payer_transitions') {
    const during = 't."START_DATE" <= p.last_seen and (t."END_DATE" is null or t."END_DATE" >= p.first_seen)';
    return { places: 'seen', on: `p."PATIENT" = t."PATIENT" and ${during}` };
  }
  return { places: 'visits', on: 'p."Id" = t."ENCOUNTER"' };
}

function withRowNumbers(table: TableName, input: string): string {
  return `read_parquet(${literal(join(input, `${table}.parquet`))}, file_row_number = true)`;
}

/** A table with `file_row_number`; patients are taken from the database, where look-alikes have been rewritten. */
function numbered(table: TableName, input: string): string {
  return table === 'patients' ? 'patients' : withRowNumbers(table, input);
}

/** Every file of every facility, the tables that take longest first, so that no thread is left with one at the end. */
function filesToWrite(facilities: number): readonly { readonly table: TableName; readonly facility: number }[] {
  const longest: readonly TableName[] = ['claims_transactions', 'observations', 'claims', 'procedures'];
  const rest = tableNames.filter((table) => !longest.includes(table));
  return [...longest, ...rest].flatMap((table) => Array.from({ length: facilities }, (_, i) => ({ table, facility: i + 1 })));
}

/**
 * Creates table `marks_<table>(facility, rows)`: for each facility a string of bits, one per row of the source.
 * A join gives rows back in any order. A filter keeps the source's order, and looking up a bit is all the filter has to do.
 */
async function markRows(db: Database, table: TableName, input: string): Promise<void> {
  const placed = placesOf(table);
  if (placed === undefined) return;
  const source = numbered(table, input);
  const last = (await db.value<number>(`select count(*) from ${source}`)) - 1;
  const bits = `bitstring_agg(t.file_row_number, 0, ${Math.max(0, last)})`;
  await db.run(`create or replace table marks_${table} as
    select p.facility, ${bits} as rows from ${source} t join ${placed.places} p on ${placed.on} group by p.facility`);
}

/** The query for what one facility gets of one table, in the source's row order. */
async function rowsOf(db: Database, table: TableName, input: string, facility: number): Promise<string> {
  if (placesOf(table) === undefined) return `select * from ${parquetSource(input, table)}`;
  await db.run(`set variable here = (select rows from marks_${table} where facility = ${facility})`);
  const rows = `select * exclude (file_row_number) from ${numbered(table, input)}`;
  return `${rows} where get_bit(getvariable('here'), file_row_number::integer) = 1${table === 'patients' ? ' order by file_row_number' : ''}`;
}

/** Picks the pairs, rewrites the targets in `patients`, and lists the pairs in a file (none: no file). */
async function makeLookAlikes(db: Database, settings: SegmentSettings, file: string): Promise<number> {
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
  if (pairs.length === 0) return 0;
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
    from (select l.target, l.group_type, l.birthdate, s.* exclude (file_row_number) from look_alikes l join patients s on s."Id" = l.source) c
    where patients."Id" = c.target`);
  await writeParquet(
    db,
    'select source as source_patient_id, target as target_patient_id, group_type, fields_copied from look_alikes order by nth',
    file,
  );
  return pairs.length;
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
