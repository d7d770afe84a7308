import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { facilityId } from '../../src/records/run-folder.ts';
import { type TableName, tableNames, tableSchemas } from '../../src/records/tables.ts';
import { Database } from '../../src/sql/duckdb.ts';

/** Tables of one facility, each as the SQL that selects its rows; columns that the SQL leaves out are added as nulls of our type. */
export type FacilityTables = { readonly [Table in TableName]?: string };

/** Writes a run folder with facilities 1..N; every table not given is written empty. Returns its path, a temporary folder removed when the running test ends. */
export async function writeRunFolder(facilities: readonly FacilityTables[], { truth }: { readonly truth?: string } = {}): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'clinfuse-run-folder-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  await using db = await Database.open({ threads: 1 });
  for (const [i, tables] of facilities.entries()) {
    const folder = join(root, 'facilities', facilityId(i + 1));
    mkdirSync(folder, { recursive: true });
    for (const table of tableNames) {
      const given = tables[table] === undefined ? [] : (await db.describe(`(${tables[table]})`)).map(({ name }) => name);
      const columns = tableSchemas[table].map(({ name, type }) => (given.includes(name) ? `"${name}"` : `null::${type} as "${name}"`));
      const source = tables[table] === undefined ? '(select 1) where false' : `(${tables[table]})`;
      await db.run(`copy (select ${columns.join(', ')} from ${source}) to '${join(folder, `${table}.parquet`)}' (format parquet)`);
    }
  }
  if (truth !== undefined) {
    mkdirSync(join(root, 'metadata'));
    await db.run(`copy (${truth}) to '${join(root, 'metadata', 'ground_truth.parquet')}' (format parquet)`);
  }
  return root;
}

/** Rows as SQL: `values('a, b', [[1, 'x']])` selects one row; text is quoted, null and numbers stand as they are, `{ sql }` is taken as written. */
export function values(columns: string, rows: readonly (readonly (string | number | null | { readonly sql: string })[])[]): string {
  const cell = (value: string | number | null | { readonly sql: string }) =>
    typeof value === 'string'
      ? `'${value.replaceAll("'", "''")}'`
      : value !== null && typeof value === 'object'
        ? value.sql
        : String(value);
  const names = columns.split(/,\s*/).map((name) => `"${name}"`);
  return `select * from (values ${rows.map((row) => `(${row.map(cell).join(', ')})`).join(', ')}) t(${names.join(', ')})`;
}
