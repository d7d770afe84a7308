// The few structures of a Parquet file that a writer of flat tables needs, as bytes: page headers and the footer.
//
// Both are Thrift structs in the compact protocol: a field is a byte of (step from the last field's number, type), then its value; whole numbers
// are zigzag varints; a struct ends with 0. Numbers and names of the fields are those of parquet.thrift.
//
// Worked case: field 1 of a struct, an i32 of 3: 0x15 (step 1, type 5), 0x06 (3 in zigzag); 0x00 ends the struct.
// Source: Apache Parquet format 2.10 (parquet.thrift, Encodings.md); Apache Thrift, compact protocol.

/** Types of columns, by DuckDB's names: how a value is stored, and what says that it is, say, a date. */
const columnTypes = {
  VARCHAR: { physical: 6, converted: 0 },
  DOUBLE: { physical: 5 },
  FLOAT: { physical: 4 },
  TINYINT: { physical: 1, converted: 15 },
  SMALLINT: { physical: 1, converted: 16 },
  INTEGER: { physical: 1, converted: 17 },
  BIGINT: { physical: 2, converted: 18 },
  DATE: { physical: 1, converted: 6 },
  TIMESTAMP: { physical: 2, converted: 10 },
} as const satisfies Readonly<Record<string, { readonly physical: number; readonly converted?: number }>>;

export type ParquetType = keyof typeof columnTypes;

/** True for the types this writer knows. */
export function isParquetType(type: string): type is ParquetType {
  return type in columnTypes;
}

export const codecs = { gzip: 2, zstd: 6 } as const;
export const encodings = { plain: 0, rle: 3, rleDictionary: 8 } as const;

/** A page's content before and after compression. */
export type PageSizes = { readonly values: number; readonly size: number; readonly compressed: number };

/** What the footer says of one column of one row group. */
export type ChunkPlace = {
  readonly dictionaryAt?: number;
  readonly dataAt: number;
  readonly values: number;
  readonly nulls: number;
  /** Bytes of both pages with their headers. */
  readonly size: number;
  readonly compressed: number;
};

export function dictionaryHeader({ values, size, compressed }: PageSizes): Uint8Array {
  return struct([1, i32(2)], [2, i32(size)], [3, i32(compressed)], [7, nested([1, i32(values)], [2, i32(encodings.plain)])]);
}

export function dataHeader({ values, size, compressed }: PageSizes, encoding: number): Uint8Array {
  const { rle } = encodings;
  const page = nested([1, i32(values)], [2, i32(encoding)], [3, i32(rle)], [4, i32(rle)]);
  return struct([1, i32(0)], [2, i32(size)], [3, i32(compressed)], [5, page]);
}

export type Footer = {
  readonly columns: readonly { readonly name: string; readonly type: ParquetType }[];
  readonly groups: readonly { readonly rows: number; readonly chunks: readonly ChunkPlace[] }[];
  readonly codec: number;
};

export function fileMetadata({ columns, groups, codec }: Footer): Uint8Array {
  const root = [
    [4, text('root')],
    [5, i32(columns.length)],
  ] as const;
  const leaves = columns.map(({ name, type }) => {
    const { physical, ...rest } = columnTypes[type];
    const converted = 'converted' in rest ? [[6, i32(rest.converted)] as const] : [];
    // Without it a time would be taken for one in UTC: micros, not adjusted.
    const logical = type === 'TIMESTAMP' ? [[10, nested([8, nested([1, no], [2, nested([2, nested()])])])] as const] : [];
    return nested([1, i32(physical)], [3, i32(1)], [4, text(name)], ...converted, ...logical);
  });
  const rows = groups.reduce((sum, group) => sum + group.rows, 0);
  const rowGroups = groups.map(({ rows, chunks }) => {
    const size = chunks.reduce((sum, chunk) => sum + chunk.size, 0);
    const described = chunks.map((chunk, c) => columnChunk(columns[c]!, chunk, codec));
    return nested([1, list(described)], [2, i64(size)], [3, i64(rows)]);
  });
  return struct([1, i32(1)], [2, list([nested(...root), ...leaves])], [3, i64(rows)], [4, list(rowGroups)], [6, text('clinfuse')]);
}

function columnChunk(
  { name, type }: Footer['columns'][number],
  { dictionaryAt, dataAt, values, nulls, size, compressed }: ChunkPlace,
  codec: number,
): Value {
  const used = dictionaryAt === undefined ? [encodings.plain, encodings.rle] : [encodings.plain, encodings.rle, encodings.rleDictionary];
  const dictionary = dictionaryAt === undefined ? [] : [[11, i64(dictionaryAt)] as const];
  const metadata = nested(
    [1, i32(columnTypes[type].physical)],
    [2, list(used.map(i32))],
    [3, list([text(name)])],
    [4, i32(codec)],
    [5, i64(values)],
    [6, i64(size)],
    [7, i64(compressed)],
    [9, i64(dataAt)],
    ...dictionary,
    [12, nested([3, i64(nulls)])],
  );
  return nested([2, i64(dictionaryAt ?? dataAt)], [3, metadata]);
}

/** A value with its type's number, written when asked to. */
type Value = { readonly type: number; readonly write: (bytes: number[]) => void };
type Field = readonly [id: number, value: Value];

const no: Value = { type: 2, write: () => {} };
const i32 = (value: number): Value => ({ type: 5, write: (bytes) => varint(bytes, 2 * value) });
const i64 = (value: number): Value => ({ type: 6, write: (bytes) => varint(bytes, 2 * value) });
const text = (value: string): Value => ({
  type: 8,
  write: (bytes) => {
    const utf8 = new TextEncoder().encode(value);
    varint(bytes, utf8.length);
    for (const byte of utf8) bytes.push(byte);
  },
});
const list = (items: readonly Value[]): Value => ({
  type: 9,
  write: (bytes) => {
    const type = items[0]?.type ?? 12;
    if (items.length < 15) bytes.push((items.length << 4) | type);
    else {
      bytes.push(0xf0 | type);
      varint(bytes, items.length);
    }
    for (const item of items) item.write(bytes);
  },
});
const nested = (...fields: readonly Field[]): Value => ({
  type: 12,
  write: (bytes) => {
    let last = 0;
    for (const [id, value] of fields) {
      bytes.push(((id - last) << 4) | value.type);
      value.write(bytes);
      last = id;
    }
    bytes.push(0);
  },
});

function struct(...fields: readonly Field[]): Uint8Array {
  const bytes: number[] = [];
  nested(...fields).write(bytes);
  return Uint8Array.from(bytes);
}

/** Seven bits a byte, lowest first, whole numbers below 2^53; nothing written here is negative, so zigzag is twice the value. */
function varint(bytes: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
}
