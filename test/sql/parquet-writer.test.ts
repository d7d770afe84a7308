import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { Database, literal } from '../../src/sql/duckdb.ts';
import { distinctNumbers, distinctTexts, type ParquetColumn } from '../../src/sql/parquet-columns.ts';
import { writeParquetColumns } from '../../src/sql/parquet-writer.ts';

let folder: string;
let db: Database;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'clinfuse-parquet-'));
  db = await Database.open();
});
afterAll(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

let written = 0;

/** Writes columns and reads them back as DuckDB sees them, each time by another name: it remembers files. */
async function roundTrip(columns: readonly ParquetColumn[], rowCount: number, groupRows = 1000) {
  const file = join(folder, `${++written}.parquet`);
  await writeParquetColumns(file, { columns, rowCount, groupRows });
  return { file, types: await db.describe(literal(file)), rows: await db.rows<Record<string, unknown>>(`from ${literal(file)}`) };
}

const codes = Int32Array.of(1, 0, -1, 1, 2);
test.each([
  ['VARCHAR', distinctTexts(['', 'Zoë', '李\n"x"']), ['Zoë', '', null, 'Zoë', '李\n"x"']],
  [
    'DOUBLE',
    distinctNumbers(Float64Array.of(-0.5, Number.NaN, Number.POSITIVE_INFINITY)),
    [Number.NaN, -0.5, null, Number.NaN, Number.POSITIVE_INFINITY],
  ],
  ['FLOAT', distinctNumbers(Float32Array.of(0.5, -2, 1e30)), [-2, 0.5, null, -2, Math.fround(1e30)]],
  ['TINYINT', distinctNumbers(Int32Array.of(-128, 127, 0)), [127, -128, null, 127, 0]],
  ['SMALLINT', distinctNumbers(Int32Array.of(-32768, 32767, 0)), [32767, -32768, null, 32767, 0]],
  ['INTEGER', distinctNumbers(Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0)), [2 ** 31 - 1, -(2 ** 31), null, 2 ** 31 - 1, 0]],
  ['BIGINT', distinctNumbers(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 5n)), [2n ** 63n - 1n, -(2n ** 63n), null, 2n ** 63n - 1n, 5]],
  ['DATE', distinctNumbers(Int32Array.of(-1, 18_262, 0)), ['2020-01-01', '1969-12-31', null, '2020-01-01', '1970-01-01']],
  [
    'TIMESTAMP',
    distinctNumbers(BigInt64Array.of(-1n, 1_000_001n, 0n)),
    ['1970-01-01 00:00:01.000001', '1969-12-31 23:59:59.999999', null, '1970-01-01 00:00:01.000001', '1970-01-01 00:00:00'],
  ],
] as const)('%s comes back as it was, missing values too', async (type, values, expected) => {
  const { types, rows } = await roundTrip([{ kind: 'coded', name: 'a "b"', type, values, codes }], codes.length);
  expect(types).toEqual([{ name: 'a "b"', type }]);
  expect(rows.map((row) => row['a "b"'])).toEqual(expected);
});

test('rows over many groups, by code, by record and by number, are read in their order by any reader', async () => {
  const rowCount = 20_011;
  const record = Int32Array.from({ length: rowCount }, (_, row) => (row * 7919) % 5000);
  const of = Int32Array.from({ length: 5000 }, (_, one) => (one % 11 === 4 ? -1 : (one * 31) % 977));
  const values = distinctTexts(Array.from({ length: 977 }, (_, value) => `value ${value} ${'x'.repeat(value % 50)}`));
  const weight = Float64Array.from(record, (one) => one / 3);
  const columns: readonly ParquetColumn[] = [
    { kind: 'doubles', name: 'weight', numbers: weight },
    { kind: 'coded', name: 'text', type: 'VARCHAR', values, codes: of, rows: record },
    {
      kind: 'coded',
      name: 'number',
      type: 'INTEGER',
      values: distinctNumbers(Int32Array.from({ length: 5000 }, (_, one) => -one)),
      rows: record,
    },
    { kind: 'coded', name: 'same', type: 'VARCHAR', values: distinctTexts(['one']), codes: new Int8Array(rowCount) },
    { kind: 'coded', name: 'none', type: 'DATE', values: distinctNumbers(new Int32Array(0)), codes: new Int8Array(rowCount).fill(-1) },
    // The same values again: numbering them anew must not remember the first time.
    { kind: 'coded', name: 'again', type: 'VARCHAR', values, codes: of, rows: record.toReversed() },
  ];
  const text = (one: number) => (of[one]! < 0 ? null : `value ${of[one]} ${'x'.repeat(of[one]! % 50)}`);
  for (const groupRows of [20_011, 4096, 1000]) {
    const { rows } = await roundTrip(columns, rowCount, groupRows);
    const wrong = rows.findIndex(
      (row, r) =>
        row['weight'] !== weight[r] ||
        row['text'] !== text(record[r]!) ||
        row['number'] !== 0 - record[r]! ||
        row['same'] !== 'one' ||
        row['none'] !== null ||
        row['again'] !== text(record[rowCount - 1 - r]!),
    );
    expect([rows.length, wrong]).toEqual([rowCount, -1]);
  }
});

test('no rows at all still name the columns, and the same columns give the same bytes', async () => {
  const columns: readonly ParquetColumn[] = [
    { kind: 'doubles', name: 'w', numbers: new Float64Array(0) },
    { kind: 'coded', name: 't', type: 'TIMESTAMP', values: distinctNumbers(new BigInt64Array(0)), codes: new Int32Array(0) },
  ];
  const { file, types, rows } = await roundTrip(columns, 0);
  expect(types).toEqual([
    { name: 'w', type: 'DOUBLE' },
    { name: 't', type: 'TIMESTAMP' },
  ]);
  expect(rows).toEqual([]);
  const again = await roundTrip(columns, 0);
  expect(readFileSync(again.file).equals(readFileSync(file))).toBe(true);
});

test('several threads write the same bytes as one, and the same group after group', async () => {
  const rowCount = 420_000;
  const of = Int32Array.from({ length: rowCount }, (_, row) => ((row * 7919) % 90_001) - 1);
  const values = distinctTexts(Array.from({ length: 90_000 }, (_, value) => `value ${value}`));
  const columns: readonly ParquetColumn[] = [
    { kind: 'doubles', name: 'weight', numbers: Float64Array.from(of, (code) => code / 7) },
    ...Array.from({ length: 9 }, (_, c) => ({ kind: 'coded', name: `c${c}`, type: 'VARCHAR', values, codes: of }) as const),
  ];
  const bytes = async (threads: number) => {
    const file = join(folder, `${threads}-threads.parquet`);
    await writeParquetColumns(file, { columns, rowCount, groupRows: 100_000 }, { threads });
    return readFileSync(file);
  };
  const one = await bytes(1);
  expect((await bytes(3)).equals(one)).toBe(true);
});

test('a place that cannot be written is the system’s fault, said by its code', async () => {
  await expect(writeParquetColumns(join(folder, 'no', 'where'), { columns: [], rowCount: 0, groupRows: 1 })).rejects.toMatchObject({
    code: 'ENOENT',
  });
});
