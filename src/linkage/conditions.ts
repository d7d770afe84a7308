// Level conditions from SQL and back.
//
// `parseCondition` reads what Splink's library of levels emits: a small recursive descent over AND, OR, NOT and parentheses, down to the
// comparisons that `recognise` (level-shapes.ts) knows by their shape, and to conditions over one record of the pair alone:
//
//   "x_l" IS NULL OR "x_r" IS NULL                              null
//   "gender_l" = 'F', length(x_r) < 2, x_l IS NULL              holds, on the left or on the right record
//
// Anything else is kept word for word as kind `sql`. A worked case: `("a_l" = "b_r") AND (NOT ("c_l" = "c_r"))` becomes
// and(exact(a, other b), not(exact(c))).

import { listsLongEnough, recognise, shapeSql } from './level-shapes.ts';
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
    case 'holds':
      return withSuffix(condition.column, condition.side === 'left' ? 'l' : 'r');
    case 'and':
    case 'or':
      return condition.conditions.map((part) => `(${conditionSql(part)})`).join(condition.kind === 'and' ? ' AND ' : ' OR ');
    case 'not':
      return `NOT (${conditionSql(condition.condition)})`;
    default:
      return shapeSql(condition);
  }
}

type Parsed = { readonly condition: Condition; readonly next: number };

function parseOr(tokens: readonly Token[], at: number): Parsed | undefined {
  const parts = parseList(tokens, at, 'or', parseAnd);
  return parts && { condition: joined('or', parts.conditions, bothNull), next: parts.next };
}

function parseAnd(tokens: readonly Token[], at: number): Parsed | undefined {
  const parts = parseList(tokens, at, 'and', parseNot);
  return parts && { condition: joined('and', parts.conditions, subsetOfSome), next: parts.next };
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

/** Neighbours that are one condition together become it. */
function joined(
  kind: 'and' | 'or',
  conditions: readonly Condition[],
  pair: (one: Condition, two: Condition) => Condition | undefined,
): Condition {
  const parts: Condition[] = [];
  for (let i = 0; i < conditions.length; i++) {
    const whole = i + 1 < conditions.length ? pair(conditions[i]!, conditions[i + 1]!) : undefined;
    parts.push(whole ?? conditions[i]!);
    if (whole) i += 1;
  }
  return parts.length === 1 ? parts[0]! : { kind, conditions: parts };
}

/** `x_l IS NULL OR x_r IS NULL` is one null condition. */
function bothNull(one: Condition, two: Condition): Condition | undefined {
  const isNull = / is null$/;
  if (one.kind !== 'holds' || two.kind !== 'holds' || one.side === two.side || one.column !== two.column) return undefined;
  return isNull.test(one.column) ? { kind: 'null', column: one.column.replace(isNull, '') } : undefined;
}

/** `neither list is empty AND one is part of the other` is one condition. */
function subsetOfSome(one: Condition, two: Condition): Condition | undefined {
  const lists = listsLongEnough.get(one);
  if (lists === undefined || two.kind !== 'arraySubset' || lists.column !== two.column || lists.other !== two.other) return undefined;
  const { emptyIsSubset: _, ...subset } = two;
  return subset;
}

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

/** One comparison without AND and OR: by its shape, or as a condition over one record. */
function parseComparison(tokens: readonly Token[], at: number): Parsed | undefined {
  const next = endOf(tokens, at, (token) => isWord(token, 'and') || isWord(token, 'or'));
  const whole = tokens.slice(at, next);
  if (whole.length === 0) return undefined;
  const { side, expression } = splitSide(whole);
  if (side === 'left' || side === 'right') return { condition: { kind: 'holds', side, column: expression }, next };
  const operator = endOf(whole, 0, bindsLoosely);
  const isOnly = operator < whole.length && endOf(whole, operator + 1, bindsLoosely) === whole.length;
  const condition = isOnly ? recognise(whole.slice(0, operator), whole[operator]!.text, whole.slice(operator + 1)) : undefined;
  return condition && { condition, next };
}

/** Comparison operators: `x = y IS TRUE` is not a comparison of x with `y IS TRUE`. */
function bindsLoosely({ kind, text }: Token): boolean {
  if (kind === 'word') return /^(is|not|in|like|ilike|between|similar|escape)$/i.test(text);
  return kind === 'symbol' && /^(=|==|>=|<=|<|>|<>|!=)$/.test(text);
}

/** The first place outside brackets and CASE where such a token stands, a bracket closes that was not opened, or the tokens end. */
function endOf(tokens: readonly Token[], from: number, isEnd: (token: Token) => boolean): number {
  let depth = 0;
  let betweens = 0;
  for (let at = from; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (isWord(token, 'between')) betweens += 1;
    if (token.text === '(' || token.text === '[' || isWord(token, 'case')) depth += 1;
    else if (token.text === ')' || token.text === ']' || isWord(token, 'end')) {
      if (depth === 0) return at;
      depth -= 1;
    } else if (depth === 0 && betweens > 0 && isWord(token, 'and')) betweens -= 1;
    else if (depth === 0 && isEnd(token)) return at;
  }
  return tokens.length;
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toLowerCase() === word;
}
