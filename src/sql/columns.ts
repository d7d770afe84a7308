import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';

/**
 * Sees that a table has the columns asked for, whatever their case, as DuckDB finds them.
 *
 * @param options.part who asks, first in the message: `cluster`
 * @param options.file where the table is from
 * @param options.hint more to say, after the nearest name
 * @throws UserError with the given code: the first column that is missing, and the nearest name or all there are
 */
export function requireColumns(
  wanted: readonly string[],
  names: readonly string[],
  { part, code, file, hint }: { readonly part: string; readonly code: string; readonly file?: string; readonly hint?: string },
): void {
  const known = new Set(names.map((name) => name.toLowerCase()));
  const missing = wanted.find((name) => !known.has(name.toLowerCase()));
  if (missing === undefined) return;
  const near = nearest(missing, names);
  const help = `${near ? `did you mean ${near}?` : `table has: ${some(names)}`}${hint ? `${near ? '' : ';'} ${hint}` : ''}`;
  throw new UserError(code, `${part}: column not found: ${missing}${file ? ` in ${file}` : ''}; ${help}`);
}

function some(names: readonly string[]): string {
  return names.length <= 12 ? names.join(', ') : `${names.slice(0, 10).join(', ')} and ${names.length - 10} more`;
}
