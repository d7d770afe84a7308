// CSV as RFC 4180 has it, read without guessing: a header of names, then rows of as many values; a value that holds the separator, a line
// break or a double quote is in double quotes, its own quotes doubled. The separator is the one that is most often in the header. What does
// not fit is refused with its line, for a guess that makes it fit (another separator, a later header) loses records in silence.

import { closeSync, openSync, readSync } from 'node:fs';

import { UserError } from '../../base/errors.ts';
import { type Database, literal } from '../../sql/duckdb.ts';

const separators = [',', ';', '\t', '|'];
/** A header longer than this is no header. */
const headerBytes = 1 << 20;

/**
 * Makes a CSV file a table, every column text, an empty value missing.
 *
 * @throws UserError `input.unreadable`: the line and what is wrong with it, never what it holds
 */
export async function loadCsv(db: Database, file: string, table: string): Promise<void> {
  const { names, separator } = readHeader(file);
  const twice = names.find((name, n) => names.some((other, m) => m < n && other.toLowerCase() === name.toLowerCase()));
  if (twice !== undefined) throw fault(file, `column named twice: ${twice}`);
  const columns = names.map((name) => `${literal(name)}: 'VARCHAR'`).join(', ');
  const format = `auto_detect = false, header = true, delim = ${literal(separator)}, quote = '"', escape = '"'`;
  try {
    await db.run(`create or replace table ${table} as from read_csv(${literal(file)}, ${format}, columns = {${columns}})`);
  } catch (cause) {
    throw fault(file, explain((cause as Error).message, names.length), cause);
  }
}

/** Names of the columns and what stands between them, from the first line. */
function readHeader(file: string): { readonly names: readonly string[]; readonly separator: string } {
  const bytes = Buffer.alloc(headerBytes);
  const handle = openSync(file, 'r');
  let size = 0;
  try {
    size = readSync(handle, bytes, 0, headerBytes, 0);
  } catch (cause) {
    throw fault(file, (cause as NodeJS.ErrnoException).code === 'EISDIR' ? 'it is a folder' : 'the system refuses', cause);
  } finally {
    closeSync(handle);
  }
  const text = bytes.toString('utf8', 0, size).replace(/^\uFEFF/, '');
  const line = /^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(text)![0];
  if (line.trim() === '') throw fault(file, 'it is empty: the first line names the columns');
  const counts = separators.map((separator) => fields(line, separator).length);
  const separator = separators[counts.indexOf(Math.max(...counts))]!;
  const names = fields(line, separator).map((name, n) => name || `column${n + 1}`);
  return { names, separator };
}

function fields(line: string, separator: string): string[] {
  const mark = separator === '|' ? '\\|' : separator;
  const field = new RegExp(`${mark}(?:"((?:[^"]|"")*)"|([^${mark}]*))`, 'g');
  return [...`${separator}${line}`.matchAll(field)].map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare!.trim());
}

/** DuckDB's complaint without the values it quotes: they may be patient data. */
function explain(message: string, expected: number): string {
  const line = message.match(/CSV Error on Line: (\d+)/)?.[1];
  const found = message.match(/Expected Number of Columns: \d+ Found: (\d+)/)?.[1];
  const what =
    found !== undefined
      ? `${Number(found) > expected ? 'more columns than' : `${found} columns, but`} the header's ${expected}`
      : message.includes('unterminated quote')
        ? 'a value in double quotes that does not end; a quote inside is written twice'
        : message.includes('not utf-8')
          ? 'not UTF-8; save the file as UTF-8'
          : 'not CSV as RFC 4180 has it: one kind of line end, values with quotes or separators in double quotes';
  return line ? `line ${line}: ${what}` : what;
}

function fault(file: string, text: string, cause?: unknown): UserError {
  return new UserError('input.unreadable', `input: cannot be read: ${file}: ${text}`, { cause });
}
