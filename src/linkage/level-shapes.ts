// Comparisons of two records by the shape of their SQL, as Splink's library of levels emits them for DuckDB.
//
//   f(x)_l = g(y)_r                                             exact (other when the two differ)
//   jaro_winkler_similarity(x_l, x_r) >= t, jaro_similarity     jaroWinkler, jaro
//   jaccard(x_l, x_r) >= t, array_cosine_similarity             jaccard, cosine
//   levenshtein(x_l, x_r) <= k, damerau_levenshtein             levenshtein, damerauLevenshtein
//   ABS(x_l - x_r) <= t, also of EPOCH(...)                     difference
//   (ABS(x_l - x_r) / (CASE WHEN x_r > x_l ... END)) < t        percentageDifference
//   cast(acos(case ... end) * 6371 as float) <= t               distanceKm
//   array_length(list_intersect(x_l, x_r)) >= n                 arrayIntersect
//   ARRAY_LENGTH(ARRAY_INTERSECT(x_l, x_r)) = LEAST(...)        arraySubset
//   list_max(list_transform(flatten(...)...)) >= t, list_min    pairwise
//
// Long shapes are recognised by writing them: their operands are taken from where they stand in Splink's text, and the text written for them
// must be the text that was read, token by token.

import type { Condition } from './settings.ts';
import { parseTokens, splitSide, type Token, withSuffix } from './sql-text.ts';

/** Conditions that compare one expression of the left record with one of the right. */
export type Shape = Exclude<Condition, { readonly kind: 'else' | 'sql' | 'null' | 'holds' | 'and' | 'or' | 'not' }>;

type Sides = { readonly column: string; readonly other?: string };

const measures = {
  jaroWinkler: 'jaro_winkler_similarity',
  jaro: 'jaro_similarity',
  jaccard: 'jaccard',
  cosine: 'array_cosine_similarity',
  levenshtein: 'levenshtein',
  damerauLevenshtein: 'damerau_levenshtein',
} as const;
const measureOf = new Map(Object.entries(measures).map(([kind, name]) => [name as string, kind as keyof typeof measures]));

/** Writes a shape as Splink's library does. */
export function shapeSql(condition: Shape): string {
  if (condition.kind === 'distanceKm') return `${distanceSql(condition.latitude, condition.longitude)} <= ${condition.atMost}`;
  const left = withSuffix(condition.column, 'l');
  const right = withSuffix(condition.other ?? condition.column, 'r');
  switch (condition.kind) {
    case 'exact':
      return `${left} = ${right}`;
    case 'difference':
      return `ABS(${operand(left)} - ${operand(right)}) <= ${condition.atMost}`;
    case 'percentageDifference':
      return `${percentageSql(left, right)} < ${condition.below}`;
    case 'jaro':
    case 'jaroWinkler':
    case 'jaccard':
    case 'cosine':
      return `${measures[condition.kind]}(${left}, ${right}) >= ${condition.atLeast}`;
    case 'levenshtein':
    case 'damerauLevenshtein':
      return `${measures[condition.kind]}(${left}, ${right}) <= ${condition.atMost}`;
    case 'arrayIntersect':
      return `array_length(list_intersect(${left}, ${right})) >= ${condition.atLeast}`;
    case 'arraySubset': {
      const shorter = `LEAST(ARRAY_LENGTH(${left}), ARRAY_LENGTH(${right}))`;
      return `${condition.emptyIsSubset ? '' : `${shorter} <> 0 AND `}ARRAY_LENGTH(ARRAY_INTERSECT(${left}, ${right})) = ${shorter}`;
    }
    case 'pairwise': {
      const measure = measures[condition.measure];
      return 'atLeast' in condition
        ? `list_max(${pairwiseSql(left, right, measure)}) >= ${condition.atLeast}`
        : `list_min(${pairwiseSql(left, right, measure)}) <= ${condition.atMost}`;
    }
  }
}

/** An expression as one side of a subtraction: in brackets when it holds an operator that does not bind more tightly. */
function operand(sql: string): string {
  return bindsTightly(parseTokens(sql)) ? sql : `(${sql})`;
}

function bindsTightly(tokens: readonly Token[], alsoPlus = false): boolean {
  let depth = 0;
  return tokens.every(({ kind, text }) => {
    const word = kind === 'word' ? text.toLowerCase() : '';
    if (text === '(' || text === '[' || word === 'case') depth += 1;
    else if (text === ')' || text === ']' || word === 'end') depth -= 1;
    else if (depth === 0 && kind === 'symbol') return ['*', '/', '%', '::', '.'].includes(text) || (alsoPlus && text === '+');
    return true;
  });
}

/** The two sides of a subtraction, without brackets around them. `a + b - c + d` is none of `c + d`. */
function subtraction(tokens: readonly Token[]): readonly [readonly Token[], readonly Token[]] | undefined {
  const [one, two, ...more] = splitAt(tokens, '-');
  if (one === undefined || two === undefined || more.length > 0 || !bindsTightly(one, true) || !bindsTightly(two)) return undefined;
  return [unwrapped(one), unwrapped(two)];
}

function unwrapped(tokens: readonly Token[]): readonly Token[] {
  if (tokens[0]?.text !== '(') return tokens;
  let depth = 0;
  const close = tokens.findIndex(({ text }) => (depth += text === '(' ? 1 : text === ')' ? -1 : 0) === 0);
  return close === tokens.length - 1 ? tokens.slice(1, -1) : tokens;
}

function percentageSql(left: string, right: string): string {
  return `(ABS(${operand(left)} - ${operand(right)}) / (CASE WHEN ${right} > ${left} THEN ${right} ELSE ${left} END))`;
}

function pairwiseSql(left: string, right: string, measure: string): string {
  return `list_transform(flatten(list_transform(${left}, x -> list_transform(${right}, y -> [x, y]))), pair -> ${measure}(pair[1], pair[2]))`;
}

function distanceSql(latitude: string, longitude: string): string {
  const [northL, northR] = [withSuffix(latitude, 'l'), withSuffix(latitude, 'r')];
  const [eastL, eastR] = [withSuffix(longitude, 'l'), withSuffix(longitude, 'r')];
  const cosine = `(sin(radians(${northL})) * sin(radians(${northR})) + cos(radians(${northL})) * cos(radians(${northR})) * cos(radians(${operand(eastR)} - ${operand(eastL)})))`;
  return `cast(acos(case when ${cosine} > 1 then 1 when ${cosine} < -1 then -1 else ${cosine} end) * 6371 as float)`;
}

/** The condition a comparison of two operands is, where its shape is known. */
export function recognise(left: readonly Token[], operator: string, right: readonly Token[]): Condition | undefined {
  if (operator === '=' || operator === '==') return asExact(left, right) ?? asSubset(left, right);
  if (operator === '<>' || operator === '!=') return asLongEnough(left, right);
  const limit = right.length === 1 && right[0]!.kind === 'number' ? Number(right[0]!.text) : Number.NaN;
  if (Number.isNaN(limit)) return undefined;
  if (operator === '>=') return asMeasure(left, 'atLeast', limit) ?? asIntersection(left, limit) ?? asPairwise(left, 'atLeast', limit);
  if (operator === '<=')
    return asMeasure(left, 'atMost', limit) ?? asDifference(left, limit) ?? asDistance(left, limit) ?? asPairwise(left, 'atMost', limit);
  return operator === '<' ? asPercentage(left, limit) : undefined;
}

const isSimilarity = (kind: keyof typeof measures) => kind !== 'levenshtein' && kind !== 'damerauLevenshtein';

function asExact(left: readonly Token[], right: readonly Token[]): Condition | undefined {
  const sides = twoSided(left, right);
  return sides && { kind: 'exact', ...sides };
}

function asMeasure(tokens: readonly Token[], bound: 'atLeast' | 'atMost', limit: number): Condition | undefined {
  const { name, operands } = callOf(tokens);
  const kind = measureOf.get(name);
  const sides = operands.length === 2 ? twoSided(operands[0]!, operands[1]!) : undefined;
  if (kind === undefined || sides === undefined || isSimilarity(kind) !== (bound === 'atLeast')) return undefined;
  return { kind, ...sides, [bound]: limit } as Condition;
}

function asDifference(tokens: readonly Token[], atMost: number): Condition | undefined {
  const sides = differenceOf(tokens);
  return sides && { kind: 'difference', ...sides, atMost };
}

/** The two operands of `abs(x - y)`. */
function differenceOf(tokens: readonly Token[]): Sides | undefined {
  const { name, operands } = callOf(tokens);
  const parts = name === 'abs' && operands.length === 1 ? subtraction(operands[0]!) : undefined;
  return parts && twoSided(...parts);
}

function asPercentage(tokens: readonly Token[], below: number): Condition | undefined {
  const [above] = splitAt(tokens.slice(1, -1), '/');
  const sides = above && differenceOf(above);
  if (sides === undefined) return undefined;
  const written = percentageSql(withSuffix(sides.column, 'l'), withSuffix(sides.other ?? sides.column, 'r'));
  return isWritten(tokens, written) ? { kind: 'percentageDifference', ...sides, below } : undefined;
}

function asDistance(tokens: readonly Token[], atMost: number): Condition | undefined {
  const places = tokens.flatMap(({ kind, text }, at) => (kind === 'word' && text.toLowerCase() === 'radians' ? [at] : []));
  const argument = (place: number | undefined) => callOf(tokens.slice(place ?? tokens.length), true).operands[0] ?? [];
  const east = subtraction(argument(places[4]));
  if (east === undefined) return undefined;
  const [latitude, longitude] = [splitSide(argument(places[0])).expression, splitSide(east[0]).expression];
  return isWritten(tokens, distanceSql(latitude, longitude)) ? { kind: 'distanceKm', latitude, longitude, atMost } : undefined;
}

function asIntersection(tokens: readonly Token[], atLeast: number): Condition | undefined {
  const sides = intersectionOf(tokens);
  return sides && { kind: 'arrayIntersect', ...sides, atLeast };
}

const lengths = ['array_length', 'len', 'length'];

/** The two operands of `array_length(list_intersect(x, y))`. */
function intersectionOf(tokens: readonly Token[]): Sides | undefined {
  const outer = callOf(tokens);
  if (!lengths.includes(outer.name) || outer.operands.length !== 1) return undefined;
  const { name, operands } = callOf(outer.operands[0]!);
  const isIntersection = (name === 'list_intersect' || name === 'array_intersect') && operands.length === 2;
  // DuckDB answers otherwise for a list missing on the left than for one missing on the right.
  return isIntersection && splitSide(operands[0]!).side === 'left' ? twoSided(operands[0]!, operands[1]!) : undefined;
}

/** The two operands of `least(array_length(x), array_length(y))`. */
function shorterOf(tokens: readonly Token[]): Sides | undefined {
  const { name, operands } = callOf(tokens);
  const inner = operands.map((operand) => callOf(operand));
  const isShorter = name === 'least' && inner.length === 2 && inner.every((one) => lengths.includes(one.name) && one.operands.length === 1);
  return isShorter ? twoSided(inner[0]!.operands[0]!, inner[1]!.operands[0]!) : undefined;
}

function asSubset(left: readonly Token[], right: readonly Token[]): Condition | undefined {
  const [shared, shorter] = [intersectionOf(left), shorterOf(right)];
  const isSame = shared && shorter && shared.column === shorter.column && shared.other === shorter.other;
  return isSame ? { kind: 'arraySubset', ...shared, emptyIsSubset: true } : undefined;
}

/** Conditions that say that neither of two lists is empty: half of `arraySubset`, and SQL when alone. */
export const listsLongEnough = new WeakMap<Condition, Sides>();

function asLongEnough(left: readonly Token[], right: readonly Token[]): Condition | undefined {
  const sides = shorterOf(left);
  if (sides === undefined || right.length !== 1 || right[0]!.text !== '0') return undefined;
  const [one, two] = [withSuffix(sides.column, 'l'), withSuffix(sides.other ?? sides.column, 'r')];
  const condition: Condition = { kind: 'sql', sql: `least(array_length(${one}), array_length(${two})) <> 0` };
  listsLongEnough.set(condition, sides);
  return condition;
}

function asPairwise(tokens: readonly Token[], bound: 'atLeast' | 'atMost', limit: number): Condition | undefined {
  const aggregate = callOf(tokens);
  const mapped = callOf(aggregate.operands[0] ?? []);
  const product = callOf(callOf(mapped.operands[0] ?? []).operands[0] ?? []);
  const [first, inner = []] = product.operands;
  // x -> list_transform(second, y -> [x, y])
  const [second] = callOf(inner.slice(2)).operands;
  const name = mapped.operands[1]?.[2]?.text.toLowerCase() ?? '';
  const measure = measureOf.get(name);
  const sides = first && second && twoSided(first, second);
  if (!sides || measure === undefined || measure === 'jaccard' || measure === 'cosine') return undefined;
  if (isSimilarity(measure) !== (bound === 'atLeast')) return undefined;
  const condition = { kind: 'pairwise', measure, ...sides, [bound]: limit } as Shape;
  const list = pairwiseSql(withSuffix(sides.column, 'l'), withSuffix(sides.other ?? sides.column, 'r'), name);
  return isWritten(tokens, `${bound === 'atLeast' ? 'list_max' : 'list_min'}(${list})`) ? condition : undefined;
}

/** Name and operands of a function call; with `isStart` the call may be followed by more. */
function callOf(tokens: readonly Token[], isStart = false): { readonly name: string; readonly operands: readonly (readonly Token[])[] } {
  const none = { name: '', operands: [] };
  if (tokens[0]?.kind !== 'word' || tokens[1]?.text !== '(') return none;
  let depth = 0;
  const close = tokens.findIndex(({ text }) => (depth += text === '(' ? 1 : text === ')' ? -1 : 0) === 0 && text === ')');
  if (close < 0 || (!isStart && close !== tokens.length - 1)) return none;
  return { name: tokens[0].text.toLowerCase(), operands: splitAt(tokens.slice(2, close), ',') };
}

/** The parts between such symbols outside brackets. */
function splitAt(tokens: readonly Token[], symbol: string): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token.text === '(' || token.text === '[') depth += 1;
    if (token.text === ')' || token.text === ']') depth -= 1;
    if (depth === 0 && token.text === symbol) parts.push([]);
    else parts.at(-1)!.push(token);
  }
  return parts;
}

function twoSided(one: readonly Token[], two: readonly Token[]): Sides | undefined {
  const [a, b] = [splitSide(one), splitSide(two)];
  const [left, right] = a.side === 'left' && b.side === 'right' ? [a, b] : a.side === 'right' && b.side === 'left' ? [b, a] : [];
  if (left === undefined || right === undefined) return undefined;
  return left.expression === right.expression ? { column: left.expression } : { column: left.expression, other: right.expression };
}

function isWritten(tokens: readonly Token[], sql: string): boolean {
  const written = parseTokens(sql);
  return written.length === tokens.length && written.every((token, at) => spelling(token) === spelling(tokens[at]!));
}
const spelling = ({ kind, text }: Token) => (kind === 'word' ? text.toLowerCase() : text);
