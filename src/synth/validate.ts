// Referential checks of a run folder: what every row points at must be there, in the same facility.

import { join } from 'node:path';

import type { TableName } from '../records/tables.ts';
import type { Database } from '../sql/duckdb.ts';
import { parquetSource } from './parquet-folder.ts';
import { encounterTables, facilityFolder } from './segment.ts';

type Reference = { readonly table: TableName; readonly column: string; readonly to: TableName };

const references: readonly Reference[] = [
  { table: 'encounters', column: 'PATIENT', to: 'patients' },
  { table: 'payer_transitions', column: 'PATIENT', to: 'patients' },
  ...encounterTables.map((table) => ({ table, column: 'ENCOUNTER', to: 'encounters' }) as const),
  { table: 'claims', column: 'APPOINTMENTID', to: 'encounters' },
  { table: 'claims_transactions', column: 'CLAIMID', to: 'claims' },
];

/** What does not hold, one line each, without any patient's data; none when all is well. */
export async function findBrokenReferences(
  db: Database,
  facilitiesFolder: string,
  facilities: readonly number[],
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const facility of facilities) {
    const folder = join(facilitiesFolder, facilityFolder(facility));
    for (const table of ['patients', 'encounters'] as const) {
      if ((await db.value<number>(`select count(*) from ${parquetSource(folder, table)}`)) === 0) {
        faults.push(`${facilityFolder(facility)}: ${table} has no rows`);
      }
    }
    for (const { table, column, to } of references) {
      const broken = await db.value<number>(`
        select count(*) from (select distinct "${column}" as id from ${parquetSource(folder, table)}) t
        anti join (select "Id" from ${parquetSource(folder, to)}) r on r."Id" = t.id`);
      if (broken > 0) faults.push(`${facilityFolder(facility)}: ${table}.${column} names ${broken} that ${to} does not have`);
    }
  }
  return faults;
}
