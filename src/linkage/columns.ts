// Columns that the kernel reads as numbers, lists, arrays and places: from DuckDB into arrays that workers share.
//
// DuckDB reads and computes; what depends on one record alone (a sine, a sum of squares, a code) is made here once. Numbers are read in the
// arithmetic in which DuckDB would subtract them: doubles; singles for FLOAT; whole numbers of 1/10^s for DECIMAL(w, s), so that
// 0.4 - 0.3 <= 0.1 holds for decimals and not for doubles, as it does there; days for DATE.

import { quote } from '../sql/duckdb.ts';
import { type Dictionary, type Encoder, shared, sqlFault } from './encode.ts';
import type { Points } from './geo.ts';
import type { Lists } from './lists.ts';
import { columnsOf } from './sql-text.ts';
import { sumSquares, type Vectors } from './vectors.ts';

/** How DuckDB subtracts two expressions. */
export type Arithmetic = { readonly isSingle: boolean; readonly scale: number; readonly isDate: boolean };

/** The arithmetic of `left - right`. */
export async function arithmeticOf(encoder: Encoder, left: string, right: string): Promise<Arithmetic> {
  const [row] = await trying(left, () =>
    encoder.db.rows<{ own: string; gap: string }>(
      `select typeof(${left}) as own, typeof((${left}) - (${right})) as gap from ${encoder.table} limit 1`,
    ),
  );
  const { own, gap } = row!;
  const decimals = gap.match(/^DECIMAL\(\d+,(\d+)\)$/)?.[1] ?? '0';
  return { isSingle: gap === 'FLOAT', scale: 10 ** Number(decimals), isDate: own === 'DATE' };
}

/** A numeric expression over one record in units of 1/`scale`: NaN for missing, infinite for what is not a number, which is near to nothing either. */
export async function readNumbers(encoder: Encoder, expression: string, { isSingle, scale, isDate }: Arithmetic): Promise<Float64Array> {
  const plain = isDate ? `date_diff('day', date '1970-01-01', ${expression})` : expression;
  const inArithmetic = isSingle ? Math.fround : scale === 1 ? (value: number) => value : (value: number) => Math.round(value * scale);
  const read = async (place: string, from: string, into: Float64Array): Promise<Float64Array> => {
    const { p, v } = await trying(expression, () =>
      encoder.db.columns<{ p: Int32Array; v: Float64Array }>(
        `select p, case when isnan(v) then 'infinity'::double else v end as v from (select ${place} as p, cast(${plain} as double) as v from ${from})`,
      ),
    );
    for (let n = 0; n < p.length; n++) into[p[n]!] = inArithmetic(v[n]!);
    return into;
  };
  const values = doubles(encoder.recordCount);
  const texts = await codedText(encoder, expression);
  if (!texts) return read('__row', encoder.table, values);
  // Once for each text, the last place for a missing one.
  const { column, codes, valueCount, dictionary } = texts;
  const distinct = `(select v as ${quote(column)}, code from ${dictionary.table} union all select null, ${valueCount})`;
  const byCode = await read('code', distinct, new Float64Array(valueCount + 1));
  for (let record = 0; record < values.length; record++) values[record] = byCode[codes[record]! < 0 ? valueCount : codes[record]!]!;
  return values;
}

/** The one text column that an expression reads, where its values have codes and occur several times each. */
async function codedText(encoder: Encoder, expression: string) {
  const [column, another] = columnsOf(expression);
  if (column === undefined || another !== undefined) return undefined;
  const known = encoder.known(quote(column));
  if (!known || known.dictionary.expressions.length > 1 || 2 * known.valueCount > encoder.recordCount) return undefined;
  const type = await encoder.db.value<string>(`select typeof(${quote(column)}) from ${encoder.table} limit 1`);
  return type === 'VARCHAR' ? { column, ...known } : undefined;
}

/**
 * A condition over one record: 1 true, 0 false, NaN unknown. Unknown too where it cannot be evaluated: in SQL an earlier level may keep such
 * records from it.
 */
export function readTruths(encoder: Encoder, expression: string): Promise<Float64Array> {
  return readNumbers(encoder, `cast(try(${expression}) as boolean)`, { isSingle: false, scale: 1, isDate: false });
}

/** Two columns of lists over one dictionary of their values (the same column twice: read once); `use` may read the dictionary before it goes. */
export async function readLists<T>(
  encoder: Encoder,
  { left, right, name }: { readonly left: string; readonly right: string; readonly name: string },
  use: (dictionary: Dictionary) => Promise<T>,
): Promise<{ readonly left: Lists; readonly right: Lists; readonly used: T }> {
  const { db, table: records } = encoder;
  const table = `${records}_${name}`;
  const expressions = left === right ? [left] : [left, right];
  const all = expressions.map((one) => `select unnest(${one}) as v from ${records}`).join(' union all ');
  await trying(left, () =>
    db.run(
      `create or replace temp table ${table} as select v, (row_number() over (order by v) - 1)::integer as code
       from (select distinct v from (${all}) where v is not null)`,
    ),
  );
  try {
    const [one, two] = [await readRuns(encoder, table, left), left === right ? undefined : await readRuns(encoder, table, right)];
    const valueCount = await db.value<number>(`select count(*) from ${table}`);
    return { left: one, right: two ?? one, used: await use({ table, valueCount, expressions }) };
  } finally {
    await db.run(`drop table ${table}`);
  }
}

async function readRuns(encoder: Encoder, dictionary: string, expression: string): Promise<Lists> {
  const { db, table, recordCount } = encoder;
  const lengths = await readLengths(encoder, expression);
  const { r, c } = await trying(expression, () =>
    db.columns<{ r: Int32Array; c: Int32Array }>(
      `select distinct r, code as c from (select __row as r, unnest(${expression}) as v from ${table}) one
       join ${dictionary} d on one.v is not distinct from d.v order by r, c`,
    ),
  );
  const [items, starts, bits] = [shared(r.length), shared(recordCount + 1), shared(recordCount)];
  for (let n = 0; n < r.length; n++) {
    items[n] = c[n]!;
    starts[r[n]! + 1]! += 1;
    bits[r[n]!]! |= 1 << (c[n]! & 31);
  }
  for (let record = 0; record < recordCount; record++) starts[record + 1]! += starts[record]!;
  return { items, starts, lengths, bits };
}

/** How many values each list holds, nulls and repetitions counted; -1 for a missing list. */
async function readLengths({ db, table, recordCount }: Encoder, expression: string): Promise<Int32Array> {
  const { r, n } = await trying(expression, () =>
    db.columns<{ r: Int32Array; n: Int32Array }>(`select __row as r, coalesce(len(${expression}), -1)::integer as n from ${table}`),
  );
  const lengths = shared(recordCount);
  for (let i = 0; i < r.length; i++) lengths[r[i]!] = n[i]!;
  return lengths;
}

/** A column of arrays of numbers. */
export async function readVectors(encoder: Encoder, expression: string): Promise<Vectors> {
  const { db, table, recordCount } = encoder;
  const lengths = await readLengths(encoder, expression);
  const starts = shared(recordCount + 1);
  for (let record = 0; record < recordCount; record++) starts[record + 1] = starts[record]! + Math.max(0, lengths[record]!);
  const values = doubles(starts[recordCount]!);
  const { r, v } = await trying(expression, () =>
    db.columns<{ r: Int32Array; v: Float64Array }>(`select __row as r, cast(unnest(${expression}) as double) as v from ${table}`),
  );
  // The values of one record follow one another; records come in any order.
  for (let n = 0, at = 0; n < r.length; n++) {
    at = n > 0 && r[n] === r[n - 1] ? at + 1 : starts[r[n]!]!;
    values[at] = v[n]!;
  }
  const type = await db.value<string>(`select typeof(${expression}) from ${table} limit 1`);
  const vectors = { values, starts, isSingle: type.startsWith('FLOAT') };
  return { ...vectors, squares: sumSquares(vectors, (record) => lengths[record]! < 0) };
}

/** Places from a latitude and a longitude in degrees. */
export async function readPoints(encoder: Encoder, latitude: string, longitude: string): Promise<Points> {
  const { db, table, recordCount } = encoder;
  const { isSingle, scale } = await arithmeticOf(encoder, longitude, longitude);
  const read = await trying(`${latitude}, ${longitude}`, () =>
    db.columns<{ r: Int32Array; s: Float64Array; c: Float64Array; e: Float64Array }>(
      `select __row as r, case when (${latitude}) is null or (${longitude}) is null then 2 else sin(radians(${latitude})) end as s,
         cos(radians(${latitude})) as c, cast(${longitude} as double) as e from ${table}`,
    ),
  );
  const [sin, cos, east] = [doubles(recordCount), doubles(recordCount), doubles(recordCount)];
  for (let n = 0; n < read.r.length; n++) {
    const record = read.r[n]!;
    sin[record] = read.s[n]!;
    cos[record] = read.c[n]!;
    east[record] = scale === 1 ? read.e[n]! : Math.round(read.e[n]! * scale);
  }
  return { sin, cos, longitude: east, scale, isSingle };
}

function doubles(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(8 * length));
}

async function trying<T>(expression: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw sqlFault(expression, cause);
  }
}
