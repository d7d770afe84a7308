// A folder of typed tables on disk, as `ingest` leaves it, and the way this folder's verbs write theirs.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { type TableName, tableNames, tableSchemas } from '../records/tables.ts';
import { type Database, literal, readingFile } from '../sql/duckdb.ts';

/**
 * How Parquet is written here. Level 1 takes half the time of the default level for 4 % more bytes; a column with more distinct values
 * than the limit (ids) is written plain: a tenth faster, and smaller too.
 */
const parquetOptions = '(format parquet, compression zstd, compression_level 1, dictionary_size_limit 12000)';

/** `read_parquet('folder/table.parquet')`, to stand in a query. */
export function parquetSource(folder: string, table: TableName): string {
  return `read_parquet(${literal(join(folder, `${table}.parquet`))})`;
}

/** Writes what a query gives to a Parquet file, rows in the query's order. */
export async function writeParquet(db: Database, query: string, file: string): Promise<void> {
  await db.run(`copy (${query}) to ${literal(file)} ${parquetOptions}`);
}

/**
 * Works through the items beside each other, each on one connection with one thread, and waits for all. Several threads on one file
 * would now and then end a row group elsewhere, so that the bytes would depend on their race; several files do not race.
 *
 * @param options.threads how many at a time; as many as DuckDB would use by default
 * @throws what the earliest item that failed threw; items not begun by then are left out
 */
export async function besideEachOther<T>(
  db: Database,
  {
    items,
    threads,
    work,
  }: { readonly items: readonly T[]; readonly threads?: number | undefined; readonly work: (db: Database, item: T) => Promise<void> },
): Promise<void> {
  const before = await db.value<number>("select current_setting('threads')::integer");
  const waiting = items.map((item, nth) => ({ item, nth }));
  const failures: { readonly nth: number; readonly cause: unknown }[] = [];
  const worker = async () => {
    await using own = await db.connect();
    for (let next = waiting.shift(); next !== undefined && failures.length === 0; next = waiting.shift()) {
      const { item, nth } = next;
      await work(own, item).catch((cause: unknown) => void failures.push({ nth, cause }));
    }
  };
  await db.run('set threads = 1');
  try {
    await Promise.all(Array.from({ length: Math.min(threads ?? before, items.length) }, worker));
  } finally {
    await db.run(`set threads = ${before}`);
  }
  failures.sort((a, b) => a.nth - b.nth);
  if (failures.length > 0) throw failures[0]!.cause;
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
