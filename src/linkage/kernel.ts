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
import { areNear, cosineBetween, leastCosine, type Points } from './geo.ts';
import { jaroSimilarity } from './jaro.ts';
import { type Lists, sharedCount, someReach } from './lists.ts';
import { type ByteTable, damerauLevenshtein, jaccard, jaccardBound, type LetterSets, levenshtein, withinOneEdit } from './strings.ts';
import { cosine, type Vectors } from './vectors.ts';

/** A condition over columns of `KernelData`, by their places. `sql` is not decided here. */
export type KernelCondition =
  | { readonly kind: 'null'; readonly column: number }
  | { readonly kind: 'exact'; readonly left: number; readonly right: number }
  | { readonly kind: Measure; readonly left: number; readonly right: number; readonly limit: number }
  | { readonly kind: 'jaccard'; readonly left: number; readonly right: number; readonly limit: number }
  | NumberCondition
  | { readonly kind: 'distanceKm'; readonly points: number; readonly limit: number }
  | { readonly kind: 'arrayIntersect'; readonly lists: number; readonly limit: number }
  | { readonly kind: 'arraySubset'; readonly lists: number; readonly emptyIsSubset: boolean }
  | { readonly kind: 'pairwise'; readonly measure: Measure; readonly lists: number; readonly limit: number }
  | { readonly kind: 'cosine'; readonly vectors: number; readonly limit: number }
  /** `column` holds 1 for true, 0 for false, NaN for unknown. */
  | { readonly kind: 'holds'; readonly column: number; readonly side: 'left' | 'right' }
  | { readonly kind: 'and' | 'or'; readonly conditions: readonly KernelCondition[] }
  | { readonly kind: 'not'; readonly condition: KernelCondition }
  | { readonly kind: 'else' };

type Measure = 'jaroWinkler' | 'jaro' | 'levenshtein' | 'damerauLevenshtein';

/** Numbers in units of 1/`scale`, subtracted in single precision when `isSingle`. */
type NumberCondition = {
  readonly kind: 'difference' | 'percentageDifference';
  readonly left: number;
  readonly right: number;
  readonly limit: number;
  readonly scale: number;
  readonly isSingle: boolean;
};

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
  /** Two columns of lists over one dictionary, often the same twice. */
  readonly lists: readonly { readonly left: Lists; readonly right: Lists; readonly dictionary: Dictionary }[];
  readonly vectors: readonly { readonly left: Vectors; readonly right: Vectors }[];
  readonly points: readonly Points[];
  readonly comparisons: readonly KernelComparison[];
  /** Source of each record when pairs within one source do not count. */
  readonly source?: Int32Array;
  /** The codes again and signs of their values, record by record, made once for all jobs and threads. */
  readonly rows?: Rows;
};

/** What the loops over pairs read most, side by side for each record (rows.ts). */
export type Rows = {
  readonly numbers: Int32Array;
  /** Numbers a record has. */
  readonly width: number;
  /** Place of each code column in a row, -1 for none. */
  readonly codeAt: readonly number[];
  /** Place of a record's word (quick-start.ts), and the code columns that it speaks of. */
  readonly wordAt: number;
  readonly wordColumns: readonly number[];
  /** Place of the three signs of each code column's value, -1 where it is not measured. */
  readonly signsAt: readonly number[];
};

/** Values as bytes with their signatures; absent when no level measures them. */
export type Dictionary =
  | {
      readonly table: ByteTable;
      readonly presence: Int32Array;
      readonly repeats: Int32Array;
      /** For `jaccard`. */
      readonly letters?: LetterSets;
    }
  | undefined;

type Answer = -1 | 0 | 1;
type Test = (left: number, right: number) => Answer;
type Measures = Map<string, (left: number, right: number) => number>;

/** Place of the level a pair is on, for one comparison. */
export type LevelOf = (left: number, right: number) => number;

/** Makes the functions that say which level a pair is on, one per comparison. */
export function compileLevels(data: KernelData): readonly LevelOf[] {
  return data.comparisons.map((_, c) => compileLevelsFrom(data, c, 0));
}

/** The same for one comparison and pairs that are on none of its levels before `first`. */
export function compileLevelsFrom(data: KernelData, comparison: number, first: number): LevelOf {
  const measures = new Map() as Measures;
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

function compile(condition: KernelCondition, data: KernelData, measures: Measures): Test {
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
    case 'difference':
    case 'percentageDifference':
      return compileDifference(condition, data);
    case 'distanceKm': {
      const points = data.points[condition.points]!;
      const between = once(measures, `distance ${condition.points}`, (left, right) => cosineBetween(points, left, right));
      const near = areNear(points, leastCosine(condition.limit), between);
      return (left, right) => answer(near(left, right));
    }
    case 'holds': {
      const truths = data.numbers[condition.column]!;
      const of = (truth: number) => (truth === 1 ? 1 : truth === 0 ? -1 : 0);
      return condition.side === 'left' ? (left) => of(truths[left]!) : (_, right) => of(truths[right]!);
    }
    case 'arrayIntersect':
    case 'arraySubset':
      return compileShared(condition, data, measures);
    case 'pairwise':
      return compilePairwise(condition, data);
    case 'cosine':
      return compileCosine(condition, data, measures);
    case 'jaccard':
      return compileJaccard(condition, data, measures);
    case 'and': {
      const tests = condition.conditions.map((one) => compile(one, data, measures));
      return (left, right) => {
        let least: Answer = 1;
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
        let most: Answer = -1;
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
      return (left, right) => -test(left, right) as Answer;
    }
    default:
      return compileMeasure(condition, data, measures);
  }
}

const answer = (is: boolean | undefined): Answer => (is === undefined ? 0 : is ? 1 : -1);

function compileDifference({ kind, left: one, right: other, limit, scale, isSingle }: NumberCondition, data: KernelData): Test {
  const a = data.numbers[one]!;
  const b = data.numbers[other]!;
  if (kind === 'difference' && scale === 1 && !isSingle) {
    return (left, right) => {
      const gap = Math.abs(a[left]! - b[right]!);
      return gap <= limit ? 1 : gap > limit || !(Number.isNaN(a[left]!) || Number.isNaN(b[right]!)) ? -1 : 0;
    };
  }
  const inSingle = isSingle ? Math.fround : (value: number) => value;
  const bound = inSingle(limit);
  return (left, right) => {
    const x = a[left]!;
    const y = b[right]!;
    if (Number.isNaN(x) || Number.isNaN(y)) return 0;
    const gap = inSingle(Math.abs(x - y)) / scale;
    return (kind === 'difference' ? gap <= bound : inSingle(gap / (Math.max(x, y) / scale)) < bound) ? 1 : -1;
  };
}

type Condition<Kind> = Extract<KernelCondition, { readonly kind: Kind }>;

function compileShared(condition: Condition<'arrayIntersect' | 'arraySubset'>, data: KernelData, measures: Measures): Test {
  const { left: a, right: b } = data.lists[condition.lists]!;
  const shared = once(measures, `shared ${condition.lists}`, (left, right) => sharedCount(a, left, b, right));
  const [lengths, otherLengths] = [a.lengths, b.lengths];
  // As in DuckDB: nothing is known of a missing left list, and a missing right one shares nothing.
  if (condition.kind === 'arrayIntersect') {
    const { limit } = condition;
    return (left, right) => {
      const one = lengths[left]!;
      if (one < 0) return 0;
      const shorter = Math.max(0, Math.min(one, otherLengths[right]!));
      return shorter >= limit && shared(left, right) >= limit ? 1 : -1;
    };
  }
  const { emptyIsSubset } = condition;
  return (left, right) => {
    const one = lengths[left]!;
    const other = otherLengths[right]!;
    if (!emptyIsSubset && (one === 0 || other === 0)) return -1;
    if (one < 0) return 0;
    return shared(left, right) === (other < 0 ? one : Math.min(one, other)) ? 1 : -1;
  };
}

function compilePairwise({ measure: kind, lists, limit }: Condition<'pairwise'>, data: KernelData): Test {
  const { left: a, right: b, dictionary } = data.lists[lists]!;
  const reaches = reach(kind, dictionary!, limit, measureOf(kind, dictionary!));
  return (left, right) => answer(someReach(a, left, b, right, reaches));
}

function compileCosine({ vectors, limit }: Condition<'cosine'>, data: KernelData, measures: Measures): Test {
  const { left: a, right: b } = data.vectors[vectors]!;
  const similarity = once(measures, `cosine ${vectors}`, (left, right) => cosine(a, left, b, right));
  const bound = a.isSingle ? Math.fround(limit) : limit;
  return (left, right) => {
    const value = similarity(left, right);
    return Number.isNaN(value) ? 0 : value >= bound ? 1 : -1;
  };
}

function compileJaccard({ left: one, right: other, limit }: Condition<'jaccard'>, data: KernelData, measures: Measures): Test {
  const [a, b] = [data.codes[one]!, data.codes[other]!];
  const sets = data.dictionaries[data.dictionaryOf[one]!]!.letters!;
  const similarity = once(measures, `jaccard ${one} ${other}`, (x, y) => jaccard(sets, x, y));
  return (left, right) => {
    const x = a[left]!;
    const y = b[right]!;
    if (x < 0 || y < 0) return 0;
    return jaccardBound(sets, x, y) >= limit && similarity(x, y) >= limit ? 1 : -1;
  };
}

function compileMeasure({ kind, left: one, right: other, limit }: Condition<Measure>, data: KernelData, measures: Measures): Test {
  const [a, b] = [data.codes[one]!, data.codes[other]!];
  const dictionary = data.dictionaries[data.dictionaryOf[one]!]!;
  const reaches = reach(kind, dictionary, limit, once(measures, `${kind} ${one} ${other}`, measureOf(kind, dictionary)));
  return (left, right) => {
    const x = a[left]!;
    const y = b[right]!;
    return x < 0 || y < 0 ? 0 : reaches(x, y) ? 1 : -1;
  };
}

/** Whether two values are alike enough, asking the signatures first. */
function reach(
  kind: Measure,
  { table, presence, repeats }: Exclude<Dictionary, undefined>,
  limit: number,
  measure: (x: number, y: number) => number,
) {
  if (kind === 'jaro' || kind === 'jaroWinkler') {
    return (x: number, y: number): boolean => {
      const most = jaroBound(presence[x]!, repeats[x]!, presence[y]!, repeats[y]!);
      return (kind === 'jaro' ? most : jaroWinklerBound(most, 4)) >= limit && measure(x, y) >= limit;
    };
  }
  if (limit >= 1 && limit < 2)
    return (x: number, y: number): boolean => x === y || withinOneEdit(table, x, y, kind === 'damerauLevenshtein');
  return (x: number, y: number): boolean =>
    x === y || (distanceBound(presence[x]!, repeats[x]!, presence[y]!, repeats[y]!) <= limit && measure(x, y) <= limit);
}

function measureOf(kind: Measure, { table }: Exclude<Dictionary, undefined>): (x: number, y: number) => number {
  if (kind === 'jaro' || kind === 'jaroWinkler') return jaroSimilarity(table, kind);
  const run = kind === 'levenshtein' ? levenshtein : damerauLevenshtein;
  return (x, y) => run(table, x, y);
}

/** One measure for all levels that ask for it, which remembers the last pair it was asked about. */
function once(measures: Measures, key: string, run: (x: number, y: number) => number): (x: number, y: number) => number {
  let [lastX, lastY, last] = [-1, -1, 0];
  const known = measures.get(key);
  if (known) return known;
  const measure = (x: number, y: number) => {
    if (x !== lastX || y !== lastY) {
      last = run(x, y);
      lastX = x;
      lastY = y;
    }
    return last;
  };
  measures.set(key, measure);
  return measure;
}
