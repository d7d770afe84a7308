// The only file that knows @duckdb/node-api. Everything above sees a `Database`: run SQL, read rows or typed columns, append typed columns.

import {
  BOOLEAN,
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBType,
  type DuckDBValue,
  FLOAT,
  INTEGER,
  TINYINT,
  VARCHAR,
} from '@duckdb/node-api';

import { UserError } from '../base/errors.ts';
import { temporaryFolder } from '../base/files.ts';

/** One column read whole: numbers as typed arrays (a missing DOUBLE is NaN), text with null for missing. */
export type Column =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | (string | null)[];

/** Rows of a row group in the Parquet files written here. */
const rowGroupRows = 122_880;

/** Rows that cross the border at once: DuckDB's vector size. */
const chunkRows = 2048;

const duckdbTypes = { BOOLEAN, DOUBLE, FLOAT, INTEGER, TINYINT, VARCHAR };
type ColumnType = keyof typeof duckdbTypes;
/** A column to append. `missing` marks rows to be written as null. */
export type NewColumn = {
  readonly type: ColumnType;
  readonly values: ArrayLike<number | string | boolean | null>;
  readonly missing?: (row: number) => boolean;
};

export type DatabaseOptions = {
  /** Threads DuckDB may use; all cores by default. */
  readonly threads?: number | undefined;
  /** Memory DuckDB may hold before it spills to a scratch folder, which goes when the database is closed. */
  readonly memoryMb?: number;
};

/** An in-memory DuckDB. Close it, or let `await using` do so. */
export class Database implements AsyncDisposable {
  private readonly instance: DuckDBInstance;
  private readonly connection: DuckDBConnection;
  /** Gives back what the database owns besides its connection; a second connection owns nothing. */
  private readonly release: () => void;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, release: () => void) {
    this.instance = instance;
    this.connection = connection;
    this.release = release;
  }

  static async open({ threads, memoryMb }: DatabaseOptions = {}): Promise<Database> {
    const spill = memoryMb ? temporaryFolder() : undefined;
    const instance = await DuckDBInstance.create(':memory:', {
      // Output order is part of what we promise (file order decides the clinical summary's text).
      preserve_insertion_order: 'true',
      ...(threads ? { threads: String(threads) } : {}),
      ...(spill ? { memory_limit: `${memoryMb}MB`, temp_directory: spill.path } : {}),
    });
    const release = () => {
      instance.closeSync();
      spill?.remove();
    };
    return new Database(instance, await connected(instance), release);
  }

  /** A second connection to the same tables, whose queries run beside this one's. Temporary tables and variables are each one's own. */
  async connect(): Promise<Database> {
    return new Database(this.instance, await connected(this.instance), () => {});
  }

  close(): void {
    this.connection.closeSync();
    this.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** Runs one statement (or several, separated by semicolons, when there are no parameters). */
  async run(sql: string, parameters?: readonly DuckDBValue[]): Promise<void> {
    await reading(() => this.connection.run(sql, parameters ? [...parameters] : undefined));
  }

  /** Reads a small result as objects; whole numbers within 2^53 as numbers, dates and timestamps as text. */
  async rows<T extends object>(sql: string, parameters?: readonly DuckDBValue[]): Promise<T[]> {
    const reader = await reading(() => this.connection.runAndReadAll(sql, parameters ? [...parameters] : undefined));
    return reader.convertRowObjects((value, type, convert) => plain(value, type, convert as never)) as T[];
  }

  /** The single value of a one-row, one-column result. */
  async value<T>(sql: string, parameters?: readonly DuckDBValue[]): Promise<T> {
    const [row] = await this.rows<Record<string, T>>(sql, parameters);
    return Object.values(row!)[0]!;
  }

  /**
   * Reads a large result column by column, without an object per row.
   *
   * @throws Error when a whole-number column holds a null: say in SQL (coalesce) what missing shall be
   */
  async columns<T extends Record<string, Column>>(sql: string): Promise<T> {
    const parts: T[] = [];
    const names = await this.eachChunk<T>(sql, (columns) => parts.push(columns));
    return Object.fromEntries(names.map((name) => [name, join(parts.map((part) => part[name]!))])) as T;
  }

  /** Reads a large result as `columns` does, some thousand rows at a time. Returns the columns' names. */
  async eachChunk<T extends Record<string, Column>>(sql: string, visit: (columns: T) => void): Promise<readonly string[]> {
    const result = await reading(() => this.connection.stream(sql));
    const names = result.columnNames();
    const next = () => reading(() => result.fetchChunk());
    let coming = next();
    try {
      for (let chunk = await coming; chunk && chunk.rowCount > 0; chunk = await coming) {
        const read = chunk;
        // The database works on the next ones while this one is looked at.
        coming = next();
        visit(Object.fromEntries(names.map((name, c) => [name, readVector(read, c, name)])) as T);
      }
    } finally {
      await Promise.allSettled([coming]);
    }
    return names;
  }

  /** Creates (or replaces) a table from columns of equal length. */
  async createTable(name: string, columns: Readonly<Record<string, NewColumn>>): Promise<void> {
    const entries = Object.entries(columns);
    const declared = entries.map(([column, { type }]) => `${quote(column)} ${type}`).join(', ');
    await this.run(`create or replace table ${quote(name)} (${declared})`);
    const rowCount = entries[0]?.[1].values.length ?? 0;
    const columnTypes = entries.map(([, { type }]) => duckdbTypes[type]);
    const appender = await this.connection.createAppender(name);
    // One chunk for all: each holds memory that no one gives back before JavaScript next collects its garbage.
    const chunk = DuckDBDataChunk.create(columnTypes);
    for (let from = 0; from < rowCount; from += chunkRows) {
      const size = Math.min(chunkRows, rowCount - from);
      chunk.reset();
      chunk.rowCount = size;
      entries.forEach(([, column], c) => {
        writeVector(chunk, c, column, from, size);
      });
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
  }

  /**
   * Writes a query's rows, in its order, as Parquet: the same rows give the same bytes.
   *
   * One thread writes. With several, DuckDB cuts row groups where the faster one happens to be.
   */
  async writeParquet(query: string, file: string, { groupRows = rowGroupRows }: { readonly groupRows?: number } = {}): Promise<void> {
    const threads = await this.value<number>("select current_setting('threads')::integer");
    await this.run('set threads = 1');
    try {
      await this.run(`copy (${query}) to ${literal(file)} (format parquet, compression zstd, row_group_size ${groupRows})`);
    } finally {
      await this.run(`set threads = ${threads}`);
    }
  }

  /** Column names and types of a table, view or query source. */
  async describe(source: string): Promise<{ readonly name: string; readonly type: string }[]> {
    const rows = await this.rows<{ column_name: string; column_type: string }>(`describe select * from ${source}`);
    return rows.map((row) => ({ name: row.column_name, type: row.column_type }));
  }
}

/** What DuckDB may have ready of a streamed result. With its own megabyte its threads wait for the reader more than they work. */
const streamBufferMb = 32;

async function connected(instance: DuckDBInstance): Promise<DuckDBConnection> {
  const connection = await instance.connect();
  await connection.run(`set streaming_buffer_size = '${streamBufferMb}MB'`);
  return connection;
}

/** An identifier as SQL: quoted, inner quotes doubled. */
export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** A text as an SQL literal. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Runs reading work and turns DuckDB's complaint into one line that names the file. For the edge where users' files are read. */
export async function readingFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const first = (cause as Error).message.split('\n').find((line) => line.trim()) ?? 'unknown fault';
    throw new UserError('input.unreadable', `input: cannot be read: ${file}: ${first.trim()}`, { cause });
  }
}

/** A file that turns out to be damaged when its rows are read, long after it was opened, is the user's to mend. */
async function reading<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const found = (cause as Error).message.match(/Failed to read file "([^"]+)": ([^\n]+)/);
    if (!found) throw cause;
    throw new UserError('input.unreadable', `input: cannot be read: ${found[1]}: it is damaged: ${found[2]}`, { cause });
  }
}

function plain(
  value: DuckDBValue,
  type: DuckDBType,
  convert: (value: DuckDBValue, type: DuckDBType, converter: never) => unknown,
): unknown {
  if (value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === 'object' && 'items' in value && Array.isArray(value.items)) {
    return value.items.map((item: DuckDBValue) => plain(item, type, convert));
  }
  return String(value);
}

function writeVector(chunk: DuckDBDataChunk, column: number, { values, missing }: NewColumn, from: number, size: number): void {
  const vector = chunk.getColumnVector(column) as unknown as {
    readonly items: unknown;
    readonly validity: { readonly setItemValid: (row: number, isValid: boolean) => void };
    readonly flush: () => void;
  };
  const { items } = vector;
  if (ArrayBuffer.isView(values) && (items instanceof Int32Array || items instanceof Int8Array || items instanceof Float64Array)) {
    for (let i = 0; i < size; i++) items[i] = values[from + i] as number;
    if (missing) for (let i = 0; i < size; i++) if (missing(from + i)) vector.validity.setItemValid(i, false);
    vector.flush();
    return;
  }
  const part: DuckDBValue[] = new Array(size);
  for (let i = 0; i < size; i++) part[i] = missing?.(from + i) ? null : values[from + i]!;
  chunk.setColumnValues(column, part);
}

function readVector(chunk: DuckDBDataChunk, column: number, name: string): Column {
  const vector = chunk.getColumnVector(column);
  const items = (vector as { items?: unknown }).items;
  if (!ArrayBuffer.isView(items) || items instanceof DataView)
    return chunk.getColumnValues(column).map((value) => (value === null ? null : String(value)));
  const copy = (items as Float64Array).slice(0, chunk.rowCount);
  const validity = (vector as unknown as { validity: { itemValid: (row: number) => boolean } }).validity;
  const isFloat = copy instanceof Float64Array || (copy as unknown) instanceof Float32Array;
  for (let i = 0; i < copy.length; i++) {
    if (validity.itemValid(i)) continue;
    if (!isFloat) throw new Error(`sql: null in a whole-number column: ${name}; coalesce it`);
    copy[i] = Number.NaN;
  }
  return copy;
}

function join(parts: readonly Column[]): Column {
  const [first] = parts;
  if (first === undefined || Array.isArray(first)) return (parts as (string | null)[][]).flat();
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new (first.constructor as new (length: number) => Float64Array)(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part as Float64Array, at);
    at += part.length;
  }
  return whole;
}
