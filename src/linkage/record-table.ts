// Tables whose rows stand for records, as Parquet: arrays of their own beside columns of the records.
//
// Rows know their records by number and the encoder knows each record's values by code, so the file is written from arrays (sql/parquet-writer.ts): no join,
// no text per row. What has no codes (lists, structs and the like) is joined to that file by DuckDB in one more step.
//
// Worked case: pairs (0, 2), (1, 2): the column first_name_r is the column first_name of records 2, 2.

import { join } from 'node:path';

import { temporaryFolder } from '../base/files.ts';
import { literal, quote } from '../sql/duckdb.ts';
import { type DistinctValues, distinctNumbers, type ParquetColumn } from '../sql/parquet-columns.ts';
import { isParquetType, type ParquetType } from '../sql/parquet-format.ts';
import { writeParquetColumns } from '../sql/parquet-writer.ts';
import type { Encoder } from './encode.ts';

/** What an expression (one column, mostly) says of the record that each row stands for. */
export type RecordColumn = {
  readonly kind: 'record';
  readonly name: string;
  readonly of: string;
  /** Each record has a value of its own: there is nothing to gain from finding equal ones. */
  readonly isName?: boolean;
  readonly records: Int32Array;
};

/** Rows of a row group: so many that a name's bytes are seldom written twice, so few that two groups in the making take 200 MB. */
const groupRows = 500_000;

/** Writes a table that was read before. */
export type WriteTable = (file: string) => Promise<void>;

/** Reads what a table of so many rows is written from; it is written with so many threads, the calling one counted. */
export async function readRecordTable(
  encoder: Encoder,
  {
    columns: planned,
    rowCount,
    threads = 1,
  }: { readonly columns: readonly (ParquetColumn | RecordColumn)[]; readonly rowCount: number; readonly threads?: number | undefined },
): Promise<WriteTable> {
  const records = planned.filter((column) => column.kind === 'record');
  const known = await readExpressions(encoder, records);
  const columns = planned.flatMap((column): ParquetColumn[] => {
    if (column.kind !== 'record') return [column];
    const read = known.get(column.of);
    return read ? [{ kind: 'coded', name: column.name, ...read, rows: column.records }] : [];
  });
  if (columns.length === planned.length) return (file) => writeParquetColumns(file, { columns, rowCount, groupRows }, { threads });

  const numbers = [...new Set(records.flatMap((column) => (known.has(column.of) ? [] : [column.records])))];
  const values = distinctNumbers(Int32Array.from({ length: encoder.recordCount }, (_, record) => record));
  const joined = numbers.map((rows, i): ParquetColumn => ({ kind: 'coded', name: `__row_${i}`, type: 'INTEGER', values, rows }));
  const writeJoined = async (flat: string, file: string) => {
    await writeParquetColumns(flat, { columns: [...columns, ...joined], rowCount, groupRows }, { threads });
    const select = planned.map((column) => {
      if (column.kind !== 'record' || known.has(column.of)) return `p.${quote(column.name)}`;
      return `r${numbers.indexOf(column.records)}.${quote(`of ${column.of}`)} as ${quote(column.name)}`;
    });
    const lacking = [...new Set(records.flatMap(({ of }) => (known.has(of) ? [] : [of])))];
    const source = `(select __row, ${lacking.map((of) => `${of} as ${quote(`of ${of}`)}`).join(', ')} from ${encoder.table})`;
    const joins = numbers.map((_, i) => `join ${source} r${i} on r${i}.__row = p.__row_${i}`);
    // By a connection of its own: the encoder's may be asked other things meanwhile.
    const db = await encoder.db.connect();
    try {
      await db.writeParquet(
        `select ${select.join(', ')} from read_parquet(${literal(flat)}, file_row_number = true) p ${joins.join(' ')} order by p.file_row_number`,
        file,
      );
    } finally {
      db.close();
    }
  };
  return async (file) => {
    const scratch = temporaryFolder();
    try {
      await writeJoined(join(scratch.path, 'flat.parquet'), file);
    } finally {
      scratch.remove();
    }
  };
}

type Read = { readonly type: ParquetType; readonly values: DistinctValues; readonly codes?: Int32Array };

/** Expressions by their text; those of types that only DuckDB writes are left out. */
async function readExpressions(encoder: Encoder, columns: readonly RecordColumn[]): Promise<ReadonlyMap<string, Read>> {
  const wanted = [...new Map(columns.map(({ of, isName = false }) => [of, { of, isName }])).values()];
  const types = await encoder.db.describe(`(select ${wanted.map(({ of }, i) => `${of} as c${i}`).join(', ')} from ${encoder.table})`);
  const flat = wanted.flatMap((one, i) => {
    const { type } = types[i]!;
    return isParquetType(type) ? [{ ...one, type }] : [];
  });
  await encoder.encode(flat.flatMap(({ of, isName }) => (isName ? [] : [of])));
  const known = new Map<string, Read>();
  for (const { of, isName, type } of flat) {
    if (isName) {
      known.set(of, { type, values: await readValues(encoder, type, encoder.nameValues(of)) });
    } else {
      const { codes, dictionary } = await encoder.codes(of);
      known.set(of, { type, values: await readValues(encoder, type, dictionary), codes });
    }
  }
  return known;
}

/** Values in order of their codes. Numbers, dates and times come back from their text as they were. */
async function readValues(
  encoder: Encoder,
  type: ParquetType,
  values: { readonly table: string; readonly valueCount: number },
): Promise<DistinctValues> {
  if (type === 'VARCHAR') return encoder.byteTable(values);
  if (values.valueCount === 0) return distinctNumbers(new Int32Array(0));
  const stored = type === 'TINYINT' || type === 'SMALLINT' ? 'INTEGER' : type;
  const { v } = await encoder.db.columns<{ v: Float64Array }>(
    `select cast(v as ${type})::${stored} as v from ${values.table} order by code`,
  );
  return distinctNumbers(v);
}
