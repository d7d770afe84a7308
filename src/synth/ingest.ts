// CSV as Synthea writes it -> one typed Parquet file per table.
//
// Every column has the type that records/tables.ts gives it; nothing is guessed. Empty cells are null. Runs of digits are cut out
// of FIRST, LAST and MAIDEN ("Abel832" -> "Abel"), because Synthea appends them and no real name has them. Rows keep their order:
// the clinical summary's text depends on it. Columns we do not know stay, as text, after ours, so that a newer Synthea is read too.

import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { writeFolder } from '../base/files.ts';
import { type Progress, silent } from '../base/progress.ts';
import { type TableName, tableNames, tableSchemas } from '../records/tables.ts';
import { Database, literal, quote } from '../sql/duckdb.ts';
import { explainCsvFault } from './csv-fault.ts';
import { besideEachOther, writeParquet } from './parquet-folder.ts';

export type IngestReport = {
  readonly rows: { readonly [Table in TableName]: number };
  /** Columns that Synthea 3.3.0 does not have; kept as text. Table name first: `patients.NICKNAME`. */
  readonly extraColumns: readonly string[];
};

/** Tables without which nothing can be matched; the others may hold no rows. */
const neverEmpty: readonly TableName[] = ['patients', 'encounters'];
const strippedNames: readonly string[] = ['FIRST', 'LAST', 'MAIDEN'];

/**
 * Turns a folder of Synthea's CSV files into a folder of typed Parquet files. Whole or not at all.
 *
 * @param options.input folder with the 18 `<table>.csv`
 * @param options.output folder for the 18 `<table>.parquet`
 * @throws UserError for a missing table or column, an empty patients or encounters table, a repeated id, a value of the wrong type,
 * a ragged row, or bytes that are not UTF-8: each names the file, and the line where there is one
 */
export async function ingest({
  input,
  output,
  threads,
  progress = silent,
}: {
  readonly input: string;
  readonly output: string;
  readonly threads?: number;
  readonly progress?: Progress;
}): Promise<IngestReport> {
  const sources = tableNames.map((table) => findTable(input, table));
  return writeFolder(output, { names: tableNames.map((table) => `${table}.parquet`), inputs: [input] }, async (folder) => {
    await using db = await Database.open(threads ? { threads } : {});
    const megabytes = (bytes: number) => bytes / 2 ** 20;
    const step = progress.step('ingest', { total: megabytes(sources.reduce((sum, { bytes }) => sum + bytes, 0)), unit: 'MB' });
    const rows: Partial<Record<TableName, number>> = {};
    try {
      // The longest first, so that no thread is left with it at the end.
      const items = [...sources].sort((a, b) => b.bytes - a.bytes);
      await besideEachOther(db, {
        items,
        threads,
        work: async (own, source) => {
          rows[source.table] = await convert(own, source, join(folder, `${source.table}.parquet`));
          step.advance(megabytes(source.bytes));
        },
      });
    } finally {
      step.finish();
    }
    return {
      rows: Object.fromEntries(tableNames.map((table) => [table, rows[table]])) as IngestReport['rows'],
      extraColumns: sources.flatMap(({ table, extra }) => extra.map((column) => `${table}.${column}`)),
    };
  });
}

type Source = {
  readonly table: TableName;
  readonly file: string;
  readonly bytes: number;
  readonly header: readonly string[];
  readonly extra: readonly string[];
};

function findTable(folder: string, table: TableName): Source {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new UserError('input.missing', `ingest: folder not found: ${folder}; name the folder that holds patients.csv`);
  }
  const file = join(folder, `${table}.csv`);
  if (!existsSync(file)) {
    throw new UserError('input.missing-table', `ingest: table missing: ${file}; export all ${tableNames.length} tables from Synthea`);
  }
  const header = readHeader(file);
  const known = tableSchemas[table].map(({ name }) => name);
  const lacking = known.filter((name) => !header.includes(name));
  if (lacking.length > 0) {
    throw new UserError(
      'input.missing-column',
      `ingest: column missing in ${file}: ${lacking.join(', ')}; export with Synthea 3.3.0 or newer`,
    );
  }
  const twice = header.find((name, at) => header.indexOf(name) !== at);
  if (twice !== undefined) throw new UserError('input.column', `ingest: column named twice in ${file}: ${twice}; rename one`);
  return { table, file, bytes: statSync(file).size, header, extra: header.filter((name) => !known.includes(name)) };
}

function readHeader(file: string): readonly string[] {
  const handle = openSync(file, 'r');
  try {
    const start = Buffer.alloc(64 * 1024);
    const text = start
      .subarray(0, readSync(handle, start))
      .toString('utf8')
      .replace(/^\ufeff/, '');
    const line = text.split(/\r?\n/, 1)[0]!;
    if (line.trim() === '') throw new UserError('input.empty', `ingest: file is empty: ${file}; not even a header line`);
    return line.split(',').map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
  } finally {
    closeSync(handle);
  }
}

async function convert(db: Database, { table, file, header, extra }: Source, target: string): Promise<number> {
  const typeOf = new Map(tableSchemas[table].map(({ name, type }) => [name, type]));
  const columns = header.map((name) => `${literal(name)}: ${literal(typeOf.get(name) ?? 'VARCHAR')}`).join(', ');
  const selected = [...typeOf.keys(), ...extra].map((name) =>
    table === 'patients' && strippedNames.includes(name) ? `${withoutDigits(quote(name))} as ${quote(name)}` : quote(name),
  );
  const source = `read_csv(${literal(file)}, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', strict_mode = true, columns = {${columns}})`;
  try {
    await writeParquet(db, `select ${selected.join(', ')} from ${source}`, target);
  } catch (cause) {
    throw explainCsvFault(file, cause);
  }
  const count = await db.value<number>(`select count(*) from read_parquet(${literal(target)})`);
  if (neverEmpty.includes(table)) {
    if (count === 0) throw new UserError('input.empty', `ingest: table has no rows: ${file}; nothing can be matched without it`);
    await refuseRepeatedIds(db, file, target);
  }
  return count;
}

/** Cuts out digits, trims, and makes inner white space one space: `Mary Ann12` and `Mary  Ann` are `Mary Ann`. */
function withoutDigits(column: string): string {
  return `nullif(trim(regexp_replace(regexp_replace(${column}, '[0-9]+', '', 'g'), '\\s+', ' ', 'g')), '')`;
}

async function refuseRepeatedIds(db: Database, file: string, parquet: string): Promise<void> {
  const [bad] = await db.rows<{ missing: number; repeated: number }>(
    `select count(*) - count("Id") as missing, count("Id") - count(distinct "Id") as repeated from read_parquet(${literal(parquet)})`,
  );
  if (bad!.missing > 0) throw new UserError('input.id', `ingest: rows without Id in ${file}: ${bad!.missing}; every row needs one`);
  if (bad!.repeated > 0) {
    throw new UserError('input.duplicate-id', `ingest: repeated Id in ${file}: ${bad!.repeated} rows too many; ids must be unique`);
  }
}
