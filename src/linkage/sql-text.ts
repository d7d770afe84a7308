// Just enough reading of SQL expressions to know which columns they name, and on which side of a pair.
//
// An expression over one record is written with bare columns: `substr(first_name, 1, 3)`. Over a pair, Splink marks the side in the
// name (`first_name_l`, levels) or by a prefix (`l.first_name`, blocking rules). `parseTokens` splits the text; a word is a column unless
// it is a keyword, is called as a function or names a type after AS. All else is passed through, so DuckDB remains the judge of what is valid SQL.

import { UserError } from '../base/errors.ts';
import { quote } from '../sql/duckdb.ts';

export type Token = { readonly kind: 'column' | 'word' | 'text' | 'number' | 'symbol'; readonly text: string; readonly table?: string };

/** Which record of the pair an expression reads: the left, the right, neither or both. */
export type Side = 'left' | 'right' | 'none' | 'both';

const keywords = new Set(
  'and or not null is case when then else end in like ilike between as true false distinct from cast try_cast interval escape similar to collate'.split(
    ' ',
  ),
);
const pattern =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|(?<text>'(?:[^']|'')*')|(?<quoted>"(?:[^"]|"")*")|(?<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|(?<symbol><>|!=|>=|<=|==|\|\||::|->>|->|[-+*/%(),.<>=[\]{}:^&|~?!;])/uy;

/**
 * Splits an SQL expression.
 *
 * @throws UserError `linkage.sql` for a character that SQL does not know, or an unclosed quote
 */
export function parseTokens(sql: string): Token[] {
  const raw: { kind: 'quoted' | 'word' | 'text' | 'number' | 'symbol'; text: string }[] = [];
  pattern.lastIndex = 0;
  while (pattern.lastIndex < sql.length) {
    const at = pattern.lastIndex;
    const found = pattern.exec(sql);
    if (found === null)
      throw new UserError('linkage.sql', `linkage: sql cannot be read: ${oneLine(sql)}; at ${oneLine(sql.slice(at, at + 20))}`);
    const [entry] = Object.entries(found.groups!).filter(([, text]) => text !== undefined);
    if (entry) raw.push({ kind: entry[0] as 'word', text: entry[1]! });
  }
  const tokens: Token[] = [];
  for (let i = 0; i < raw.length; i++) {
    const { kind, text } = raw[i]!;
    if (kind !== 'word' && kind !== 'quoted') {
      tokens.push({ kind, text });
      continue;
    }
    const name = kind === 'quoted' ? text.slice(1, -1).replaceAll('""', '"') : text;
    const after = raw[i + 2];
    if (raw[i + 1]?.text === '.' && (after?.kind === 'word' || after?.kind === 'quoted')) {
      const column = after.kind === 'quoted' ? after.text.slice(1, -1).replaceAll('""', '"') : after.text;
      tokens.push({ kind: 'column', text: column, table: name });
      i += 2;
      continue;
    }
    // `x::date`, `cast(x as date)` and `date '2020-01-31'` name a type; `date` alone may be a column.
    const isType = raw[i - 1]?.text === '::' || raw[i - 1]?.text.toLowerCase() === 'as' || raw[i + 1]?.kind === 'text';
    const isWord = kind === 'word' && (keywords.has(text.toLowerCase()) || raw[i + 1]?.text === '(' || isType);
    tokens.push(isWord ? { kind: 'word', text } : { kind: 'column', text: name });
  }
  return tokens;
}

/** Writes tokens as SQL, the same for every spelling of spaces, quotes and keyword case. */
export function writeTokens(tokens: readonly Token[]): string {
  let sql = '';
  let before = '';
  for (const { kind, text, table } of tokens) {
    const written = kind === 'column' ? (table ? `${table}.${quote(text)}` : quote(text)) : kind === 'word' ? text.toLowerCase() : text;
    const tight =
      sql === '' ||
      /^[),\].:]/.test(written) ||
      /[([.:]$/.test(before) ||
      (written === '(' && /^[a-z_]\w*$/.test(before) && !logical.has(before));
    sql += tight ? written : ` ${written}`;
    before = written;
  }
  return sql;
}
const logical = new Set(['and', 'or', 'not', 'in', 'is', 'then', 'when', 'else', 'case', 'between', 'like']);

/** One spelling for each expression over a record, so that equal expressions are the same text. */
export function normaliseExpression(expression: string): string {
  return writeTokens(parseTokens(expression));
}

/** Columns an expression over one record reads, each once. */
export function columnsOf(expression: string): string[] {
  return [...new Set(parseTokens(expression).flatMap(({ kind, text }) => (kind === 'column' ? [text] : [])))];
}

/** Columns a condition over a pair reads, without their side, each once. A name without a side is none: in `x -> x = name_l` it is a parameter. */
export function pairColumnsOf(sql: string): string[] {
  const columns = parseTokens(sql).filter((token) => token.kind === 'column' && sideOf(token) !== 'both');
  return [...new Set(columns.map((token) => stripSide(token).text))];
}

/** An expression over one record as one over the pair: `first_name` becomes `"first_name_l"`. */
export function withSuffix(expression: string, side: 'l' | 'r'): string {
  return writeTokens(
    parseTokens(expression).map((token) => (token.kind === 'column' ? { ...token, text: `${token.text}_${side}` } : token)),
  );
}

/** An expression over one record read from an aliased table: `first_name` becomes `l."first_name"`. */
export function withTable(expression: string, table: string): string {
  return writeTokens(parseTokens(expression).map((token) => (token.kind === 'column' ? { ...token, table } : token)));
}

/** Takes the side marks off: which side all columns are on, and the expression over one record. */
export function splitSide(tokens: readonly Token[]): { readonly side: Side; readonly expression: string } {
  const sides = new Set<Side>();
  const bare = tokens.map((token) => {
    if (token.kind !== 'column') return token;
    sides.add(sideOf(token));
    return stripSide(token);
  });
  const side = sides.size === 0 ? 'none' : sides.size > 1 ? 'both' : [...sides][0]!;
  return { side, expression: writeTokens(bare) };
}

function sideOf({ text, table }: Token): Side {
  if (table !== undefined) return table.toLowerCase() === 'l' ? 'left' : table.toLowerCase() === 'r' ? 'right' : 'both';
  return /_l$/i.test(text) ? 'left' : /_r$/i.test(text) ? 'right' : 'both';
}

function stripSide(token: Token): Token {
  if (token.table !== undefined) return { kind: 'column', text: token.text };
  return { kind: 'column', text: token.text.replace(/_[lr]$/i, '') };
}

/** A piece of SQL short enough for one line of a message. */
export function oneLine(sql: string): string {
  const line = sql.replace(/\s+/g, ' ').trim();
  return line.length > 80 ? `${line.slice(0, 77)}...` : line;
}
