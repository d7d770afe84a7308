// The clinical summary of a record ("Strategy D"): its conditions, medications, allergies, last two readings of eight metrics, and
// procedures, as the text that language models for this task were trained on. Byte for byte the reference's, so its odd corners
// are kept here on purpose (new evidence chooses its facts elsewhere, by code): a metric is searched in the description as a regular
// expression, blank readings use up a place, undated readings count as the latest, missing dates print as `NaT` or `None` by type.
//
// Everything is computed for all records at once, in five queries over the tables as they are stored: filter to what can appear in
// the text, join to the record, order by (date, place in the file), and put the lines together. O(rows) scan, O(kept log kept) sort.
//
//   2019-03-02..2019-03-16 Acute bronchitis, 2021-05-10..(none) Prediabetes  ->  CONDITIONS:
//                                                                                  2019: Acute bronchitis
//                                                                                  2021: Prediabetes *
// Source: the reference's section "Strategy D summary and prompt"; test/golden/summary holds its worked example.

import { type Database, literal } from '../sql/duckdb.ts';
import { readingTables } from './run-folder.ts';
import { momentSql, printedSql, type StoredType } from './stored-type.ts';

/** Searched, ignoring case, as regular expressions in observations' descriptions; printed in this order. */
export const summaryMetrics = [
  'Body Height',
  'Body Weight',
  'Body Mass Index',
  'Systolic Blood Pressure',
  'Diastolic Blood Pressure',
  'Hemoglobin A1c/Hemoglobin.total in Blood',
  'Glucose',
  'Total Cholesterol',
] as const;

const noRecords = 'No clinical records available.';

const sections = { conditions, medications, allergies, observations, procedures } as const;
type SectionName = keyof typeof sections;
const sectionNames = Object.keys(sections) as SectionName[];

/**
 * Creates the table `summaries(row, summary)` from the attached run folder and the table `records`.
 *
 * @param options.rows records to write about; all of them by default
 */
export async function createSummaries(db: Database, { rows }: { readonly rows?: readonly number[] } = {}): Promise<void> {
  const chosen = rows === undefined ? '' : rows.length === 0 ? 'where false' : `where row in (${rows.join(', ')})`;
  await db.run(`create or replace temp table summary_records as select row, facility, patient_id from records ${chosen}`);
  for (const name of sectionNames) {
    const stored = Object.fromEntries((await db.describe(`as_stored.${name}`)).map((column) => [column.name, column.type]));
    await readingTables(db, [name], () => sections[name](db, (column) => stored[column]!));
  }
  const joins = sectionNames.map((name) => `left join section_${name} using (row)`);
  const texts = sectionNames.map((name) => `section_${name}.text`);
  await db.run(`create or replace table summaries as
    select row, coalesce(nullif(concat_ws(chr(10) || chr(10), ${texts.join(', ')}), ''), '${noRecords}') as summary
    from summary_records ${joins.join(' ')} order by row`);
  await db.run(['summary_records', ...sectionNames.map((name) => `section_${name}`)].map((name) => `drop table ${name}`).join('; '));
}

/** Each section query creates `section_<table>(row, text)`, with a row for each record that has any row in the table. */
type Section = (db: Database, stored: (column: string) => StoredType) => Promise<void>;

/** `  2021: Prediabetes (finding) *; Sprain of wrist (disorder)`: one line per year; `*` while it has no end. */
function conditions(...[db, stored]: Parameters<Section>): Promise<void> {
  return db.run(`create or replace temp table section_conditions as
    with facts as (
      select row, file_row, year(${momentSql('START', stored('START'))}) as year,
        coalesce(${printedSql('DESCRIPTION', stored('DESCRIPTION'))}, 'None') || case when ${isOpen(stored('STOP'))} then ' *' else '' end as fact
      from ${rowsOf('conditions', stored)}),
    years as (select row, year, string_agg(fact, '; ' order by file_row) as facts from facts where year is not null group by row, year),
    lines as (select row, string_agg('  ' || lpad(year::VARCHAR, 4, '0') || ': ' || facts, chr(10) order by year) as lines from years group by row)
    select row, concat_ws(chr(10), 'CONDITIONS:', lines) as text from (select distinct row from facts) left join lines using (row)`);
}

/** `- Metformin 500 MG Oral Tablet (2020–2022)`: one line per description, from the first start to the last stop. */
function medications(...[db, stored]: Parameters<Section>): Promise<void> {
  return db.run(`create or replace temp table section_medications as
    with drugs as (
      select row, coalesce(${printedSql('DESCRIPTION', stored('DESCRIPTION'))}, 'None') as drug, min(file_row) as place,
        min(year(${momentSql('START', stored('START'))}))::VARCHAR as first, max(year(${momentSql('STOP', stored('STOP'))}))::VARCHAR as last,
        bool_or(${isOpen(stored('STOP'))}) as ongoing
      from ${rowsOf('medications', stored)} group by row, drug),
    periods as (
      select row, place, drug,
        case when ongoing then coalesce(first || '–', '') || 'ongoing' else coalesce(first || '–' || last, 'unknown') end as period
      from drugs)
    select row, 'MEDICATIONS:' || chr(10) || string_agg('- ' || drug || ' (' || period || ')', chr(10) order by place) as text
    from periods group by row`);
}

/** `ALLERGIES: Aspirin; Shellfish; latex`: distinct, by code point. A row without a description names nothing and is passed over. */
function allergies(...[db, stored]: Parameters<Section>): Promise<void> {
  return db.run(`create or replace temp table section_allergies as
    with named as (select distinct row, ${printedSql('DESCRIPTION', stored('DESCRIPTION'))} as allergy from ${rowsOf('allergies', stored)})
    select row, 'ALLERGIES: ' || coalesce(string_agg(allergy, '; ' order by allergy), '') as text from named group by row`);
}

/** `- Body Height: 171.2 cm (2020-05-10), 171.2 cm (2021-05-10)`: the last two readings of each metric, the older first. */
async function observations(...[db, stored]: Parameters<Section>): Promise<void> {
  const dateType = stored('DATE');
  const [description, patient] = (['DESCRIPTION', 'PATIENT'] as const).map((column) => printedSql(column, stored(column)));
  const missingDate = dateType.startsWith('TIMESTAMP') ? 'NaT' : 'None';
  const metrics = summaryMetrics.map((metric, place) => `(${place}, ${literal(metric)})`).join(', ');
  // Few descriptions are shared by millions of rows: each is searched once.
  await db.run(`create or replace temp table metric_descriptions as
    select place, metric, searched
    from (select distinct ${description} as searched from as_stored.observations), (values ${metrics}) m(place, metric)
    where regexp_matches(searched, '(?i)' || metric)`);
  await db.run(`create or replace temp table section_observations as
    with matched as (
      select row, place, metric, file_row, ${momentSql('DATE', dateType)} as moment, "DATE" as date, "VALUE" as value, "UNITS" as units
      from (select * from as_stored.observations where ${description} in (select searched from metric_descriptions)) t
        join metric_descriptions d on d.searched = ${description}
        join summary_records s on s.facility = t.facility and s.patient_id = ${patient}),
    latest as (
      select *, row_number() over (partition by row, place order by moment desc nulls first, file_row desc) as age
      from matched qualify age <= 2),
    readings as (
      select row, place, metric, age, ${printedSql('VALUE', stored('VALUE'))} as value, ${printedSql('UNITS', stored('UNITS'))} as units,
        coalesce(left(${printedSql('DATE', dateType)}, 10), '${missingDate}') as date
      from latest),
    metric_lines as (
      select row, place,
        '- ' || metric || ': ' || string_agg(value || coalesce(' ' || nullif(units, ''), '') || ' (' || date || ')', ', ' order by age desc) as line
      from readings where ${isFilled('value')} group by row, place, metric),
    lines as (select row, string_agg(line, chr(10) order by place) as lines from metric_lines group by row),
    present as (select row from summary_records semi join (select distinct facility, ${patient} as patient_id from as_stored.observations) using (facility, patient_id))
    select row, concat_ws(chr(10), 'OBSERVATIONS:', lines) as text from present left join lines using (row)`);
  await db.run('drop table metric_descriptions');
}

/** `- Depression screening (procedure) (2019, 2021)`: one line per description with its years. */
function procedures(...[db, stored]: Parameters<Section>): Promise<void> {
  const year = `year(${momentSql('START', stored('START'))})`;
  return db.run(`create or replace temp table section_procedures as
    with done as (
      select row, coalesce(${printedSql('DESCRIPTION', stored('DESCRIPTION'))}, 'None') as procedure, min(file_row) as place,
        coalesce(array_to_string(list_sort(list(distinct ${year}) filter (${year} is not null)), ', '), '') as years
      from ${rowsOf('procedures', stored)} group by row, procedure)
    select row, 'PROCEDURES:' || chr(10) || string_agg('- ' || procedure || ' (' || years || ')', chr(10) order by place) as text
    from done group by row`);
}

/** SQL source: the chosen records' rows of a table as stored, with the record's `row`. */
function rowsOf(table: SectionName, stored: (column: string) => StoredType): string {
  return `as_stored.${table} t join summary_records s on s.facility = t.facility and s.patient_id = ${printedSql('PATIENT', stored('PATIENT'))}`;
}

/** SQL: the row has no end, because STOP is null or blank. */
function isOpen(stored: StoredType): string {
  return stored === 'VARCHAR' ? `not coalesce(${isFilled('"STOP"')}, false)` : '"STOP" is null';
}

/** SQL: the text holds more than white space (null for a null). */
function isFilled(text: string): string {
  return `trim(${text}, e' \\t\\r\\n') <> ''`;
}

const promptParts = [
  'You are a medical record matching expert. Compare these two patient medical records and determine if they belong to the same patient ' +
    'based only on their clinical history.\n\nRecord A:\n',
  '\n\nRecord B:\n',
  "\n\nAre these the same patient? Answer only 'True' or 'False'.",
] as const;

/** The question put to a language model about two records; record A is the one with the smaller record id. */
export function pairPrompt(summaryA: string, summaryB: string): string {
  return promptParts[0] + summaryA + promptParts[1] + summaryB + promptParts[2];
}

/** The two summaries of such a question; none for any other text. */
export function splitPairPrompt(text: string): readonly [string, string] | undefined {
  const [start, between, end] = promptParts;
  if (!text.startsWith(start) || !text.endsWith(end)) return undefined;
  const summaries = text.slice(start.length, -end.length);
  const at = summaries.indexOf(between);
  return at < 0 ? undefined : [summaries.slice(0, at), summaries.slice(at + between.length)];
}

/** `pairPrompt` as an SQL expression over two SQL expressions. */
export const pairPromptSql = (a: string, b: string): string =>
  `(${literal(promptParts[0])} || ${a} || ${literal(promptParts[1])} || ${b} || ${literal(promptParts[2])})`;
