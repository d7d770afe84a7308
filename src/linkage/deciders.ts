// Levels of a whole batch of pairs, one comparison at a time, the cheap questions first.
//
//   1. quick   missing and equal, from two codes a pair: settles most comparisons of most rules
//   2. bound   pairs whose values cannot be alike enough for any level in between are on `else`: letter signatures, no text
//   3. full    what is still open: text is compared
//
// A comparison of the common shape (null, equal, then falling limits of one Jaro measure, else) has all three, written out as loops over arrays; one of
// edits and differences is asked level by level (steps.ts); any other shape goes through kernel.ts pair by pair.
//
// Worked case: last_name, levels null, equal, jaroWinkler 0.92, 0.8, else; pair Smith/Garcia: codes differ; 1 of 5 letters shared, so
// 0.8 is out of reach: else, without a look at the text.

import { jaroRow, raisedByStart } from './jaro.ts';
import { compileLevelsFrom, type KernelComparison, type KernelData, type Rows } from './kernel.ts';
import { packRows } from './rows.ts';
import { type Decide, open, stepsOf } from './steps.ts';
import { neededJaro, settleUnlike } from './unlike.ts';

/** Level of a pair that is not settled either, but known to be below the first limits. */
export const capped = 254;

export type Decider = {
  /** Sets the level of every pair, `open` where codes alone do not say. */
  readonly quick: Decide;
  /** Settles open pairs that can only be on the last level. Absent when there is no bound. */
  readonly bound?: Decide;
  /** Settles all open pairs. */
  readonly full: Decide;
};

/** One decider per comparison. Comparisons that the kernel does not decide (no levels) stay open. */
export function compileDeciders(data: KernelData): readonly Decider[] {
  const rows = rowsOf(data);
  return data.comparisons.map((comparison, c) => {
    const { quickColumn, levels } = comparison;
    if (levels.length === 0) return { quick: leaveOpen, full: () => {} };
    const ladder = ladderOf(comparison);
    if (ladder) return { quick: quickly(rows, comparison), ...climbing(data, rows, comparison, ladder) };
    const steps = stepsOf(data, rows, comparison);
    if (steps) return { quick: quickly(rows, comparison), full: steps };
    const levelOf = compileLevelsFrom(data, c, quickColumn < 0 ? 0 : 2);
    const full: Decide = (left, right, count, found) => {
      for (let k = 0; k < count; k++) if (found[k] === open) found[k] = levelOf(left[k]!, right[k]!);
    };
    return { quick: quickColumn < 0 ? leaveOpen : quickly(rows, comparison), full };
  });
}

/** The rows that came with the data, or new ones. */
export function rowsOf(data: KernelData): Rows {
  return data.rows ?? packRows(data);
}

/** Sets the level of every pair of one batch on one comparison. */
export function decideBatch({ quick, bound, full }: Decider, left: Int32Array, right: Int32Array, count: number, levels: Uint8Array): void {
  quick(left, right, count, levels);
  bound?.(left, right, count, levels);
  full(left, right, count, levels);
}

const leaveOpen: Decide = (_left, _right, count, levels) => {
  levels.fill(open, 0, count);
};

function quickly({ numbers, width, codeAt }: Rows, { quickColumn, nullLevel, exactLevel, levels: all }: KernelComparison): Decide {
  const at = codeAt[quickColumn]!;
  const different = all.length === 3 ? 2 : open;
  return (left, right, count, levels) => {
    for (let k = 0; k < count; k++) {
      const x = numbers[left[k]! * width + at]!;
      const y = numbers[right[k]! * width + at]!;
      levels[k] = (x | y) < 0 ? nullLevel : x === y ? exactLevel : different;
    }
  };
}

/** Limits of levels 2, 3, ... up to else, all of one Jaro measure of the quick column, falling. */
export type Ladder = { readonly kind: 'jaro' | 'jaroWinkler'; readonly limits: Float64Array };

/** The ladder of a comparison, where it has that shape. */
export function ladderOf({ quickColumn, levels }: KernelComparison): Ladder | undefined {
  if (quickColumn < 0) return undefined;
  const limits: number[] = [];
  let kind: Ladder['kind'] | undefined;
  for (const level of levels.slice(2, -1)) {
    if (level.kind !== 'jaro' && level.kind !== 'jaroWinkler') return undefined;
    if (kind !== undefined && kind !== level.kind) return undefined;
    if (level.left !== quickColumn || level.right !== quickColumn || level.limit >= (limits.at(-1) ?? 2)) return undefined;
    kind = level.kind;
    limits.push(level.limit);
  }
  return kind && { kind, limits: Float64Array.from(limits) };
}

function climbing(
  data: KernelData,
  rows: Rows,
  { quickColumn, levels: all }: KernelComparison,
  { kind, limits }: Ladder,
): Pick<Decider, 'bound' | 'full'> {
  const { numbers, width } = rows;
  const at = rows.codeAt[quickColumn]!;
  const dictionary = data.dictionaries[data.dictionaryOf[quickColumn]!]!;
  const last = all.length - 1;
  const row = jaroRow(dictionary.table);
  const least = neededJaro(kind, limits.at(-1)!, 4);
  return {
    bound: settleUnlike(rows, quickColumn, { kind, limit: limits.at(-1)!, from: open, to: last }),
    full: (left, right, count, levels) => {
      let laidOut = -1;
      for (let k = 0; k < count; k++) {
        if (levels[k]! < capped) continue;
        const x = numbers[left[k]! * width + at]!;
        const y = numbers[right[k]! * width + at]!;
        if (x !== laidOut) row.layOut((laidOut = x));
        const plain = row.with(y, least);
        const value = kind === 'jaro' ? plain : raisedByStart(dictionary.table, plain, x, y);
        let rung = 0;
        while (rung < limits.length && value < limits[rung]!) rung++;
        levels[k] = 2 + rung;
      }
    },
  };
}
