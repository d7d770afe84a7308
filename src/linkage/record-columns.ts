// Columns of the records as Parquet stores them: codes by record, and what each code stands for.

import { quote } from '../sql/duckdb.ts';
import { type DistinctValues, distinctNumbers } from '../sql/parquet-columns.ts';
import { isParquetType, type ParquetType } from '../sql/parquet-format.ts';
import type { Encoder } from './encode.ts';

export type RecordColumn = {
  readonly type: ParquetType;
  readonly values: DistinctValues;
  /** Absent where each record has a value of its own: record r holds value r. */
  readonly codes?: Int32Array;
};

/**
 * Reads columns of the records, by name.
 *
 * @param id the column that names a record
 * @returns columns of lists, structs and other types that only DuckDB writes are left out
 */
export async function readRecordColumns(
  encoder: Encoder,
  names: readonly string[],
  id: string,
): Promise<ReadonlyMap<string, RecordColumn>> {
  const types = new Map((await encoder.db.describe(encoder.table)).map(({ name, type }) => [name.toLowerCase(), type]));
  const flat = [...new Set(names)].flatMap((name) => {
    const type = types.get(name.toLowerCase())!;
    return isParquetType(type) ? [{ name, type }] : [];
  });
  await encoder.encode(flat.filter(({ name }) => name !== id).map(({ name }) => quote(name)));
  const columns = new Map<string, RecordColumn>();
  for (const { name, type } of flat) {
    if (name === id) {
      const values = await readValues(encoder, type, {
        table: `(select cast(${quote(name)} as varchar) as v, __row as code from ${encoder.table})`,
        valueCount: encoder.recordCount,
      });
      columns.set(name, { type, values });
      continue;
    }
    const { codes, dictionary } = await encoder.codes(quote(name));
    columns.set(name, { type, values: await readValues(encoder, type, dictionary), codes });
  }
  return columns;
}

type Values = { readonly table: string; readonly valueCount: number };

/** Values in order of their codes. Numbers, dates and times come back from their text as they were. */
async function readValues(encoder: Encoder, type: ParquetType, values: Values): Promise<DistinctValues> {
  if (type === 'VARCHAR') return encoder.byteTable(values);
  if (values.valueCount === 0) return distinctNumbers(new Int32Array(0));
  const stored = type === 'TINYINT' || type === 'SMALLINT' ? 'INTEGER' : type;
  const { v } = await encoder.db.columns<{ v: Float64Array }>(
    `select cast(v as ${type})::${stored} as v from ${values.table} order by code`,
  );
  return distinctNumbers(v);
}
