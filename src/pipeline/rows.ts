// A plots file as rows of named values: CSV, TSV, or the lists of like maps in a JSON or YAML file.
// Source of the rules: DVC, dvc/repo/plots/__init__.py (parse) and dvc/render/converter/vega.py (get_datapoints).

import { extname } from 'node:path';

import { UserError } from '../base/errors.ts';
import { compareCodePoints } from '../base/text.ts';
import type { ParameterValue } from './lock-entry.ts';
import { parseValues } from './value-file.ts';
import { isList, isMapping, type ValueMap } from './values.ts';

export type Row = ReadonlyMap<string, ParameterValue>;

/** Rows, and the column that is drawn when none is named: the last one. */
export type Rows = { readonly rows: readonly Row[]; readonly lastColumn: string | undefined };

/**
 * The rows of a plots file.
 *
 * @param options.header whether a CSV or TSV begins with names; else its columns are 0, 1, ...
 * @throws UserError `pipeline.plot`
 */
export function rowsOf(bytes: Uint8Array, name: string, { header = true }: { readonly header?: boolean } = {}): Rows {
  const kind = extname(name).toLowerCase();
  if (kind === '.csv' || kind === '.tsv')
    return separated(new TextDecoder().decode(bytes), { separator: kind === '.csv' ? ',' : '\t', header });
  if (!['.json', '.yaml', '.yml'].includes(kind)) {
    throw new UserError('pipeline.plot', `pipeline: not a plots file: ${name}; write CSV, TSV, JSON or YAML`);
  }
  const lists = listsIn(parseValues(bytes, name));
  const first = lists.find((list) => list.every(isMapping))?.[0];
  const rows: Map<string, ParameterValue>[] = [];
  for (const list of lists.filter(isTable)) {
    list.forEach((row, at) => {
      rows[at] ??= new Map();
      for (const [key, value] of row) rows[at].set(String(key), value);
    });
  }
  return { rows, lastColumn: isMapping(first) ? [...first.keys()].map(String).at(-1) : undefined };
}

function listsIn(value: ParameterValue): readonly (readonly ParameterValue[])[] {
  if (isList(value)) return [value];
  return isMapping(value) ? [...value.values()].flatMap(listsIn) : [];
}

/** Whether all elements are maps with the same keys. */
function isTable(list: readonly ParameterValue[]): list is readonly ValueMap[] {
  const keysOf = (row: ValueMap) => [...row.keys()].map(String).sort(compareCodePoints).join('\u0000');
  return list.length > 0 && list.every(isMapping) && new Set((list as readonly ValueMap[]).map(keysOf)).size === 1;
}

function separated(text: string, { separator, header }: { readonly separator: string; readonly header: boolean }): Rows {
  const records = recordsOf(text.replace(/^\uFEFF/, ''), separator);
  const names = header ? (records[0] ?? []) : (records[0] ?? []).map((_, at) => String(at));
  const rows = records.slice(header ? 1 : 0).map((fields) => new Map(names.map((name, at) => [name, fields[at] ?? null])));
  return { rows, lastColumn: names.at(-1) };
}

/** Fields of each line; quotes may hold separators, line ends and doubled quotes. Empty lines are no records. */
function recordsOf(text: string, separator: string): string[][] {
  const field = new RegExp(`("(?:[^"]|"")*"?|[^${separator}\\r\\n]*)(${separator}|\\r?\\n|\\r|$)`, 'g');
  const records: string[][] = [];
  let record: string[] = [];
  for (const [all, written, end] of text.matchAll(field)) {
    if (all === '' && record.length === 0) break;
    record.push(written!.startsWith('"') ? written!.slice(1, -1).replaceAll('""', '"') : written!);
    if (end === separator) continue;
    if (record.length > 1 || record[0] !== '') records.push(record);
    record = [];
    if (end === '') break;
  }
  return records;
}
