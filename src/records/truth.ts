import { UserError } from '../base/errors.ts';
import { type Database, literal, readingFile } from '../sql/duckdb.ts';
import type { RunFolder } from './run-folder.ts';

/**
 * Creates `truth(row, true_patient_id, facility_count, error_count, errors_applied)` from the folder's ground truth, by facility and
 * patient Id: for evaluation and training only, never a feature. `facility_count` is the number of the patient's records;
 * `error_count` how many changes were logged on this one (`errors_applied` names them). Records that the truth does not know are absent.
 *
 * @returns whether the folder holds ground truth; without it the table is empty
 * @throws UserError `truth.unreadable`, `truth.column-missing`, `truth.duplicate`
 */
export async function loadTruth(db: Database, { groundTruthFile }: RunFolder): Promise<boolean> {
  await db.run(
    'create or replace table truth (row INTEGER, true_patient_id VARCHAR, facility_count INTEGER, error_count INTEGER, errors_applied VARCHAR)',
  );
  if (groundTruthFile === undefined) return false;
  const source = `read_parquet(${literal(groundTruthFile)})`;
  const columns = (await readingFile(groundTruthFile, () => db.describe(source))).map(({ name }) => name);
  for (const name of ['original_patient_uuid', 'facility_id']) {
    if (!columns.includes(name))
      throw new UserError('truth.column-missing', `truth: column missing: ${name}: ${groundTruthFile}; make the data again`);
  }
  const errors = columns.includes('errors_applied')
    ? `case when errors_applied not in ('', 'none') then errors_applied end`
    : 'null::VARCHAR';
  await readingFile(groundTruthFile, () =>
    db.run(`insert into truth
      with known as (
        select cast(facility_id as INTEGER) as facility, original_patient_uuid as id, ${errors} as errors,
          count(*) over (partition by original_patient_uuid) as facilities
        from ${source})
      select row, id, facilities, coalesce(len(string_split(errors, ',')), 0), errors
      from known join records on records.facility = known.facility and patient_id = id
      order by row`),
  );
  const repeated = await db.value<number>('select count(*) - count(distinct row) from truth');
  if (repeated > 0)
    throw new UserError('truth.duplicate', `truth: records listed twice: ${repeated}: ${groundTruthFile}; make the data again`);
  return true;
}

/** The true patient of each record as a number from 0, in order of the record rows; -1 where the truth does not know the record. */
export async function truthLabels(db: Database): Promise<Int32Array> {
  const { label } = await db.columns<{ label: Int32Array }>(`
    select coalesce(cast(case when true_patient_id is not null then dense_rank() over (order by true_patient_id nulls last) - 1 end as INTEGER), -1) as label
    from records left join truth using (row) order by row`);
  return label;
}
