// Columns as whole numbers.
//
// Idea: DuckDB reads and standardises; each distinct value gets a code (in order of its bytes; -1 for missing), so that the kernel compares numbers.
// Expressions that are compared with one another share one dictionary. Records are numbered by their unique id's order (for link types by
// source and id, as Splink orders them), so every result is the same however the rows came.
//
// Worked case: last_name Ng, Li, null, Ng over records 0..3 gives values [Li, Ng], codes [1, 0, -1, 1].
// Cost: one hash join per expression; text crosses the border once per distinct value.

import { UserError } from '../base/errors.ts';
import { type Database, quote } from '../sql/duckdb.ts';
import { type Condition, conditionExpressions, type LinkageSettings } from './settings.ts';
import { normaliseExpression, oneLine } from './sql-text.ts';
import type { ByteTable } from './strings.ts';

/** Codes of one expression: `codes[record]`, -1 for missing; `valueCount` codes in its dictionary. */
export type Codes = { readonly codes: Int32Array; readonly valueCount: number; readonly dictionary: Dictionary };

/** The distinct values that one or more expressions take, kept in a table of the database. */
export type Dictionary = { readonly table: string; readonly valueCount: number; readonly expressions: readonly string[] };

let opened = 0;

/** The records of one table, numbered, with their columns encoded on demand. A resource: it holds tables in the database. */
export class Encoder {
  readonly db: Database;
  readonly recordCount: number;
  /** Table of the numbered records: the input's columns and `__row`. */
  readonly table: string;
  private readonly groups: ReadonlyMap<string, readonly string[]>;
  private readonly dictionaries = new Map<string, Dictionary>();
  private readonly encoded = new Map<string, Codes>();
  private readonly bytes = new Map<string, ByteTable>();

  private constructor(db: Database, table: string, recordCount: number, settings: LinkageSettings) {
    this.db = db;
    this.table = table;
    this.recordCount = recordCount;
    this.groups = comparedTogether(settings);
  }

  /** @throws UserError `linkage.empty`, `linkage.ids` */
  static async open(db: Database, source: string, settings: LinkageSettings): Promise<Encoder> {
    const id = quote(settings.uniqueId);
    const scope = settings.linkType === 'dedupe_only' ? id : `concat(${quote(settings.source!)}, '-__-', ${id})`;
    const [counts] = await db.rows<{ all: number; present: number; different: number }>(
      `select count(*) as "all", count(${id}) as present, count(distinct case when ${id} is not null then ${scope} end) as different from ${source}`,
    );
    const { all, present, different } = counts!;
    if (all === 0) throw new UserError('linkage.empty', `linkage: table has no rows: ${source}; nothing to link`);
    if (present < all)
      throw new UserError(
        'linkage.ids',
        `linkage: unique id missing in ${all - present} of ${all} rows: ${settings.uniqueId}; every record needs one`,
      );
    if (different < all)
      throw new UserError(
        'linkage.ids',
        `linkage: unique id not unique: ${settings.uniqueId}: ${all - different} rows repeat another's; make it unique`,
      );
    opened += 1;
    const table = `__linkage_${opened}`;
    await db.run(
      `create or replace temp table ${table} as select *, (row_number() over (order by ${scope}) - 1)::integer as __row from ${source}`,
    );
    return new Encoder(db, table, all, settings);
  }

  async close(): Promise<void> {
    for (const { table } of this.dictionaries.values()) await this.db.run(`drop table if exists ${table}`);
    await this.db.run(`drop table if exists ${this.table}`);
  }

  /** Codes of an expression over one record. */
  async codes(expression: string): Promise<Codes> {
    const key = normaliseExpression(expression);
    const known = this.encoded.get(key);
    if (known) return known;
    const dictionary = await this.dictionary(key);
    const read = await this.trying(key, () =>
      this.db.columns<{ r: Int32Array; c: Int32Array }>(
        `select __row as r, coalesce(d.code, -1)::integer as c from ${this.table} left join ${dictionary.table} d on d.v = cast(${key} as varchar)`,
      ),
    );
    const codes = shared(this.recordCount);
    for (let n = 0; n < read.r.length; n++) codes[read.r[n]!] = read.c[n]!;
    const made = { codes, valueCount: dictionary.valueCount, dictionary };
    this.encoded.set(key, made);
    return made;
  }

  /** The values of a dictionary as UTF-8 bytes, in order of their codes. */
  async byteTable({ table, valueCount }: Dictionary): Promise<ByteTable> {
    const known = this.bytes.get(table);
    if (known) return known;
    const { v } = valueCount ? await this.db.columns<{ v: string[] }>(`select v from ${table} order by code`) : { v: [] };
    const encoder = new TextEncoder();
    let room = new Uint8Array(Math.max(64, 16 * valueCount));
    const offsets = new Uint32Array(new SharedArrayBuffer(4 * (valueCount + 1)));
    let at = 0;
    for (let code = 0; code < valueCount; code++) {
      const value = v[code]!;
      if (room.length - at < 3 * value.length) {
        const wider = new Uint8Array(2 * room.length + 3 * value.length);
        wider.set(room);
        room = wider;
      }
      at += encoder.encodeInto(value, room.subarray(at)).written;
      offsets[code + 1] = at;
    }
    const bytes = new Uint8Array(new SharedArrayBuffer(Math.max(1, at)));
    bytes.set(room.subarray(0, at));
    this.bytes.set(table, { bytes, offsets });
    return { bytes, offsets };
  }

  private async dictionary(key: string): Promise<Dictionary> {
    const expressions = this.groups.get(key) ?? [key];
    const name = expressions[0]!;
    const known = this.dictionaries.get(name);
    if (known) return known;
    const table = `${this.table}_values_${this.dictionaries.size}`;
    const distinct = expressions.map((one) => `select cast(${one} as varchar) as v from ${this.table}`).join(' union all ');
    await this.trying(name, () =>
      this.db.run(
        `create or replace temp table ${table} as select v, (row_number() over (order by v) - 1)::integer as code
         from (select distinct v from (${distinct}) where v is not null)`,
      ),
    );
    const valueCount = await this.db.value<number>(`select count(*) from ${table}`);
    const made = { table, valueCount, expressions };
    this.dictionaries.set(name, made);
    return made;
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

/** Whole numbers that workers see without a copy. */
export function shared(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * length));
}

/** Expressions whose codes must mean the same because some level compares them with one another. */
function comparedTogether({ comparisons }: LinkageSettings): ReadonlyMap<string, readonly string[]> {
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
