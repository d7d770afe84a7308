import type { ValueChange } from '../../pipeline/figures.ts';
import type { ParameterValue } from '../../pipeline/lock-entry.ts';
import { pythonText } from '../../pipeline/python-text.ts';
import { isList, isMapping } from '../../pipeline/values.ts';
import { textTable } from '../table.ts';

/** Rows under headers; as Markdown with bars between. */
export function table(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  { markdown = false }: { readonly markdown?: boolean } = {},
): string {
  if (!markdown)
    return textTable(
      headers.map((name) => ({ name })),
      rows,
    );
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(headers), line(headers.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A value as a person writes it in YAML, on one line; `-` where there is none. */
export function valueText(value: ParameterValue | undefined): string {
  if (value === undefined) return '-';
  if (isList(value)) return `[${value.map(valueText).join(', ')}]`;
  if (isMapping(value)) return `{${[...value].map(([key, one]) => `${valueText(key)}: ${valueText(one)}`).join(', ')}}`;
  if (value === null || typeof value === 'boolean') return String(value);
  return pythonText(value);
}

/** A figure with five digits, whole ones with all. */
export function figureText(value: ParameterValue | undefined): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return valueText(value);
  return Math.abs(value) >= 1e5 ? String(Math.round(value)) : String(Number(value.toPrecision(5)));
}

/** A value as JSON has it; integers beyond its reach and what is no number as text. */
export function jsonValue(value: ParameterValue): unknown {
  if (isList(value)) return value.map(jsonValue);
  if (isMapping(value)) return Object.fromEntries([...value].map(([key, one]) => [String(key), jsonValue(one)]));
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  return typeof value === 'number' && !Number.isFinite(value) ? pythonText(value) : value;
}

/** Changes as `dvc ... diff --json` nests them: file, key, then `old`, `new` and for numbers `diff`. */
export function jsonChanges(changes: readonly ValueChange[]): unknown {
  const files: Record<string, Record<string, unknown>> = {};
  for (const { file, key, old = null, new: now = null, change } of changes) {
    files[file] ??= {};
    files[file][key] = { old: jsonValue(old), new: jsonValue(now), ...(change === undefined ? {} : { diff: jsonValue(change) }) };
  }
  return files;
}
