// Settings to what the kernel reads: each expression encoded once, each dictionary with bytes and signatures only where a level measures text.

import { presence, repeats } from './bounds.ts';
import type { Codes, Encoder } from './encode.ts';
import { shared } from './encode.ts';
import type { Dictionary, Frequency, KernelComparison, KernelCondition, KernelData } from './kernel.ts';
import { type Comparison, type Condition, type LinkageSettings, needsSql } from './settings.ts';
import { normaliseExpression } from './sql-text.ts';
import { termFrequencies } from './term-frequency.ts';

/** Encodes what the comparisons read. Comparisons with a level in SQL get no levels here: the SQL path decides them. */
export async function prepareKernel(encoder: Encoder, settings: LinkageSettings): Promise<KernelData> {
  const columns = new Map<string, number>();
  const numberColumns = new Map<string, number>();
  const codes: Codes[] = [];
  const numbers: Float64Array[] = [];
  const measured = new Set<string>();

  const codeColumn = async (expression: string): Promise<number> => {
    const key = normaliseExpression(expression);
    const known = columns.get(key);
    if (known !== undefined) return known;
    columns.set(key, codes.push(await encoder.codes(key)) - 1);
    return codes.length - 1;
  };
  const numberColumn = async (expression: string): Promise<number> => {
    const key = normaliseExpression(expression);
    const known = numberColumns.get(key);
    if (known !== undefined) return known;
    numberColumns.set(key, numbers.push(await encoder.numbers(key)) - 1);
    return numbers.length - 1;
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
      case 'null':
        return { kind: 'null', column: await codeColumn(condition.column) };
      case 'difference':
        return {
          kind: 'difference',
          left: await numberColumn(condition.column),
          right: await numberColumn(condition.other ?? condition.column),
          limit: condition.atMost,
        };
    }
    const left = await codeColumn(condition.column);
    const right = await codeColumn(condition.other ?? condition.column);
    if (condition.kind === 'exact') return { kind: 'exact', left, right };
    measured.add(codes[left]!.dictionary.table);
    return { kind: condition.kind, left, right, limit: 'atLeast' in condition ? condition.atLeast : condition.atMost };
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
  for (const { dictionary } of codes) {
    let place = places.get(dictionary.table);
    if (place === undefined) {
      const text = measured.has(dictionary.table) ? signatures(await encoder.byteTable(dictionary)) : undefined;
      places.set(dictionary.table, (place = dictionaries.push(text) - 1));
    }
    dictionaryOf.push(place);
  }
  const source = settings.linkType === 'link_only' ? (await encoder.codes(settings.source!)).codes : undefined;
  return { codes: codes.map((one) => one.codes), dictionaryOf, dictionaries, numbers, comparisons, ...(source ? { source } : {}) };
}

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

function signatures(table: { readonly bytes: Uint8Array; readonly offsets: Uint32Array }): Exclude<Dictionary, undefined> {
  const { bytes, offsets } = table;
  const count = offsets.length - 1;
  const [uses, twice] = [shared(count), shared(count)];
  for (let code = 0; code < count; code++) {
    uses[code] = presence(bytes, offsets[code]!, offsets[code + 1]!);
    twice[code] = repeats(bytes, offsets[code]!, offsets[code + 1]!);
  }
  return { table, presence: uses, repeats: twice };
}
