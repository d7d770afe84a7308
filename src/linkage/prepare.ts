// Settings to what the kernel reads: each expression encoded once, each dictionary with bytes and signatures only where a level measures text.

import { presence, repeats } from './bounds.ts';
import { arithmeticOf, readLists, readNumbers, readPoints, readTruths, readVectors } from './columns.ts';
import type { Codes, Encoder } from './encode.ts';
import { shared } from './encode.ts';
import type { Dictionary, Frequency, KernelComparison, KernelCondition, KernelData } from './kernel.ts';
import { packRows } from './rows.ts';
import { type Comparison, type Condition, conditionExpressions, type LinkageSettings, needsSql } from './settings.ts';
import { normaliseExpression } from './sql-text.ts';
import { letterSets } from './strings.ts';
import { termFrequencies } from './term-frequency.ts';

/** Encodes what the comparisons read. Comparisons with a level in SQL get no levels here: the SQL path decides them. */
export async function prepareKernel(encoder: Encoder, settings: LinkageSettings): Promise<KernelData> {
  const codes = keyed<Codes>();
  const numbers = keyed<Float64Array>();
  const lists = keyed<KernelData['lists'][number]>();
  const vectors = keyed<KernelData['vectors'][number]>();
  const points = keyed<KernelData['points'][number]>();
  const measured = new Set<string>();
  const lettered = new Set<string>();
  const all = settings.comparisons.flatMap(({ levels }) => levels.flatMap(({ condition }) => partsOf(condition)));
  const nearLists = new Set(all.filter(({ kind }) => kind === 'pairwise').map((one) => sidesOf(one).join(' ')));
  const coded = new Set([
    ...all.filter(({ kind }) => codedKinds.has(kind)).flatMap(sidesOf),
    ...settings.comparisons.flatMap(({ levels }) =>
      levels.flatMap(({ termFrequency }) => (termFrequency ? [normaliseExpression(termFrequency.column)] : [])),
    ),
  ]);

  await encoder.encode(codedExpressions(settings));
  const codeColumn = (expression: string) => {
    const key = normaliseExpression(expression);
    return codes.place(key, () => encoder.codes(key));
  };
  const truthColumn = (key: string) => numbers.place(`${key} holds`, () => readTruths(encoder, key));
  const listColumns = ({ column, other = column }: { readonly column: string; readonly other?: string }) => {
    const [left, right] = [normaliseExpression(column), normaliseExpression(other)];
    const key = `${left} ${right}`;
    return lists.place(key, async () => {
      const name = `list_values_${lists.items.length}`;
      const read = await readLists(encoder, { left, right, name }, async (dictionary) =>
        nearLists.has(key) ? signatures(await encoder.byteTable(dictionary)) : undefined,
      );
      return { left: read.left, right: read.right, dictionary: read.used };
    });
  };
  const difference = async (
    kind: 'difference' | 'percentageDifference',
    { column, other = column }: { readonly column: string; readonly other?: string },
    limit: number,
  ): Promise<KernelCondition> => {
    const [one, two] = [normaliseExpression(column), normaliseExpression(other)];
    const arithmetic = await arithmeticOf(encoder, one, two);
    const [left, right] = await inOrder([one, two], (key) =>
      numbers.place(`${key} ${arithmetic.isSingle} ${arithmetic.scale}`, () => readNumbers(encoder, key, arithmetic)),
    );
    return { kind, left: left!, right: right!, limit, scale: arithmetic.scale, isSingle: arithmetic.isSingle };
  };
  const translate = async (condition: Condition): Promise<KernelCondition> => {
    switch (condition.kind) {
      case 'else':
        return condition;
      case 'sql':
        throw new Error('linkage: an sql condition reached the kernel');
      case 'and':
      case 'or':
        return { kind: condition.kind, conditions: await inOrder(condition.conditions, translate) };
      case 'not':
        return { kind: 'not', condition: await translate(condition.condition) };
      case 'null': {
        const key = normaliseExpression(condition.column);
        if (coded.has(key)) return { kind: 'null', column: await codeColumn(key) };
        // Lists, arrays and coordinates need no dictionary to be missing.
        const column = await truthColumn(`(${key}) is null`);
        return { kind: 'or', conditions: (['left', 'right'] as const).map((side) => ({ kind: 'holds', side, column })) };
      }
      case 'holds':
        return { kind: 'holds', side: condition.side, column: await truthColumn(normaliseExpression(condition.column)) };
      case 'difference':
        return await difference('difference', condition, condition.atMost);
      case 'percentageDifference':
        return await difference('percentageDifference', condition, condition.below);
      case 'distanceKm': {
        const [latitude, longitude] = [normaliseExpression(condition.latitude), normaliseExpression(condition.longitude)];
        const place = await points.place(`${latitude} ${longitude}`, () => readPoints(encoder, latitude, longitude));
        return { kind: 'distanceKm', points: place, limit: condition.atMost };
      }
      case 'arrayIntersect':
        return { kind: 'arrayIntersect', lists: await listColumns(condition), limit: condition.atLeast };
      case 'arraySubset':
        return { kind: 'arraySubset', lists: await listColumns(condition), emptyIsSubset: condition.emptyIsSubset === true };
      case 'pairwise':
        return { kind: 'pairwise', measure: condition.measure, lists: await listColumns(condition), limit: limitOf(condition) };
      case 'cosine': {
        const [left, right] = [normaliseExpression(condition.column), normaliseExpression(condition.other ?? condition.column)];
        const place = await vectors.place(`${left} ${right}`, async () => {
          const one = await readVectors(encoder, left);
          return { left: one, right: left === right ? one : await readVectors(encoder, right) };
        });
        return { kind: 'cosine', vectors: place, limit: condition.atLeast };
      }
    }
    const left = await codeColumn(condition.column);
    const right = await codeColumn(condition.other ?? condition.column);
    if (condition.kind === 'exact') return { kind: 'exact', left, right };
    (condition.kind === 'jaccard' ? lettered : measured).add(codes.items[left]!.dictionary.table);
    return { kind: condition.kind, left, right, limit: limitOf(condition) };
  };

  const comparisons = await inOrder(settings.comparisons, async (comparison): Promise<KernelComparison> => {
    const frequencies = await inOrder(comparison.levels, async ({ isNull, termFrequency }): Promise<Frequency | undefined> => {
      if (isNull || !termFrequency) return undefined;
      return { column: await codeColumn(termFrequency.column), share: await termFrequencies(encoder, termFrequency.column) };
    });
    const nullLevel = comparison.levels.findIndex(({ isNull }) => isNull);
    if (comparison.levels.some(({ condition }) => needsSql(condition)))
      return { levels: [], nullLevel, quickColumn: -1, exactLevel: -1, frequencies };
    const levels = await inOrder(comparison.levels, ({ condition }) => translate(condition));
    return { levels, nullLevel, ...quickLevels(levels, comparison), frequencies };
  });

  const places = new Map<string, number>();
  const dictionaries: Dictionary[] = [];
  const dictionaryOf: number[] = [];
  const isText = ({ table }: { readonly table: string }) => measured.has(table) || lettered.has(table);
  // While one dictionary's values are looked at, the next one's are read.
  for (const { dictionary } of codes.items) if (isText(dictionary)) encoder.readAhead(dictionary);
  for (const { dictionary } of codes.items) {
    let place = places.get(dictionary.table);
    if (place === undefined) {
      const text = isText(dictionary) ? signatures(await encoder.byteTable(dictionary), lettered.has(dictionary.table)) : undefined;
      places.set(dictionary.table, (place = dictionaries.push(text) - 1));
    }
    dictionaryOf.push(place);
  }
  const source = settings.linkType === 'link_only' ? (await encoder.codes(settings.source!)).codes : undefined;
  const data: KernelData = {
    codes: codes.items.map((one) => one.codes),
    dictionaryOf,
    dictionaries,
    numbers: numbers.items,
    lists: lists.items,
    vectors: vectors.items,
    points: points.items,
    comparisons,
    ...(source ? { source } : {}),
  };
  return { ...data, rows: packRows(data) };
}

/** Expressions that blocking rules and comparisons read as codes. */
export function codedExpressions({ comparisons, blockingRules }: LinkageSettings): string[] {
  const coded = new Set<Condition['kind']>(['null', 'exact', 'jaro', 'jaroWinkler', 'levenshtein', 'damerauLevenshtein', 'jaccard']);
  const of = (condition: Condition): string[] => {
    if (condition.kind === 'and' || condition.kind === 'or') return condition.conditions.flatMap(of);
    if (condition.kind === 'not') return of(condition.condition);
    return coded.has(condition.kind) ? conditionExpressions(condition) : [];
  };
  const levels = comparisons.flatMap((comparison) =>
    comparison.levels.some(({ condition }) => needsSql(condition)) ? [] : comparison.levels.flatMap(({ condition }) => of(condition)),
  );
  return [...levels, ...blockingRules.flatMap(({ on, where, explode }) => (where || explode ? [] : on))];
}

/** Things made once for each key, in places in order of appearance. */
function keyed<T>() {
  const places = new Map<string, number>();
  const items: T[] = [];
  return {
    items,
    place: async (key: string, make: () => Promise<T>): Promise<number> => {
      const known = places.get(key);
      if (known !== undefined) return known;
      items.push(await make());
      places.set(key, items.length - 1);
      return items.length - 1;
    },
  };
}

function limitOf(condition: { readonly atLeast: number } | { readonly atMost: number }): number {
  return 'atLeast' in condition ? condition.atLeast : condition.atMost;
}

const codedKinds: ReadonlySet<Condition['kind']> = new Set([
  'exact',
  'jaroWinkler',
  'jaro',
  'jaccard',
  'levenshtein',
  'damerauLevenshtein',
]);

/** The conditions that and, or and not put together. */
function partsOf(condition: Condition): Condition[] {
  if (condition.kind === 'and' || condition.kind === 'or') return condition.conditions.flatMap(partsOf);
  return condition.kind === 'not' ? partsOf(condition.condition) : [condition];
}

/** Expressions of the left and of the right record. */
const sidesOf = (condition: Condition) => conditionExpressions(condition).map(normaliseExpression);

/** Awaits one after the other: columns get their places in order of appearance, whatever the timing. */
async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}

/** The common shape: missing on a column is the null level, equality on it the first of the others. */
function quickLevels(
  levels: readonly KernelCondition[],
  { levels: settings }: Comparison,
): { readonly quickColumn: number; readonly exactLevel: number } {
  const [first, second] = levels;
  const fits =
    first?.kind === 'null' &&
    settings[0]?.isNull &&
    second?.kind === 'exact' &&
    second.left === first.column &&
    second.right === first.column;
  return fits ? { quickColumn: first.column, exactLevel: 1 } : { quickColumn: -1, exactLevel: -1 };
}

function signatures(
  table: { readonly bytes: Uint8Array; readonly offsets: Uint32Array },
  withLetters = false,
): Exclude<Dictionary, undefined> {
  const { bytes, offsets } = table;
  const count = offsets.length - 1;
  const [uses, twice] = [shared(count), shared(count)];
  for (let code = 0; code < count; code++) {
    uses[code] = presence(bytes, offsets[code]!, offsets[code + 1]!);
    twice[code] = repeats(bytes, offsets[code]!, offsets[code + 1]!);
  }
  return { table, presence: uses, repeats: twice, ...(withLetters ? { letters: letterSets(table) } : {}) };
}
