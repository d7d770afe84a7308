// A clean run folder -> one whose patient rows are damaged as registration desks damage them, with the truth beside it.
//
// Only patients.parquet changes; every other file is copied byte for byte. What is done to a row is decided in errors/damage.ts, from a
// stream of its own. The truth (which record is whose, and every real change) goes to metadata/, counts to statistics/.

import { constants, copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { writeFolder, writeJson, writeText } from '../base/files.ts';
import { type Progress, silent } from '../base/progress.ts';
import { Database, quote, readingFile } from '../sql/duckdb.ts';
import { type DamagedRecord, damageReport, errorLog, runConfig } from './damage-report.ts';
import { damage } from './errors/damage.ts';
import { type DamagedField, damagedFields, type PatientFields } from './errors/error-class.ts';
import { checkTables, parquetSource, writeParquet } from './parquet-folder.ts';
import { facilityFolder } from './segment.ts';
import type { InjectSettings } from './settings.ts';
import { findBrokenReferences } from './validate.ts';

export type InjectReport = ReturnType<typeof damageReport>;

/**
 * Damages the patient rows of a run folder. Whole or not at all; the same input and settings give the same bytes.
 *
 * @param options.input run folder that `segment` wrote
 * @param options.output run folder: `facilities/`, `metadata/`, `statistics/`
 * @param options.timestamp written into each line of the error log; an argument, so that two runs agree
 * @param options.validate check references before the folder takes its place
 * @throws UserError for missing folders, tables or columns, and `synth.references` when a row points at nothing
 */
export async function injectErrors({
  input,
  output,
  settings,
  timestamp,
  validate = true,
  threads,
  progress = silent,
}: {
  readonly input: string;
  readonly output: string;
  readonly settings: InjectSettings;
  readonly timestamp: string;
  readonly validate?: boolean;
  readonly threads?: number;
  readonly progress?: Progress;
}): Promise<InjectReport> {
  const facilities = listFacilities(input);
  await using db = await Database.open(threads ? { threads } : {});
  for (const facility of facilities) await checkTables(db, join(input, 'facilities', facilityFolder(facility)), 'inject-errors');
  // Awaited here: the database closes when this function returns.
  return await writeFolder(output, { names: ['facilities', 'metadata', 'statistics'], inputs: [input] }, async (folder) => {
    const step = progress.step('inject-errors', { total: facilities.length, unit: 'facilities' });
    try {
      const records: DamagedRecord[] = [];
      for (const facility of facilities) {
        const [from, to] = [input, folder].map((root) => join(root, 'facilities', facilityFolder(facility))) as [string, string];
        copyFolder(from, to, (name) => name !== 'patients.parquet');
        records.push(...(await damagePatients(db, { from, to, facility, settings })));
        step.advance(1);
      }
      copyFolder(join(input, 'metadata'), join(folder, 'metadata'), (name) => /^(facilities|confusable_pairs)\.parquet$/.test(name));
      await writeTruth(db, folder, facilities, records);
      const report = damageReport(records);
      await writeText(join(folder, 'metadata', 'error_log.jsonl'), errorLog(records, timestamp));
      await writeText(join(folder, 'metadata', 'run_config.yaml'), runConfig({ input, output, settings, validate }));
      mkdirSync(join(folder, 'statistics'));
      await writeJson(join(folder, 'statistics', 'augmentation_report.json'), report);
      if (validate) await refuseBrokenReferences(db, folder, facilities);
      return report;
    } finally {
      step.finish();
    }
  });
}

/** Numbers of the `facility_NNN` folders, ascending. */
function listFacilities(input: string): readonly number[] {
  const folder = join(input, 'facilities');
  const numbers = existsSync(folder) ? readdirSync(folder).flatMap((name) => /^facility_(\d{3,})$/.exec(name)?.[1] ?? []) : [];
  if (numbers.length === 0) {
    throw new UserError('input.missing', `inject-errors: no facilities found: ${folder}; name a run folder written by segment`);
  }
  return numbers.map(Number).sort((a, b) => a - b);
}

function copyFolder(from: string, to: string, wanted: (name: string) => boolean): void {
  mkdirSync(to, { recursive: true });
  if (!existsSync(from)) return;
  for (const name of readdirSync(from)) {
    const file = join(from, name);
    // A copy on write where the file system has it: no bytes move, and the copy is still its own.
    if (wanted(name) && statSync(file).isFile()) copyFileSync(file, join(to, name), constants.COPYFILE_FICLONE);
  }
}

async function damagePatients(
  db: Database,
  {
    from,
    to,
    facility,
    settings,
  }: { readonly from: string; readonly to: string; readonly facility: number; readonly settings: InjectSettings },
): Promise<readonly DamagedRecord[]> {
  const source = parquetSource(from, 'patients');
  const types = new Map((await db.describe(source)).map(({ name, type }) => [name, type]));
  // Dates as plain days, everything else as its text, whatever type the file's writer chose.
  const asText = (field: DamagedField) =>
    field === 'BIRTHDATE' ? `strftime(${quote(field)}::timestamp, '%Y-%m-%d')` : `${quote(field)}::varchar`;
  const rows = await readingFile(join(from, 'patients.parquet'), () =>
    db.rows<{ Id: string } & PatientFields>(
      `select "Id", ${damagedFields.map((field) => `${asText(field)} as ${quote(field)}`).join(', ')} from ${source}`,
    ),
  );
  const damaged = rows.map(({ Id, ...fields }) => ({ patient: Id, facility, ...damage(fields, { facility, patient: Id, settings }) }));
  await db.createTable('damaged', {
    nth: { type: 'INTEGER', values: rows.map((_, i) => i) },
    ...Object.fromEntries(
      damagedFields.map((field) => [field, { type: 'VARCHAR' as const, values: damaged.map(({ fields }) => fields[field]) }]),
    ),
  });
  // A value that was not changed is taken from the source, so it keeps every bit of its type.
  const replaced = damagedFields.map((field) => {
    const name = quote(field);
    const now = `d.${name}::${types.get(field)!}`;
    return `case when d.${name} is distinct from ${asText(field).replace(name, `p.${name}`)} then ${now} else p.${name} end as ${name}`;
  });
  await writeParquet(
    db,
    `select p.* exclude (nth) replace (${replaced.join(', ')})
     from (select *, row_number() over () - 1 as nth from ${source}) p join damaged d on d.nth = p.nth order by p.nth`,
    join(to, 'patients.parquet'),
  );
  return damaged;
}

/** metadata/ground_truth.parquet: whose each record is, and what its values are after the errors. */
async function writeTruth(db: Database, folder: string, facilities: readonly number[], records: readonly DamagedRecord[]): Promise<void> {
  await db.createTable('applied', {
    patient: { type: 'VARCHAR', values: records.map(({ patient }) => patient) },
    facility: { type: 'INTEGER', values: records.map(({ facility }) => facility) },
    errors: { type: 'VARCHAR', values: records.map(({ changes }) => changes.map(({ errorType }) => errorType).join(',') || 'none') },
  });
  const perFacility = (select: (place: string, facility: number) => string) =>
    facilities.map((facility) => select(join(folder, 'facilities', facilityFolder(facility)), facility)).join(' union all ');
  await writeParquet(
    db,
    `with people as (${perFacility(
      (place, facility) => `
        select ${facility} as facility, "Id", "FIRST", "LAST", "MAIDEN", "SSN", "BIRTHDATE", "GENDER", "ADDRESS", "CITY", "ZIP"
        from ${parquetSource(place, 'patients')}`,
    )}), visits as (${perFacility(
      (place, facility) =>
        `select ${facility} as facility, "PATIENT", count(*) as encounters from ${parquetSource(place, 'encounters')} group by "PATIENT"`,
    )})
    select p."Id" as original_patient_uuid, p.facility::bigint as facility_id, coalesce(v.encounters, 0)::bigint as num_encounters,
      a.errors as errors_applied, p."FIRST" as first_name, p."LAST" as last_name, p."MAIDEN" as maiden_name, p."SSN" as ssn,
      p."BIRTHDATE"::timestamp as birthdate, p."GENDER" as gender, p."ADDRESS" as address, p."CITY" as city, p."ZIP" as zip
    from people p
    join applied a on a.patient = p."Id" and a.facility = p.facility
    left join visits v on v."PATIENT" = p."Id" and v.facility = p.facility
    order by original_patient_uuid, facility_id`,
    join(folder, 'metadata', 'ground_truth.parquet'),
  );
}

async function refuseBrokenReferences(db: Database, folder: string, facilities: readonly number[]): Promise<void> {
  const faults = await findBrokenReferences(db, join(folder, 'facilities'), facilities);
  if (faults.length === 0) return;
  const more = faults.length > 10 ? `; and ${faults.length - 10} more` : '';
  throw new UserError(
    'synth.references',
    `inject-errors: references do not hold: ${faults.slice(0, 10).join('; ')}${more}; mend the input, or pass --no-validate`,
  );
}
