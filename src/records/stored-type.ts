// How a column's stored type becomes the type our schema says, as SQL. Files written by other tools hold the same facts in other
// types: a ZIP as BIGINT or DOUBLE (`2191.0`), a code as DOUBLE because one cell was empty, a date as text with `NaT` for missing,
// a column without any value as whatever the writer made of "no type". The repair is one cast per cell; equal types cost nothing.
//
//   stored DOUBLE 2191.0 -> ZIP '2191'      stored DOUBLE 70.0 -> VALUE '70.0' (a reading is printed as a number prints)
//   stored text 'NaT'    -> DATE null       stored DOUBLE 44054006.0 -> CODE 44054006

import { quote } from '../sql/duckdb.ts';
import type { ColumnType } from './tables.ts';

/** A DuckDB type name, or `NULL` for a column that is absent or holds no value at all. */
export type StoredType = string;

/** Whether values of the stored type can mean what the schema asks for; if not, the column is acceptable only when it is empty. */
export function canRepair(stored: StoredType, wanted: ColumnType): boolean {
  if (wanted === 'DATE' || wanted === 'TIMESTAMP') return isTemporal(stored) || stored === 'VARCHAR' || stored === 'NULL';
  if (wanted === 'VARCHAR') return true;
  return !isTemporal(stored) && stored !== 'BLOB' && stored !== 'BOOLEAN';
}

/** SQL that reads the column, stored as `stored`, as `wanted`; a value that cannot be read becomes null. */
export function repairSql(column: string, stored: StoredType, wanted: ColumnType): string {
  const cell = quote(column);
  if (stored === wanted) return cell;
  if (stored === 'NULL') return `null::${wanted}`;
  switch (wanted) {
    case 'VARCHAR':
      return column === 'VALUE' ? printedSql(column, stored) : identifierSql(cell, stored);
    case 'BIGINT':
      if (stored === 'VARCHAR') return `try_cast(regexp_replace(trim(${cell}), '\\.0*$', '') as BIGINT)`;
      return `try_cast(${cell} as BIGINT)`;
    case 'DOUBLE':
      return `try_cast(${cell} as DOUBLE)`;
    case 'DATE':
    case 'TIMESTAMP':
      return `cast(${momentSql(column, stored)} as ${wanted})`;
  }
}

/** SQL for the moment (TIMESTAMP, in UTC) a stored date means; null when it is missing or cannot be read. */
export function momentSql(column: string, stored: StoredType): string {
  const cell = quote(column);
  if (stored === 'VARCHAR') return `try_cast(trim(${cell}) as TIMESTAMP)`;
  // make_timestamp needs no time zone database, which a cast from a zoned timestamp would.
  if (stored === 'TIMESTAMP WITH TIME ZONE') return `make_timestamp(epoch_us(${cell}))`;
  if (isTemporal(stored)) return `cast(${cell} as TIMESTAMP)`;
  return 'null::TIMESTAMP';
}

/** SQL for a value as Python prints it: text as it stands, whole and floating numbers in their shortest form (`70.0`, `1e-05`). */
export function printedSql(column: string, stored: StoredType): string {
  const cell = quote(column);
  if (stored === 'VARCHAR') return cell;
  if (stored === 'NULL') return 'null::VARCHAR';
  if (stored === 'BLOB') return `decode(${cell})`;
  if (stored === 'BOOLEAN') return `case when ${cell} then 'True' when not ${cell} then 'False' end`;
  if (stored === 'DOUBLE' || stored === 'FLOAT') return `case when not isnan(${cell}) then cast(${cell} as VARCHAR) end`;
  return `cast(${cell} as VARCHAR)`;
}

/** An identifier that was taken for a number loses the decimals it gained; leading zeros come back where its width is known. */
function identifierSql(cell: string, stored: StoredType): string {
  if (stored !== 'DOUBLE' && stored !== 'FLOAT') return stored === 'BLOB' ? `decode(${cell})` : `cast(${cell} as VARCHAR)`;
  return `case when isnan(${cell}) then null when ${cell} = trunc(${cell}) and abs(${cell}) < 1e15 then cast(cast(${cell} as BIGINT) as VARCHAR) else cast(${cell} as VARCHAR) end`;
}

/** DATE, and TIMESTAMP of any unit, with or without zone. */
export function isTemporal(stored: StoredType): boolean {
  return stored === 'DATE' || stored.startsWith('TIMESTAMP');
}
