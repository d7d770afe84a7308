// Level conditions from SQL and back.
//
// `parseCondition` recognises what Splink's library of levels emits, by a small recursive descent over AND, OR, NOT and parentheses:
//
//   "x_l" IS NULL OR "x_r" IS NULL                              null
//   f(x)_l = g(y)_r                                             exact (other when the two differ)
//   jaro_winkler_similarity(x_l, x_r) >= t, jaro_similarity     jaroWinkler, jaro
//   levenshtein(x_l, x_r) <= k, damerau_levenshtein             levenshtein, damerauLevenshtein
//   ABS(x_l - x_r) <= t, also of EPOCH(...)                     difference
//
// Anything else is kept word for word as kind `sql`. A worked case: `("a_l" = "b_r") AND (NOT ("c_l" = "c_r"))` becomes
// and(exact(a, other b), not(exact(c))).

import type { Condition } from './settings.ts';
import { parseTokens, splitSide, type Token, withSuffix } from './sql-text.ts';

/** Reads one level's SQL condition. */
export function parseCondition(sql: string): Condition {
  if (sql.trim().toLowerCase() === 'else') return { kind: 'else' };
  const tokens = parseTokens(sql);
  const parsed = parseOr(tokens, 0);
  return parsed !== undefined && parsed.next === tokens.length ? parsed.condition : { kind: 'sql', sql: sql.trim() };
}

/** Writes a condition as Splink's library would, over `<column>_l` and `<column>_r`. */
export function conditionSql(condition: Condition): string {
  switch (condition.kind) {
    case 'else':
      return 'ELSE';
    case 'sql':
      return condition.sql;
    case 'null':
      return `${withSuffix(condition.column, 'l')} IS NULL OR ${withSuffix(condition.column, 'r')} IS NULL`;
    case 'and':
    case 'or':
      return condition.conditions.map((part) => `(${conditionSql(part)})`).join(condition.kind === 'and' ? ' AND ' : ' OR ');
    case 'not':
      return `NOT (${conditionSql(condition.condition)})`;
  }
  const left = withSuffix(condition.column, 'l');
  const right = withSuffix(condition.other ?? condition.column, 'r');
  switch (condition.kind) {
    case 'exact':
      return `${left} = ${right}`;
    case 'difference':
      return `ABS(${left} - ${right}) <= ${condition.atMost}`;
    case 'jaro':
    case 'jaroWinkler':
      return `${functionNames[condition.kind]}(${left}, ${right}) >= ${condition.atLeast}`;
    case 'levenshtein':
    case 'damerauLevenshtein':
      return `${functionNames[condition.kind]}(${left}, ${right}) <= ${condition.atMost}`;
  }
}

const functionNames = {
  jaroWinkler: 'jaro_winkler_similarity',
  jaro: 'jaro_similarity',
  levenshtein: 'levenshtein',
  damerauLevenshtein: 'damerau_levenshtein',
} as const;
const kindOfFunction = new Map(Object.entries(functionNames).map(([kind, name]) => [name as string, kind as keyof typeof functionNames]));

type Parsed = { readonly condition: Condition; readonly next: number };

function parseOr(tokens: readonly Token[], at: number): Parsed | undefined {
  const parts = parseList(tokens, at, 'or', parseAnd);
  if (parts === undefined) return undefined;
  return { condition: joinOr(parts.conditions), next: parts.next };
}

function parseAnd(tokens: readonly Token[], at: number): Parsed | undefined {
  const parts = parseList(tokens, at, 'and', parseNot);
  if (parts === undefined) return undefined;
  const [first, second] = parts.conditions;
  return { condition: second ? { kind: 'and', conditions: parts.conditions } : first!, next: parts.next };
}

function parseList(tokens: readonly Token[], at: number, word: string, part: (tokens: readonly Token[], at: number) => Parsed | undefined) {
  const conditions: Condition[] = [];
  for (let next = at; ; next += 1) {
    const parsed = part(tokens, next);
    if (parsed === undefined) return undefined;
    conditions.push(parsed.condition);
    next = parsed.next;
    if (!isWord(tokens[next], word)) return { conditions, next };
  }
}

/** `x_l IS NULL OR x_r IS NULL` is one null condition; other halves stay apart and have no rule in the kernel. */
function joinOr(conditions: readonly Condition[]): Condition {
  const joined: Condition[] = [];
  for (let i = 0; i < conditions.length; i++) {
    const one = halfNull(conditions[i]!);
    const two = conditions[i + 1] && halfNull(conditions[i + 1]!);
    if (one && two && one.expression === two.expression && one.side !== two.side) {
      joined.push({ kind: 'null', column: one.expression });
      i += 1;
    } else joined.push(conditions[i]!);
  }
  return joined.length === 1 ? joined[0]! : { kind: 'or', conditions: joined };
}

const halfNulls = new WeakMap<Condition, { readonly side: 'left' | 'right'; readonly expression: string }>();
const halfNull = (condition: Condition) => halfNulls.get(condition);

function parseNot(tokens: readonly Token[], at: number): Parsed | undefined {
  if (isWord(tokens[at], 'not')) {
    const parsed = parseNot(tokens, at + 1);
    return parsed && { condition: { kind: 'not', condition: parsed.condition }, next: parsed.next };
  }
  if (tokens[at]?.text === '(') {
    const inner = parseOr(tokens, at + 1);
    const after = inner && tokens[inner.next + 1];
    const closes = inner && tokens[inner.next]?.text === ')';
    if (closes && (after === undefined || after.text === ')' || isWord(after, 'and') || isWord(after, 'or'))) {
      return { condition: inner.condition, next: inner.next + 1 };
    }
  }
  return parseComparison(tokens, at);
}

function parseComparison(tokens: readonly Token[], at: number): Parsed | undefined {
  const leftUntil = operandEnd(tokens, at);
  const operator = tokens[leftUntil];
  if (leftUntil === at || operator === undefined) return undefined;
  const left = tokens.slice(at, leftUntil);
  if (isWord(operator, 'is')) {
    if (!isWord(tokens[leftUntil + 1], 'null')) return undefined;
    const { side, expression } = splitSide(left);
    if (side !== 'left' && side !== 'right') return undefined;
    const condition: Condition = { kind: 'sql', sql: `${withSuffix(expression, side === 'left' ? 'l' : 'r')} IS NULL` };
    halfNulls.set(condition, { side, expression });
    return { condition, next: leftUntil + 2 };
  }
  const rightFrom = leftUntil + 1;
  const next = operandEnd(tokens, rightFrom);
  const right = tokens.slice(rightFrom, next);
  const condition = right.length === 0 ? undefined : recognise(left, operator.text, right);
  return condition && { condition, next };
}

/** Where an operand ends: at the next operator, AND, OR, comma or closing bracket outside brackets and CASE. */
function operandEnd(tokens: readonly Token[], from: number): number {
  let depth = 0;
  let at = from;
  for (; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (token.text === '(' || token.text === '[' || isWord(token, 'case')) depth += 1;
    else if (token.text === ')' || token.text === ']' || isWord(token, 'end')) {
      if (depth === 0) break;
      depth -= 1;
    } else if (
      depth === 0 &&
      (/^(=|==|>=|<=|<|>|<>|!=|,)$/.test(token.text) || ['and', 'or', 'is', 'in', 'like', 'between'].some((word) => isWord(token, word)))
    )
      break;
  }
  return at;
}

function recognise(left: readonly Token[], operator: string, right: readonly Token[]): Condition | undefined {
  if (operator === '=' || operator === '==') {
    const sides = twoSided(left, right);
    return sides && { kind: 'exact', ...sides };
  }
  const limit = right.length === 1 && right[0]!.kind === 'number' ? Number(right[0]!.text) : Number.NaN;
  const call = left[1]?.text === '(' && left.at(-1)!.text === ')' ? left[0]!.text.toLowerCase() : '';
  const inside = left.slice(2, -1);
  if (Number.isNaN(limit) || call === '') return undefined;
  const kind = kindOfFunction.get(call);
  const sides = splitAt(inside, call === 'abs' ? '-' : ',');
  if (sides === undefined) return undefined;
  if ((kind === 'jaroWinkler' || kind === 'jaro') && operator === '>=') return { kind, ...sides, atLeast: limit };
  if ((kind === 'levenshtein' || kind === 'damerauLevenshtein') && operator === '<=') return { kind, ...sides, atMost: limit };
  return call === 'abs' && operator === '<=' ? { kind: 'difference', ...sides, atMost: limit } : undefined;
}

/** The two operands around the only such symbol outside brackets, when one is on the left record and one on the right. */
function splitAt(tokens: readonly Token[], symbol: string) {
  let depth = 0;
  const places = tokens.flatMap(({ text }, at) => {
    if (text === '(') depth += 1;
    if (text === ')') depth -= 1;
    return depth === 0 && text === symbol ? [at] : [];
  });
  return places.length === 1 ? twoSided(tokens.slice(0, places[0]), tokens.slice(places[0]! + 1)) : undefined;
}

function twoSided(one: readonly Token[], two: readonly Token[]): { readonly column: string; readonly other?: string } | undefined {
  const [a, b] = [splitSide(one), splitSide(two)];
  if (a.side === 'left' && b.side === 'right')
    return a.expression === b.expression ? { column: a.expression } : { column: a.expression, other: b.expression };
  if (a.side === 'right' && b.side === 'left')
    return a.expression === b.expression ? { column: a.expression } : { column: b.expression, other: a.expression };
  return undefined;
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toLowerCase() === word;
}
