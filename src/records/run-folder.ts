// A run folder: facilities/facility_001..N/<table>.parquet, and metadata/ground_truth.parquet where the truth is known.
// Its tables become DuckDB views over all facilities. A view streams: nothing but the files' footers is read until a query asks, and
// then only the columns it names. Files whose columns are stored alike share one scan; each kind of file gets its own casts.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { type Database, literal, quote, readingFile } from '../sql/duckdb.ts';
import { canRepair, repairSql, type StoredType } from './stored-type.ts';
import { type ColumnType, type TableName, tableNames, tableSchemas } from './tables.ts';

export type RunFolder = {
  readonly path: string;
  /** Facility numbers, ascending. */
  readonly facilities: readonly number[];
  readonly groundTruthFile?: string;
};

/** Tables that no part of entity resolution reads; a run folder without them is complete. */
const unread: ReadonlySet<TableName> = new Set([
  'claims',
  'claims_transactions',
  'payer_transitions',
  'organizations',
  'providers',
  'payers',
]);

/** Columns without which a table is useless. Any other column of the schema may be absent and then reads as missing. */
const neededColumns: Partial<Record<TableName, readonly string[]>> = {
  patients: ['Id', 'BIRTHDATE', 'SSN', 'FIRST', 'LAST', 'MAIDEN', 'GENDER', 'ADDRESS', 'CITY', 'STATE', 'ZIP'],
  encounters: ['Id', 'START', 'STOP', 'PATIENT', 'ENCOUNTERCLASS', 'CODE', 'DESCRIPTION'],
  conditions: ['START', 'STOP', 'PATIENT', 'CODE', 'DESCRIPTION'],
  medications: ['START', 'STOP', 'PATIENT', 'CODE', 'DESCRIPTION'],
  observations: ['DATE', 'PATIENT', 'CODE', 'DESCRIPTION', 'VALUE', 'UNITS'],
  procedures: ['START', 'PATIENT', 'CODE', 'DESCRIPTION'],
  immunizations: ['DATE', 'PATIENT', 'CODE'],
  allergies: ['START', 'PATIENT', 'CODE', 'DESCRIPTION'],
  careplans: ['START', 'PATIENT', 'CODE'],
  imaging_studies: ['DATE', 'PATIENT'],
  devices: ['START', 'PATIENT', 'CODE'],
  supplies: ['DATE', 'PATIENT', 'CODE'],
};

/** Tables whose text depends on how they were stored (records/summary.ts): also attached unrepaired, as `as_stored.<table>`. */
const storedTables: readonly TableName[] = ['conditions', 'medications', 'observations', 'procedures', 'allergies'];

/** `facility_007`: the folder's name, and the first part of the record ids within. */
export function facilityId(facility: number): string {
  return `facility_${String(facility).padStart(3, '0')}`;
}

/**
 * Finds a run folder's facilities and truth; looks at names only.
 *
 * @throws UserError `run-folder.missing`, `run-folder.not-one`, `run-folder.table-missing`
 */
export function openRunFolder(path: string): RunFolder {
  const root = resolve(path);
  if (!existsSync(root) || !statSync(root).isDirectory()) {
    throw new UserError('run-folder.missing', `run folder: not found: ${path}; name the folder that clinfuse er inject-errors wrote`);
  }
  const parent = join(root, 'facilities');
  const facilities = (existsSync(parent) ? readdirSync(parent) : [])
    .flatMap((name) => /^facility_(\d{3,})$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  if (facilities.length === 0) {
    throw new UserError(
      'run-folder.not-one',
      `run folder: no facilities/facility_001 in ${path}; make one with clinfuse er segment and clinfuse er inject-errors`,
    );
  }
  for (const facility of facilities) {
    for (const table of tableNames) {
      if (unread.has(table) || existsSync(tableFile(root, facility, table))) continue;
      throw new UserError(
        'run-folder.table-missing',
        `run folder: table missing: ${facilityId(facility)}/${table}.parquet; segment the data again or copy the file back`,
      );
    }
  }
  const groundTruthFile = join(root, 'metadata', 'ground_truth.parquet');
  return { path: root, facilities, ...(existsSync(groundTruthFile) ? { groundTruthFile } : {}) };
}

/**
 * Creates one view per medical table over all facilities' files: the schema's columns in the schema's types, `facility` (number) and
 * `file_row` (place of the row in that facility's file, from 0). Also `as_stored.<table>` for the tables whose printed form depends on
 * the stored type, and the table `source_files(table_name, facility, file)`.
 *
 * @throws UserError `run-folder.unreadable`, `run-folder.column-missing`, `run-folder.column-type`
 */
export async function attachRunFolder(db: Database, folder: RunFolder): Promise<void> {
  await db.run('create schema if not exists as_stored');
  await db.run('create or replace table source_files (table_name VARCHAR, facility INTEGER, file VARCHAR)');
  for (const table of tableNames) {
    const files: TableFile[] = [];
    for (const facility of folder.facilities) {
      const file = tableFile(folder.path, facility, table);
      if (existsSync(file)) files.push(await inspect(db, { table, facility, file }));
    }
    await db.run(`create or replace view ${table} as ${viewSql(table, files)}`);
    if (storedTables.includes(table)) await db.run(`create or replace view as_stored.${table} as ${storedViewSql(table, files)}`);
    if (files.length > 0) {
      const rows = files.map(({ facility, file }) => `('${table}', ${facility}, ${literal(file)})`);
      await db.run(`insert into source_files values ${rows.join(', ')}`);
    }
  }
}

/**
 * Runs work that reads attached tables. When a file turns out to be damaged half-way, says which one instead of what DuckDB met in
 * it (its message quotes the cell).
 *
 * @throws UserError `run-folder.unreadable`
 */
export async function readingTables<T>(db: Database, tables: readonly TableName[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const names = tables.map(literal).join(', ');
    const files = await db.rows<{ file: string }>(`select file from source_files where table_name in (${names}) order by all`);
    for (const { file } of files) await probe(db, file);
    throw cause;
  }
}

async function probe(db: Database, file: string): Promise<void> {
  try {
    await db.rows(`select bit_xor(hash(cells)) from read_parquet(${literal(file)}) cells`);
  } catch (cause) {
    const fault = /utf-?8|string encoding/i.test((cause as Error).message) ? 'holds bytes that are not UTF-8' : 'damaged Parquet file';
    throw new UserError('run-folder.unreadable', `run folder: ${fault}: ${file}; write it again`, { cause });
  }
}

type TableFile = {
  readonly table: TableName;
  readonly facility: number;
  readonly file: string;
  /** Stored type of each column of the schema; `NULL` for one that is absent or empty. */
  readonly types: ReadonlyMap<string, StoredType>;
};

function tableFile(root: string, facility: number, table: TableName): string {
  return join(root, 'facilities', facilityId(facility), `${table}.parquet`);
}

/** Reads the file's footer and checks it against the schema. */
async function inspect(db: Database, { table, facility, file }: Omit<TableFile, 'types'>): Promise<TableFile> {
  const place = `${facilityId(facility)}/${table}`;
  const found = new Map(
    (await readingFile(file, () => db.describe(`read_parquet(${literal(file)})`))).map(({ name, type }) => [name, type] as const),
  );
  const types = new Map<string, StoredType>();
  for (const { name, type: wanted } of tableSchemas[table]) {
    const stored = found.get(name);
    if (stored === undefined && neededColumns[table]?.includes(name)) {
      throw new UserError(
        'run-folder.column-missing',
        `run folder: column missing: ${place}: ${name}; the file has: ${[...found.keys()].slice(0, 8).join(', ')}`,
      );
    }
    types.set(name, stored === undefined ? 'NULL' : await meaning(db, { file, place, name, stored, wanted }));
  }
  return { table, facility, file, types };
}

type Cell = {
  readonly file: string;
  readonly place: string;
  readonly name: string;
  readonly stored: StoredType;
  readonly wanted: ColumnType;
};

/** The stored type, or `NULL` for an empty column of a type that could not be repaired; refuses a column of the wrong kind. */
async function meaning(db: Database, { file, place, name, stored, wanted }: Cell): Promise<StoredType> {
  if (stored === wanted) return stored;
  const source = `read_parquet(${literal(file)})`;
  const refuse = () => {
    const kind = wanted === 'DATE' || wanted === 'TIMESTAMP' ? 'dates' : 'numbers';
    throw new UserError(
      'run-folder.column-type',
      `run folder: column holds no ${kind}: ${place}: ${name} (stored as ${stored}); mend the file`,
    );
  };
  if (!canRepair(stored, wanted)) {
    if ((await db.value<number>(`select count(${quote(name)}) from ${source}`)) > 0) refuse();
    return 'NULL';
  }
  if (stored === 'VARCHAR') {
    // A glance at the first values: one that cannot be read is a missing value, none that can is the wrong column.
    const filled = `trim(${quote(name)}) not in ('', 'NaT', 'None', 'nan', 'NaN', 'null')`;
    const [seen] = await db.rows<{ texts: number; readable: number }>(
      `select count(*) as texts, count(${repairSql(name, stored, wanted)}) as readable from (select ${quote(name)} from ${source} where ${filled} limit 1000)`,
    );
    if (seen!.texts > 0 && seen!.readable === 0) refuse();
  }
  return stored;
}

function viewSql(table: TableName, files: readonly TableFile[]): string {
  const schema = tableSchemas[table];
  if (files.length === 0) {
    const columns = schema.map(({ name, type }) => `null::${type} as ${quote(name)}`);
    return `select ${columns.join(', ')}, null::INTEGER as facility, null::BIGINT as file_row where false`;
  }
  return scanSql(files, ({ types }) => schema.map(({ name, type }) => `${repairSql(name, types.get(name)!, type)} as ${quote(name)}`));
}

/** Columns as they are stored; where facilities disagree about a column's type, all of them as text. */
function storedViewSql(table: TableName, files: readonly TableFile[]): string {
  const schema = tableSchemas[table];
  const agreed = new Map(
    schema.map(({ name }) => {
      const kinds = new Set(files.map(({ types }) => types.get(name)!));
      if (kinds.size > 1) kinds.delete('NULL');
      return [name, kinds.size === 1 ? [...kinds][0]! : 'VARCHAR'] as const;
    }),
  );
  return scanSql(files, ({ types }) =>
    schema.map(({ name }) => {
      const [stored, type] = [types.get(name)!, agreed.get(name)!];
      if (stored === type) return stored === 'NULL' ? `null::VARCHAR as ${quote(name)}` : quote(name);
      return `cast(${stored === 'NULL' ? 'null' : quote(name)} as ${type}) as ${quote(name)}`;
    }),
  );
}

/** One scan per kind of file, `facility` and `file_row` added; `columns` gives the select list for a file of that kind. */
function scanSql(files: readonly TableFile[], columns: (example: TableFile) => readonly string[]): string {
  const kinds = new Map<string, TableFile[]>();
  for (const file of files) {
    const kind = [...file.types.values()].join();
    kinds.set(kind, [...(kinds.get(kind) ?? []), file]);
  }
  return [...kinds.values()]
    .map((alike) => {
      const facilities = alike.map(({ facility }) => facility).join(', ');
      const list = alike.map(({ file }) => literal(file)).join(', ');
      const added = `cast(list_extract([${facilities}], cast(file_index as BIGINT) + 1) as INTEGER) as facility, file_row_number as file_row`;
      return `select ${[...columns(alike[0]!), added].join(', ')} from read_parquet([${list}])`;
    })
    .join(' union all ');
}
