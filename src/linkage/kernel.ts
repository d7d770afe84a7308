// Levels as the kernel runs them: what a pair of record numbers is on, without SQL and without text.
//
// Idea: a condition becomes a small function of (left, right) over codes, bytes or numbers. It answers 1 true, 0 unknown, -1 false, so that
// AND is the smaller answer, OR the larger, NOT the opposite, as in SQL with nulls; a level holds on 1. A string measure first asks the
// letter signature (bounds.ts) whether the level can be reached at all, and remembers its last pair, because the levels of one
// comparison ask for the same measure with other limits.
//
// Worked case: levels null, exact, jaroWinkler >= 0.92, else over last_name: Smith/Smyth -> not null, codes differ, 0.89 < 0.92 -> level 3.
// Cost: per pair a handful of array reads; a string measure only for pairs that the signature lets through.

import { distanceBound, jaroBound, jaroWinklerBound } from './bounds.ts';
import type { ByteTable } from './strings.ts';
import { damerauLevenshtein, jaro, jaroWinkler, levenshtein } from './strings.ts';

/** A condition over columns of `KernelData`, by their places. `sql` is not decided here. */
export type KernelCondition =
  | { readonly kind: 'null'; readonly column: number }
  | { readonly kind: 'exact'; readonly left: number; readonly right: number }
  | {
      readonly kind: 'jaroWinkler' | 'jaro' | 'levenshtein' | 'damerauLevenshtein';
      readonly left: number;
      readonly right: number;
      readonly limit: number;
    }
  | { readonly kind: 'difference'; readonly left: number; readonly right: number; readonly limit: number }
  | { readonly kind: 'and' | 'or'; readonly conditions: readonly KernelCondition[] }
  | { readonly kind: 'not'; readonly condition: KernelCondition }
  | { readonly kind: 'else' };

export type KernelComparison = {
  readonly levels: readonly KernelCondition[];
  /** Place of the level for missing values, -1 for none. */
  readonly nullLevel: number;
  /** When missing on `column` is the null level and equality on it is the first other one: its place; else -1. */
  readonly quickColumn: number;
  readonly exactLevel: number;
  /** By level: the column whose values' rarity counts there, and the share of records that hold each value (by code). */
  readonly frequencies: readonly (Frequency | undefined)[];
};

export type Frequency = { readonly column: number; readonly share: Float64Array };

/** Everything the kernel reads; arrays are shared with workers, never copied. */
export type KernelData = {
  readonly codes: readonly Int32Array[];
  /** Which dictionary the codes of each column point into. */
  readonly dictionaryOf: readonly number[];
  readonly dictionaries: readonly Dictionary[];
  readonly numbers: readonly Float64Array[];
  readonly comparisons: readonly KernelComparison[];
  /** Source of each record when pairs within one source do not count. */
  readonly source?: Int32Array;
};

/** Values as bytes with their signatures; absent when no level measures them. */
export type Dictionary = { readonly table: ByteTable; readonly presence: Int32Array; readonly repeats: Int32Array } | undefined;

type Test = (left: number, right: number) => -1 | 0 | 1;

/** Place of the level a pair is on, for one comparison. */
export type LevelOf = (left: number, right: number) => number;

/** Makes the functions that say which level a pair is on, one per comparison. */
export function compileLevels(data: KernelData): readonly LevelOf[] {
  return data.comparisons.map((_, c) => compileLevelsFrom(data, c, 0));
}

/** The same for one comparison and pairs that are on none of its levels before `first`. */
export function compileLevelsFrom(data: KernelData, comparison: number, first: number): LevelOf {
  const measures = new Map<string, (left: number, right: number) => number>();
  const tests = data.comparisons[comparison]!.levels.map((level) => compile(level, data, measures));
  const last = tests.length - 1;
  return (left, right) => {
    for (let level = first; level < last; level++) if (tests[level]!(left, right) === 1) return level;
    return last;
  };
}

/** Whether a condition holds for a pair: 1 yes, 0 unknown, -1 no. */
export function compileCondition(condition: KernelCondition, data: KernelData): (left: number, right: number) => -1 | 0 | 1 {
  return compile(condition, data, new Map());
}

function compile(condition: KernelCondition, data: KernelData, measures: Map<string, (left: number, right: number) => number>): Test {
  switch (condition.kind) {
    case 'else':
      return () => 1;
    case 'null': {
      const codes = data.codes[condition.column]!;
      return (left, right) => (codes[left]! < 0 || codes[right]! < 0 ? 1 : -1);
    }
    case 'exact': {
      const [a, b] = [data.codes[condition.left]!, data.codes[condition.right]!];
      return (left, right) => (a[left]! < 0 || b[right]! < 0 ? 0 : a[left] === b[right] ? 1 : -1);
    }
    case 'difference': {
      const [a, b] = [data.numbers[condition.left]!, data.numbers[condition.right]!];
      const { limit } = condition;
      return (left, right) => {
        const gap = Math.abs(a[left]! - b[right]!);
        return gap <= limit ? 1 : gap > limit ? -1 : 0;
      };
    }
    case 'and': {
      const tests = condition.conditions.map((one) => compile(one, data, measures));
      return (left, right) => {
        let least: -1 | 0 | 1 = 1;
        for (const test of tests) {
          const answer = test(left, right);
          if (answer === -1) return -1;
          if (answer === 0) least = 0;
        }
        return least;
      };
    }
    case 'or': {
      const tests = condition.conditions.map((one) => compile(one, data, measures));
      return (left, right) => {
        let most: -1 | 0 | 1 = -1;
        for (const test of tests) {
          const answer = test(left, right);
          if (answer === 1) return 1;
          if (answer === 0) most = 0;
        }
        return most;
      };
    }
    case 'not': {
      const test = compile(condition.condition, data, measures);
      return (left, right) => -test(left, right) as -1 | 0 | 1;
    }
    default:
      return compileMeasure(condition, data, measures);
  }
}

function compileMeasure(
  condition: Extract<
    KernelCondition,
    { readonly limit: number; readonly kind: 'jaroWinkler' | 'jaro' | 'levenshtein' | 'damerauLevenshtein' }
  >,
  data: KernelData,
  measures: Map<string, (left: number, right: number) => number>,
): Test {
  const { kind, limit } = condition;
  const [a, b] = [data.codes[condition.left]!, data.codes[condition.right]!];
  const dictionary = data.dictionaries[data.dictionaryOf[condition.left]!]!;
  const { presence, repeats } = dictionary;
  const isSimilarity = kind === 'jaro' || kind === 'jaroWinkler';
  const key = `${kind} ${condition.left} ${condition.right}`;
  const measure = measures.get(key) ?? remembered(measureOf(kind, dictionary), data.codes[condition.left]!, data.codes[condition.right]!);
  measures.set(key, measure);
  return (left, right) => {
    const x = a[left]!;
    const y = b[right]!;
    if (x < 0 || y < 0) return 0;
    if (isSimilarity) {
      const most = jaroBound(presence[x]!, repeats[x]!, presence[y]!, repeats[y]!);
      if ((kind === 'jaro' ? most : jaroWinklerBound(most, 4)) < limit) return -1;
      return measure(left, right) >= limit ? 1 : -1;
    }
    if (x === y) return 1;
    if (distanceBound(presence[x]!, repeats[x]!, presence[y]!, repeats[y]!) > limit) return -1;
    return measure(left, right) <= limit ? 1 : -1;
  };
}

const measureFunctions = { jaro, jaroWinkler, levenshtein, damerauLevenshtein };

function measureOf(kind: keyof typeof measureFunctions, { table }: Exclude<Dictionary, undefined>) {
  const run = measureFunctions[kind];
  return (x: number, y: number) => run(table, x, table, y);
}

function remembered(run: (x: number, y: number) => number, a: Int32Array, b: Int32Array): (left: number, right: number) => number {
  let [lastX, lastY, last] = [-1, -1, 0];
  return (left, right) => {
    const x = a[left]!;
    const y = b[right]!;
    if (x !== lastX || y !== lastY) [lastX, lastY, last] = [x, y, run(x, y)];
    return last;
  };
}
