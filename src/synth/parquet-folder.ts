// A folder of typed tables on disk, as `ingest` leaves it, and the way this folder's verbs write theirs.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { type TableName, tableNames, tableSchemas } from '../records/tables.ts';
import { Database, literal, readingFile } from '../sql/duckdb.ts';

/** How Parquet is written here. Level 1 takes half the time of the default level for 4 % more bytes. */
export const parquetOptions = '(format parquet, compression zstd, compression_level 1)';

/** `read_parquet('folder/table.parquet')`, to stand in a query. */
export function parquetSource(folder: string, table: TableName): string {
  return `read_parquet(${literal(join(folder, `${table}.parquet`))})`;
}

/** Writes what a query gives to a Parquet file, rows in the query's order. */
export async function writeParquet(db: Database, query: string, file: string): Promise<void> {
  await db.run(`copy (${query}) to ${literal(file)} ${parquetOptions}`);
}

/**
 * A database for writing tables. It gets two threads at least: with one, DuckDB takes another way of writing, which cuts row groups
 * elsewhere, and the bytes would depend on the thread count.
 */
export async function openForWriting(threads?: number): Promise<Database> {
  return await Database.open(threads === undefined ? {} : { threads: Math.max(2, threads) });
}

/**
 * Checks that all tables are there with all their columns.
 *
 * @throws UserError `input.missing`, `input.missing-table`, `input.missing-column`, `input.unreadable`
 */
export async function checkTables(db: Database, folder: string, part: string): Promise<void> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new UserError('input.missing', `${part}: folder not found: ${folder}`);
  }
  for (const table of tableNames) {
    const file = join(folder, `${table}.parquet`);
    if (!existsSync(file))
      throw new UserError('input.missing-table', `${part}: table missing: ${file}; a run needs all ${tableNames.length} tables`);
    const found = await readingFile(file, () => db.describe(parquetSource(folder, table)));
    const names = new Set(found.map(({ name }) => name));
    const lacking = tableSchemas[table].filter(({ name }) => !names.has(name)).map(({ name }) => name);
    if (lacking.length > 0) {
      throw new UserError(
        'input.missing-column',
        `${part}: column missing in ${file}: ${lacking.join(', ')}; make the file anew with ingest`,
      );
    }
  }
}
