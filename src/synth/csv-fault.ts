// DuckDB's complaint about a CSV file in one line of ours. Its own text quotes the faulty row, which holds patient data, so only
// the line number, the column and the kind of fault are taken from it.

import { UserError } from '../base/errors.ts';

/** The user's words for what is wrong with a CSV file; anything that is no fault of the file's content comes back as it was. */
export function explainCsvFault(file: string, cause: unknown): unknown {
  if (cause instanceof UserError || !(cause instanceof Error)) return cause;
  const text = cause.message;
  if (/No space left|Permission denied|ENOSPC|EACCES|File too large/i.test(text)) return cause;
  const line = /(?:CSV Error on Line|Line): (\d+)/.exec(text)?.[1];
  const place = line ? `${file}, line ${line}` : file;
  const fault = (code: string, words: string) => new UserError(`input.${code}`, `ingest: ${words}`, { cause });

  if (/unicode|utf-?8|encod/i.test(text)) return fault('encoding', `not UTF-8: ${place}; save the file as UTF-8 and run again`);
  const columns = /Expected Number of Columns: (\d+) Found: (\d+)/.exec(text);
  if (columns) {
    return fault('ragged', `row with ${columns[2]} columns instead of ${columns[1]}: ${place}; mend or remove that line`);
  }
  const value = /converting column "([^"]+)"[\s\S]*?to '([A-Z]+)/.exec(text);
  if (value) {
    const [, column, type] = value;
    const wanted = type === 'TIMESTAMP' || type === 'DATE' ? 'a date' : type === 'VARCHAR' ? 'text' : 'a number';
    return fault('value', `not ${wanted}: column ${column} of ${place}; mend that value`);
  }
  if (/quote/i.test(text)) return fault('quote', `unclosed or misplaced quote: ${place}; mend that line`);
  if (/Maximum line size/i.test(text)) return fault('line-size', `line too long: ${place}; a quote is probably unclosed`);
  return fault('unreadable', `cannot be read: ${place}; is it a CSV file written by Synthea?`);
}
