// Columns as whole numbers.
//
// Idea: DuckDB reads and standardises; each distinct value gets a code (which one does not matter; -1 for missing), so that the kernel compares numbers.
// Expressions that are compared with one another share one dictionary. Records are numbered by their unique id's order (for link types by
// source and id, as Splink orders them), so every result is the same however the rows came.
//
// Worked case: last_name Ng, Li, null, Ng over records 0..3 gives values [Ng, Li], codes [0, 1, -1, 0].
// Cost: one hash join per expression; text crosses the border once per distinct value.

import { allAtRest } from '../base/all-at-rest.ts';
import { UserError } from '../base/errors.ts';
import { type Database, quote } from '../sql/duckdb.ts';
import { type Condition, conditionExpressions, type LinkageSettings } from './settings.ts';
import { normaliseExpression, oneLine } from './sql-text.ts';
import type { ByteTable } from './strings.ts';

/** Codes of one expression: `codes[record]`, -1 for missing; `valueCount` codes in its dictionary. */
export type Codes = { readonly codes: Int32Array; readonly valueCount: number; readonly dictionary: Dictionary };

/** The distinct values that one or more expressions take, kept in a table of the database. */
export type Dictionary = { readonly table: string; readonly valueCount: number; readonly expressions: readonly string[] };

/** What tells records apart, and what is compared. */
type Named = Pick<LinkageSettings, 'linkType' | 'uniqueId' | 'source' | 'comparisons'>;

let opened = 0;

/** The records of one table, numbered, with their columns encoded on demand. A resource: it holds tables in the database. */
export class Encoder {
  readonly db: Database;
  readonly recordCount: number;
  /** View of the numbered records: the input's columns and `__row`. */
  readonly table: string;
  private readonly groups: ReadonlyMap<string, readonly string[]>;
  private readonly dictionaries = new Map<string, Dictionary>();
  private readonly encoded = new Map<string, Codes>();
  private readonly bytes = new Map<string, Promise<ByteTable>>();
  /** A second connection: what it is asked runs beside the first's queries, and beside work of this thread. */
  private side: Database | undefined;

  private constructor(db: Database, table: string, recordCount: number, settings: Named) {
    this.db = db;
    this.table = table;
    this.recordCount = recordCount;
    this.groups = comparedTogether(settings);
  }

  /**
   * @param kept the source's columns that are kept; all by default
   * @throws UserError `linkage.ids`
   */
  static async open(db: Database, source: string, settings: Named, kept?: readonly string[]): Promise<Encoder> {
    const scope = recordName(settings.uniqueId, settings.linkType === 'dedupe_only' ? undefined : settings.source!);
    const { all, isOrdered } = await refuseUnnamed(db, source, settings.uniqueId, scope);
    opened += 1;
    const table = `__linkage_${opened}`;
    // Rows lie in the order they were sorted in, so their place is their number.
    const columns = kept ? kept.map(quote).join(', ') : '*';
    const order = isOrdered ? '' : `order by ${scope}`;
    await db.run(`create or replace table ${table}_rows as select ${columns} from ${source} ${order}`);
    await db.run(`create or replace view ${table} as select *, rowid::integer as __row from ${table}_rows`);
    return new Encoder(db, table, all, settings);
  }

  async close(): Promise<void> {
    // What is still being read is let finish.
    await Promise.allSettled(this.bytes.values());
    this.side?.close();
    for (const { table } of this.dictionaries.values()) await this.db.run(`drop table if exists ${table}`);
    await this.db.run(`drop view if exists ${this.table}`);
    await this.db.run(`drop table if exists ${this.table}_rows`);
  }

  /** Codes of an expression over one record. */
  async codes(expression: string): Promise<Codes> {
    const key = normaliseExpression(expression);
    if (!this.encoded.has(key)) await this.encode([key]);
    return this.encoded.get(key)!;
  }

  /** Codes of an expression that was encoded before. */
  known(expression: string): Codes | undefined {
    return this.encoded.get(normaliseExpression(expression));
  }

  /** Encodes expressions together, where `codes` would take one after the other. */
  async encode(expressions: readonly string[]): Promise<void> {
    const keys = [...new Set(expressions.map(normaliseExpression))].filter((key) => !this.encoded.has(key));
    if (keys.length === 0) return;
    // Numbering values leaves half of a small machine idle, as does reading codes: two connections take half of either.
    const lanes = keys.length > 1 ? [this.db, await this.beside()] : [this.db];
    const inLanes = async <T>(items: readonly T[], work: (db: Database, own: readonly T[]) => Promise<void>) => {
      const own = (lane: number) => items.filter((_, i) => i % lanes.length === lane);
      await allAtRest(lanes.map((db, lane) => work(db, own(lane))));
    };
    const names = [...new Set(keys.map((key) => this.dictionaryName(key)))].filter((name) => !this.dictionaries.has(name));
    const places = new Map(names.map((name, i) => [name, this.dictionaries.size + i]));
    await inLanes(names, async (db, own) => {
      for (const name of own) this.dictionaries.set(name, await this.makeDictionary(db, name, places.get(name)!));
    });
    await inLanes(keys, (db, own) => this.readCodes(db, own));
  }

  /** Codes of some expressions whose dictionaries are made, in one pass over the records. */
  private async readCodes(db: Database, keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const dictionaries = keys.map((key) => this.dictionaries.get(this.dictionaryName(key))!);
    // Under names that no column of the records has.
    const joins = dictionaries.map(
      ({ table }, i) => `left join (select v as __v${i}, code as __c${i} from ${table}) on __v${i} = cast(${keys[i]!} as varchar)`,
    );
    const codes = dictionaries.map((_, i) => `coalesce(__c${i}, -1)::integer as c${i}`);
    const made = keys.map(() => shared(this.recordCount));
    await this.trying(keys.join(', '), () =>
      db.eachChunk<Record<string, Int32Array>>(
        `select __row as r, ${codes.join(', ')} from ${this.table} ${joins.join(' ')}`,
        (columns) => {
          const rows = columns.r!;
          made.forEach((list, i) => {
            const found = columns[`c${i}`]!;
            for (let n = 0; n < rows.length; n++) list[rows[n]!] = found[n]!;
          });
        },
      ),
    );
    keys.forEach((key, i) => {
      this.encoded.set(key, { codes: made[i]!, valueCount: dictionaries[i]!.valueCount, dictionary: dictionaries[i]! });
    });
  }

  private async beside(): Promise<Database> {
    this.side ??= await this.db.connect();
    return this.side;
  }

  /** An expression that has a value of its own for each record, as a dictionary whose codes are the records. */
  nameValues(expression: string): Pick<Dictionary, 'table' | 'valueCount'> {
    return { table: `(select cast(${expression} as varchar) as v, __row as code from ${this.table})`, valueCount: this.recordCount };
  }

  /** Begins to read the values of a dictionary, beside all else; `byteTable` then waits for them. */
  readAhead(dictionary: Pick<Dictionary, 'table' | 'valueCount'>): void {
    if (this.bytes.has(dictionary.table)) return;
    const reading = this.db.connect().then(async (own) => {
      try {
        return await this.readBytes(own, dictionary);
      } finally {
        own.close();
      }
    });
    // A fault is told to whoever asks for the values.
    reading.catch(() => {});
    this.bytes.set(dictionary.table, reading);
  }

  /** The values of a dictionary as UTF-8 bytes, in order of their codes. */
  byteTable(dictionary: Pick<Dictionary, 'table' | 'valueCount'>): Promise<ByteTable> {
    const known = this.bytes.get(dictionary.table) ?? this.readBytes(this.db, dictionary);
    this.bytes.set(dictionary.table, known);
    return known;
  }

  private async readBytes(db: Database, { table, valueCount }: Pick<Dictionary, 'table' | 'valueCount'>): Promise<ByteTable> {
    const offsets = new Uint32Array(new SharedArrayBuffer(4 * (valueCount + 1)));
    const { size } = await db.columns<{ size: Int32Array }>(`select strlen(v)::integer as size from ${table} order by code`);
    for (let code = 0; code < valueCount; code++) offsets[code + 1] = offsets[code]! + size[code]!;
    const bytes = new Uint8Array(new SharedArrayBuffer(Math.max(1, offsets[valueCount]!)));
    // Text crosses the border in long pieces: one at a time would cost more than all the rest.
    const { piece } = await db.columns<{ piece: string[] }>(
      `select string_agg(v, '' order by code) as piece from ${table} group by code // 20000 order by code // 20000`,
    );
    const encoder = new TextEncoder();
    let at = 0;
    for (const one of piece) at += encoder.encodeInto(one, bytes.subarray(at)).written;
    return { bytes, offsets };
  }

  /** Expressions that share a dictionary go by the first of them. */
  private dictionaryName(key: string): string {
    return this.groups.get(key)?.[0] ?? key;
  }

  private async makeDictionary(db: Database, name: string, place: number): Promise<Dictionary> {
    const expressions = this.groups.get(name) ?? [name];
    const table = `${this.table}_values_${place}`;
    const distinct = expressions.map((one) => `select cast(${one} as varchar) as v from ${this.table}`).join(' union all ');
    await this.trying(name, () =>
      db.run(
        `create or replace table ${table} as select v, (row_number() over () - 1)::integer as code
         from (select distinct v from (${distinct}) where v is not null)`,
      ),
    );
    return { table, valueCount: await db.value<number>(`select count(*) from ${table}`), expressions };
  }

  /** DuckDB's complaint about the user's SQL as one line, without values: they may be patient data. */
  private async trying<T>(expression: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      throw sqlFault(expression, cause);
    }
  }
}

/** DuckDB's complaint about a piece of the user's SQL as a UserError. Only complaints about the text itself are quoted, never those about data. */
export function sqlFault(sql: string, cause: unknown): UserError {
  const lines = (cause as Error).message.split('\n');
  const ofText = lines.map((line) => line.match(/\b(Parser|Binder|Catalog) Error:.*/)?.[0]).find((line) => line !== undefined);
  const why = ofText ?? `${lines[0]!.split(':')[0]} while it was evaluated`;
  return new UserError('linkage.sql', `linkage: sql fails: ${oneLine(sql)}: ${oneLine(why)}; mend the expression`, { cause });
}

/**
 * Counts the rows, and says whether they come in the order of their names already, as tables often do: then there is nothing to sort.
 *
 * @throws UserError `linkage.ids` for a name that is missing or there twice
 */
async function refuseUnnamed(
  db: Database,
  source: string,
  uniqueId: string,
  scope: string,
): Promise<{ readonly all: number; readonly isOrdered: boolean }> {
  const id = quote(uniqueId);
  const [first] = await db.rows<{ all: number; present: number; rising: number }>(
    `select count(*) as "all", count(id) as present, count(*) filter (name > before) as rising
     from (select ${id} as id, ${scope} as name, lag(${scope}) over () as before from ${source})`,
  );
  const { all, present, rising } = first!;
  if (present < all)
    throw new UserError(
      'linkage.ids',
      `linkage: unique id missing in ${all - present} of ${all} rows: ${uniqueId}; every record needs one`,
    );
  if (rising === all - 1) return { all, isOrdered: true };
  const different = await db.value<number>(`select count(distinct ${scope}) from ${source}`);
  if (different < all)
    throw new UserError(
      'linkage.ids',
      `linkage: unique id not unique: ${uniqueId}: ${all - different} rows repeat another's; make it unique`,
    );
  return { all, isOrdered: false };
}

/** How a record is named among all sources, as SQL; Splink's way where ids repeat from source to source. */
export function recordName(id: string, source: string | undefined): string {
  return source ? `concat(${quote(source)}, '-__-', ${quote(id)})` : quote(id);
}

/** Whole numbers that workers see without a copy. */
export function shared(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * length));
}

type Numbers = Int8Array | Uint8Array | Int32Array | Float64Array;

/** Zeros of the same kind as other numbers, which workers see without a copy. */
export function sharedLike<T extends Numbers>(numbers: T, length: number): T {
  const buffer = new SharedArrayBuffer(numbers.BYTES_PER_ELEMENT * length);
  return new (numbers.constructor as new (buffer: SharedArrayBuffer) => T)(buffer);
}

/** Expressions whose codes must mean the same because some level compares them with one another. */
function comparedTogether({ comparisons }: Named): ReadonlyMap<string, readonly string[]> {
  const parent = new Map<string, string>();
  const find = (key: string): string => {
    const up = parent.get(key);
    return up === undefined || up === key ? key : find(up);
  };
  const visit = (condition: Condition): void => {
    if (condition.kind === 'and' || condition.kind === 'or') condition.conditions.forEach(visit);
    else if (condition.kind === 'not') visit(condition.condition);
    else {
      const keys = conditionExpressions(condition).map(normaliseExpression);
      for (const key of keys) if (!parent.has(key)) parent.set(key, key);
      if (keys.length === 2) parent.set(find(keys[1]!), find(keys[0]!));
    }
  };
  for (const { levels } of comparisons) for (const { condition } of levels) visit(condition);
  const groups = new Map<string, string[]>();
  for (const key of [...parent.keys()].sort()) groups.set(find(key), [...(groups.get(find(key)) ?? []), key]);
  return new Map([...groups.values()].flatMap((group) => group.map((key) => [key, group] as const)));
}
