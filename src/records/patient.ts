// Patients' demographics in comparable form: the table `records`, one row per (facility, patient).
// What is missing is null, in whatever way a file says it (null, empty, `None`, `nan`, `NaT`, `00nan`): a missing value never equals
// anything, not even another missing one. Rules on single values run on each distinct value once.

import { UserError } from '../base/errors.ts';
import type { Database } from '../sql/duckdb.ts';
import { canonicalAddress, canonicalCity } from './address.ts';
import { readingTables } from './run-folder.ts';
import { fullName, soundex } from './soundex.ts';

// Spelt exactly: a patient may well be called Nan or Null, but no file writes a name as `nan`.
const missingTexts = ['', 'None', 'NONE', 'none', 'nan', 'NaN', 'NaT', 'null', 'NULL', '<NA>', '00nan', '0None', '00NaN', '00000nan'];

/**
 * Creates the table `records`, numbered in code-point order of `record_id`, from the view `patients`.
 *
 * @returns number of records
 * @throws UserError `records.none`, `records.no-id`, `records.duplicate`
 */
export async function loadRecords(db: Database): Promise<number> {
  return readingTables(db, ['patients'], async () => {
    await checkIds(db);
    await db.run(`create or replace temp table raw_records as ${rawSql}`);
    await createDictionary(db, 'name_forms', ['first_name', 'last_name', 'maiden_name'], {
      title: titleCase,
      soundex,
      full_soundex: (name) => soundex(fullName(name)),
    });
    await createDictionary(db, 'address_forms', ['address'], { canonical: canonicalAddress });
    await createDictionary(db, 'city_forms', ['city'], { canonical: canonicalCity });
    await db.run(`create or replace table records as ${recordsSql}`);
    await db.run('drop table raw_records; drop table name_forms; drop table address_forms; drop table city_forms');
    return db.value<number>('select count(*) from records');
  });
}

/** A record without an id, or two with one id, cannot be told apart in any output. */
async function checkIds(db: Database): Promise<void> {
  const [counts] = await db.rows<{ patients: number; nameless: number }>(
    `select count(*) as patients, count(*) filter (${present('Id')} is null) as nameless from patients`,
  );
  if (counts!.patients === 0) throw new UserError('records.none', 'records: no patients in any facility; look at patients.parquet');
  if (counts!.nameless > 0)
    throw new UserError('records.no-id', `records: patients without an Id: ${counts!.nameless}; mend patients.parquet`);
  const repeated = await db.rows<{ facility: string; extra: number }>(
    `select printf('facility_%03d', facility) as facility, count(*) - count(distinct trim(Id)) as extra from patients
     group by facility having extra > 0 order by facility limit 1`,
  );
  for (const { facility, extra } of repeated) {
    throw new UserError(
      'records.duplicate',
      `records: patient Ids repeated: ${facility}: ${extra}; each patient may have one row per facility`,
    );
  }
}

/** SQL for the trimmed text, null when it says "missing". */
function present(column: string): string {
  return `case when trim(${column}) not in (${missingTexts.map((text) => `'${text}'`).join(', ')}) then trim(${column}) end`;
}

const rawSql = `
  select facility, ${present('Id')} as patient_id,
    ${present('"FIRST"')} as first_name, ${present('"LAST"')} as last_name, ${present('MAIDEN')} as maiden_name,
    cast(BIRTHDATE as DATE) as birthdate,
    ${present('SSN')} as ssn, ${present('ADDRESS')} as address, ${present('CITY')} as city, ${present('STATE')} as state,
    ${present('ZIP')} as zip, ${present('GENDER')} as gender
  from patients`;

// SSN: dashes go; all zeros says "unknown". ZIP: "2191", "2191.0" and "02191-1234" all say 02191.
const recordsSql = `
  with named as (select *, printf('facility_%03d', facility) as facility_id from raw_records)
  select cast(row_number() over (order by facility_id || '_' || patient_id) - 1 as INTEGER) as row,
    facility_id || '_' || patient_id as record_id, facility, facility_id, patient_id,
    first.title as first_name, last.title as last_name, maiden.title as maiden_name,
    birthdate, cast(year(birthdate) as INTEGER) as birth_year,
    case when not regexp_matches(ssn, '^[0 -]*$') then replace(ssn, '-', '') end as ssn,
    address, city, nullif(a.canonical, '') as address_canonical, nullif(c.canonical, '') as city_canonical,
    upper(state) as state,
    case when regexp_matches(zip, '^\\d+(\\.0*)?$') and len(split_part(zip, '.', 1)) <= 5 then lpad(split_part(zip, '.', 1), 5, '0')
         when regexp_matches(zip, '^\\d{5}-?\\d{4}$') then zip[:5] else zip end as zip,
    gender, nullif(first.full_soundex, '') as soundex_first_name, nullif(last.soundex, '') as soundex_last_name
  from named
    left join name_forms first on first.value = first_name left join name_forms last on last.value = last_name
    left join name_forms maiden on maiden.value = maiden_name
    left join address_forms a on a.value = address left join city_forms c on c.value = city
  order by row`;

/** Creates `name(value, ...forms)`: each distinct value of the columns of `raw_records` with what each rule makes of it. */
async function createDictionary(
  db: Database,
  name: string,
  columns: readonly string[],
  rules: Readonly<Record<string, (value: string) => string>>,
): Promise<void> {
  const union = columns.map((column) => `select ${column} as value from raw_records where ${column} is not null`).join(' union all ');
  const { value } = await db.columns<{ value: string[] }>(`select distinct value from (${union}) order by value`);
  const forms = Object.entries(rules).map(([form, rule]) => [form, { type: 'VARCHAR', values: value.map(rule) }] as const);
  await db.createTable(name, { value: { type: 'VARCHAR', values: value }, ...Object.fromEntries(forms) });
}

/**
 * Title case in which whatever is no letter starts a new word, as Python's `str.title`.
 *
 * @example titleCase("o'BRIEN-smith h5istot") // "O'Brien-Smith H5Istot"
 */
export function titleCase(text: string): string {
  return text.toLowerCase().replace(/\p{Cased}\p{Cased}*/gu, (word) => {
    const [first = ''] = word;
    const [capital = '', ...rest] = first.toUpperCase();
    return capital + rest.join('').toLowerCase() + word.slice(first.length);
  });
}
