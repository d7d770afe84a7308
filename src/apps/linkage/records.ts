import { basename, extname } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { type LinkageSettings, settingsColumns } from '../../linkage/settings.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, literal, quote } from '../../sql/duckdb.ts';
import { loadTable } from './input.ts';

/** The table that holds the records to link. */
export const peopleTable = 'people';

type FileTable = {
  readonly file: string;
  readonly table: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
};

/**
 * Reads the files to link into one table, a source each, as the settings' link type wants them.
 *
 * @param log is told of columns that some file lacks
 * @throws UserError `linkage.source` for files or sources that do not fit the link type, `linkage.column`, `input.*`
 */
export async function loadSources(
  db: Database,
  files: readonly string[],
  settings: LinkageSettings,
  log: (line: string) => void = () => {},
): Promise<void> {
  const { linkType, uniqueId, source } = settings;
  if (linkType === 'dedupe_only') {
    if (files.length > 1)
      throw sourceFault(`dedupe_only takes one file: ${files.length} given; set link_type to link_only or link_and_dedupe`);
    await loadTable(db, files[0]!, peopleTable);
    await refuseEmpty(db, files);
    return;
  }
  const tables = await loadFiles(db, files, source);
  for (const { file, columns } of tables) {
    const names = columns.map(({ name }) => name);
    const hint = tables.length === 1 ? 'or give a file for each source' : undefined;
    const needed = tables.length === 1 ? [uniqueId, source!] : [uniqueId];
    requireColumns(needed, names, { part: 'linkage', code: 'linkage.column', file, ...(hint ? { hint } : {}) });
  }
  await refuseEmpty(db, files);
  for (const line of absentColumns(tables, settings)) log(line);
  const [counts] = await db.rows<{ records: number; nameless: number; sources: number }>(
    `select count(*) as records, count(*) - count(${quote(source!)}) as nameless, count(distinct ${quote(source!)}) as sources from ${peopleTable}`,
  );
  const { records, nameless, sources } = counts!;
  if (nameless > 0) throw sourceFault(`source missing in ${nameless} of ${records} rows: ${source}; every record needs one`);
  if (linkType === 'link_only' && sources === 1) {
    throw sourceFault(`link_only joins records of different sources, and ${source} holds one; add a file, or set link_type to dedupe_only`);
  }
}

async function refuseEmpty(db: Database, files: readonly string[]): Promise<void> {
  if ((await db.value<boolean>(`select count(*) = 0 from ${peopleTable}`)) === false) return;
  throw new UserError('linkage.empty', `linkage: no rows: ${files.join(', ')}; nothing to link`);
}

/**
 * Reads files into the table of records: columns are united by name, and a column that is text (or of another kind) in one file is text in
 * all. Where several files lack the source column, it holds the name of each row's file without its extension.
 */
export async function loadFiles(db: Database, files: readonly string[], source: string | undefined): Promise<readonly FileTable[]> {
  const tables: FileTable[] = [];
  for (const [n, file] of files.entries()) {
    const table = files.length === 1 ? peopleTable : `${peopleTable}_${n}`;
    await loadTable(db, file, table);
    tables.push({ file, table, columns: await db.describe(table) });
  }
  if (tables.length === 1) return tables;
  const texts = textColumns(tables);
  const names = source === undefined ? undefined : sourceNames(tables, source);
  const selects = tables.map(({ table, columns }, n) => {
    const list = columns.map(({ name }) =>
      texts.has(name.toLowerCase()) ? `cast(${quote(name)} as varchar) as ${quote(name)}` : quote(name),
    );
    return `select ${[...list, ...(names ? [`${literal(names[n]!)} as ${quote(source!)}`] : [])].join(', ')} from ${table}`;
  });
  await db.run(`create or replace view ${peopleTable} as ${selects.join(' union all by name ')}`);
  return tables;
}

/** Columns (in lower case) whose types in the files are of different kinds: a ZIP code that is text anywhere is text everywhere. */
function textColumns(tables: readonly FileTable[]): ReadonlySet<string> {
  const kinds = new Map<string, Set<string>>();
  for (const { columns } of tables) {
    for (const { name, type } of columns) {
      const kind = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)$/.test(type)
        ? 'number'
        : /^(DATE|TIMESTAMP.*)$/.test(type)
          ? 'date'
          : type;
      kinds.set(name.toLowerCase(), (kinds.get(name.toLowerCase()) ?? new Set()).add(kind));
    }
  }
  return new Set([...kinds].flatMap(([name, found]) => (found.size > 1 ? [name] : [])));
}

/** Names of the sources after their files; nothing when the files bring the column. */
function sourceNames(tables: readonly FileTable[], source: string): string[] | undefined {
  const lacking = tables.filter(({ columns }) => !columns.some(({ name }) => name.toLowerCase() === source.toLowerCase()));
  if (lacking.length === 0) return undefined;
  if (lacking.length < tables.length) {
    throw sourceFault(`source column in some files only: ${source} is missing in ${lacking[0]!.file}; have it in all or in none`);
  }
  const names = tables.map(({ file }) => basename(file, extname(file)));
  const twice = names.find((name, n) => names.indexOf(name) < n);
  if (twice !== undefined) throw sourceFault(`two files named ${twice}: the name is the source's; rename one, or add a ${source} column`);
  return names;
}

/** A line for each column of the settings that only some files have. */
function absentColumns(tables: readonly FileTable[], settings: LinkageSettings): string[] {
  const holds = ({ columns }: FileTable, wanted: string) => columns.some(({ name }) => name.toLowerCase() === wanted.toLowerCase());
  return [...new Set(settingsColumns(settings))]
    .filter((name) => name !== settings.source && tables.some((one) => holds(one, name)))
    .flatMap((name) =>
      tables.filter((one) => !holds(one, name)).map(({ file }) => `linkage: ${file} has no column ${name}: missing for all its records`),
    );
}

function sourceFault(text: string): UserError {
  return new UserError('linkage.source', `linkage: ${text}`);
}
