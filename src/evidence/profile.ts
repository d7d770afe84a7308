// What a record's clinical tables say, as numbers: measurements over time, dated codes, visits.
//
// Idea: everything a pair of histories can be compared by is read once, set-wise, in DuckDB and kept as ragged lists (one start
// offset per record into flat arrays). Dates are kept only as whole 30-day months: the generator of synthetic patients moves in
// steps of seven days, so finer dates would let a model recognise a patient by the phase of his clock.
// Not read at all: identifiers as values, money, payers, claims, organisations, providers, coordinates, survey answers, time of day.
// Cost: one scan per table; about 40 bytes per kept fact.

import type { Database } from '../sql/duckdb.ts';

/** Measurements kept, by the LOINC code that records them. Ratio and percentile of one quantity are different codes, so different series. */
export const seriesCodes = {
  height: '8302-2',
  weight: '29463-7',
  bmi: '39156-5',
  bmiPercentile: '59576-9',
  headSize: '9843-4',
  headPercentile: '8289-1',
  weightForLength: '77606-2',
  systolic: '8480-6',
  diastolic: '8462-4',
  heartRate: '8867-4',
  hba1c: '4548-4',
  glucoseBlood: '2339-0',
  glucoseSerum: '2345-7',
  glucoseUrine: '5792-7',
  proteinUrine: '5804-0',
  creatinineBlood: '38483-4',
  creatinineSerum: '2160-0',
  filtrationRate: '33914-3',
  albuminRatio: '14959-1',
  cholesterol: '2093-3',
  hdl: '2085-9',
  ldl: '18262-6',
  triglycerides: '2571-8',
  bilirubin: '1975-2',
  ferritin: '2276-4',
  hemoglobin: '718-7',
  leukocytes: '6690-2',
  platelets: '777-3',
  oxygenSaturation: '2708-6',
  ejectionFraction: '10230-1',
  inr: '6301-6',
} as const;
export type SeriesName = keyof typeof seriesCodes;
export const seriesNames = Object.keys(seriesCodes) as SeriesName[];

/** Tables whose rows are dated codes. */
export const codeDomains = [
  'conditions',
  'medications',
  'procedures',
  'immunizations',
  'allergies',
  'careplans',
  'devices',
  'encounters',
] as const;
export type CodeDomain = (typeof codeDomains)[number];

/** One measurement over time. Record r's points are `start[r]..start[r + 1]`, ascending by month, then value. */
export type Series = { readonly start: Int32Array; readonly month: Int16Array; readonly value: Float32Array };

/** Dated codes of one table. Record r's facts are `start[r]..start[r + 1]`, ascending by code, then month; a code counts once a month. */
export type Facts = {
  /** The codes by their number in `code`, in text order. */
  readonly codes: readonly string[];
  readonly start: Int32Array;
  readonly code: Int32Array;
  readonly month: Int16Array;
  /** Month in which it ended; `openEnd` where it has not, or where the table has no end. */
  readonly end: Int16Array;
};

/** Months with at least one encounter, ascending, and how many encounters there were. */
export type Visits = { readonly start: Int32Array; readonly month: Int16Array; readonly count: Int16Array };

/** All records' clinical histories; records are numbered as in the table `records`. */
export type Profiles = {
  readonly recordCount: number;
  readonly series: { readonly [S in SeriesName]: Series };
  readonly facts: { readonly [D in CodeDomain]: Facts };
  readonly visits: Visits;
};

export const openEnd = 32767;

/** 30-day months since 1970-01-01, null for null; a date that no living person has is held at the edge (`least` alone would skip nulls). */
const monthOf = (column: string) =>
  `if(${column} is null, null, greatest(-2000, least(2000, floor(epoch(${column}::TIMESTAMP) / 2592000))))::SMALLINT`;

/** Where each domain's code, date and end stand. */
const factSources: { readonly [D in CodeDomain]: { readonly code: string; readonly date: string; readonly end?: string } } = {
  conditions: { code: 'CODE::VARCHAR', date: 'START', end: 'STOP' },
  medications: { code: 'CODE::VARCHAR', date: 'START', end: 'STOP' },
  procedures: { code: 'CODE::VARCHAR', date: 'START' },
  immunizations: { code: 'CODE::VARCHAR', date: 'DATE' },
  allergies: { code: 'CODE::VARCHAR', date: 'START' },
  careplans: { code: 'CODE::VARCHAR', date: 'START', end: 'STOP' },
  devices: { code: 'CODE::VARCHAR', date: 'START' },
  encounters: { code: "concat(ENCOUNTERCLASS, ' ', CODE)", date: 'START' },
};

/**
 * Reads the clinical history of every record.
 *
 * @param db with a run folder attached and the table `records` loaded
 */
export async function buildProfiles(db: Database): Promise<Profiles> {
  const recordCount = await db.value<number>('select count(*) from records');
  const series = await readSeries(db, recordCount);
  const facts = {} as Record<CodeDomain, Facts>;
  for (const domain of codeDomains) facts[domain] = await readFacts(db, domain, recordCount);
  return { recordCount, series, facts, visits: await readVisits(db, recordCount) };
}

async function readSeries(db: Database, recordCount: number): Promise<Record<SeriesName, Series>> {
  const codes = seriesNames.map((name, i) => `('${seriesCodes[name]}', ${i})`).join(', ');
  const points = await db.columns<{ series: Int32Array; row: Int32Array; month: Int16Array; value: Float32Array }>(`
    with wanted(code, series) as (values ${codes})
    select w.series::INTEGER as series, r.row, ${monthOf('o.DATE')} as month, try_cast(o.VALUE as FLOAT) as value
    from observations o join wanted w on o.CODE = w.code join records r on r.facility = o.facility and r.patient_id = o.PATIENT
    where o.CATEGORY is distinct from 'survey' and o.DATE is not null and isfinite(try_cast(o.VALUE as FLOAT))
    order by series, r.row, month, value`);
  let at = 0;
  return Object.fromEntries(
    seriesNames.map((name, i) => {
      const from = at;
      while (at < points.row.length && points.series[at] === i) at++;
      const start = offsets(points.row.slice(from, at), recordCount);
      return [name, { start, month: new Int16Array(points.month.slice(from, at)), value: new Float32Array(points.value.slice(from, at)) }];
    }),
  ) as Record<SeriesName, Series>;
}

async function readFacts(db: Database, domain: CodeDomain, recordCount: number): Promise<Facts> {
  const { code, date, end } = factSources[domain];
  // One end per code and month: the latest, and none at all where one of them has not ended.
  const endMonth = end ? `max(coalesce(${monthOf(end)}, ${openEnd}))::SMALLINT` : `${openEnd}::SMALLINT`;
  await db.run(`create or replace temp table evidence_facts as
    select r.row, ${code} as code, ${monthOf(`t.${date}`)} as month, ${endMonth} as ended
    from ${domain} t join records r on r.facility = t.facility and r.patient_id = t.PATIENT
    where t.CODE is not null and t.${date} is not null
    group by 1, 2, 3`);
  const codes = await db.rows<{ code: string }>('select distinct code from evidence_facts order by code');
  const facts = await db.columns<{ row: Int32Array; code: Int32Array; month: Int16Array; ended: Int16Array }>(`
    with numbered as (select code, (row_number() over (order by code) - 1)::INTEGER as number from (select distinct code from evidence_facts))
    select f.row, n.number as code, f.month, f.ended from evidence_facts f join numbered n using (code) order by f.row, n.number, f.month`);
  await db.run('drop table evidence_facts');
  return {
    codes: codes.map((row) => row.code),
    start: offsets(facts.row, recordCount),
    code: new Int32Array(facts.code),
    month: new Int16Array(facts.month),
    end: new Int16Array(facts.ended),
  };
}

async function readVisits(db: Database, recordCount: number): Promise<Visits> {
  const visits = await db.columns<{ row: Int32Array; month: Int16Array; visits: Int16Array }>(`
    select r.row, ${monthOf('e.START')} as month, least(count(*), 32767)::SMALLINT as visits
    from encounters e join records r on r.facility = e.facility and r.patient_id = e.PATIENT
    where e.START is not null group by 1, 2 order by 1, 2`);
  return { start: offsets(visits.row, recordCount), month: new Int16Array(visits.month), count: new Int16Array(visits.visits) };
}

// An empty result comes back as a plain empty list, so typed arrays are made anew above.
/** First position of each record in a list ascending by record; one more entry marks the end. */
function offsets(rows: Int32Array, recordCount: number): Int32Array {
  const start = new Int32Array(recordCount + 1);
  for (const row of rows) start[row + 1]!++;
  for (let r = 0; r < recordCount; r++) start[r + 1]! += start[r]!;
  return start;
}
