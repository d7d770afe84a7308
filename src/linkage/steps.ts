// Levels of edits and differences (a date's, say) for a whole batch, level by level.
//
// Idea: each level asks all open pairs of a batch, so that each question is a short loop. One edit is first refuted by letter signatures, which lie in
// the record's row, beside the code that was read anyway; differences that follow one another are one subtraction and a walk along their limits.
//
// Worked case: levels one edit, a month, a year, else; 1964-03-12 and 1987-11-05: digits of each are not in the other, so no text is read; 23 years: else.
// Cost: per open pair one look at the rows and one at both numbers; text only where signatures allow one edit.

import { longestBounded, unshared } from './bounds.ts';
import type { KernelComparison, KernelCondition, KernelData, Rows } from './kernel.ts';
import { withinOneEdit } from './strings.ts';

/** Level of a pair that is not settled yet. */
export const open = 255;

/** Sets `levels[k]` of pairs k < count. */
export type Decide = (left: Int32Array, right: Int32Array, count: number, levels: Uint8Array) => void;

/** Settles open pairs of a comparison whose levels after missing and equal ask for nothing but one edit or plain differences; nothing for any other. */
export function stepsOf(data: KernelData, rows: Rows, { quickColumn, levels }: KernelComparison): Decide | undefined {
  const asked = levels.slice(2, -1);
  if (quickColumn < 0 || asked.length === 0) return undefined;
  const steps: Decide[] = [];
  for (let i = 0; i < asked.length; ) {
    const condition = asked[i]!;
    if (isOneEdit(condition) && condition.left === quickColumn && condition.right === quickColumn) {
      steps.push(oneEdit(data, rows, condition, 2 + i++));
    } else if (isDifference(condition)) {
      const group = asked.slice(i, i + rungs(asked, i)).filter(isDifference);
      steps.push(differences(data, group, 2 + i));
      i += group.length;
    } else return undefined;
  }
  const last = levels.length - 1;
  return (left, right, count, found) => {
    for (const step of steps) step(left, right, count, found);
    for (let k = 0; k < count; k++) if (found[k] === open) found[k] = last;
  };
}

type Edit = Extract<KernelCondition, { readonly kind: 'jaro' | 'jaroWinkler' | 'levenshtein' | 'damerauLevenshtein' }>;
type Difference = Extract<KernelCondition, { readonly kind: 'difference' | 'percentageDifference' }>;

function isOneEdit(condition: KernelCondition): condition is Edit {
  return (condition.kind === 'levenshtein' || condition.kind === 'damerauLevenshtein') && condition.limit >= 1 && condition.limit < 2;
}

/** A difference of doubles. */
function isDifference(condition: KernelCondition): condition is Difference {
  return condition.kind === 'difference' && condition.scale === 1 && !condition.isSingle;
}

/** How many differences of the same two columns follow one another from place i on, their limits rising. */
function rungs(conditions: readonly KernelCondition[], i: number): number {
  const first = conditions[i] as Difference;
  let size = 1;
  for (let next = conditions[i + 1]; next && isDifference(next); next = conditions[i + ++size]) {
    const before = conditions[i + size - 1] as Difference;
    if (next.left !== first.left || next.right !== first.right || next.limit < before.limit) break;
  }
  return size;
}

function oneEdit(data: KernelData, { numbers, width, codeAt, signsAt }: Rows, { kind, left: column }: Edit, level: number): Decide {
  const { table } = data.dictionaries[data.dictionaryOf[column]!]!;
  const [code, signs] = [codeAt[column]!, signsAt[column]!];
  const swaps = kind === 'damerauLevenshtein';
  return (left, right, count, levels) => {
    for (let k = 0; k < count; k++) {
      if (levels[k] !== open) continue;
      const x = left[k]! * width;
      const y = right[k]! * width;
      const presenceX = numbers[x + signs]!;
      const repeatsX = numbers[x + signs + 1]!;
      const presenceY = numbers[y + signs]!;
      const repeatsY = numbers[y + signs + 1]!;
      const isBounded = (repeatsX & 255) <= longestBounded && (repeatsY & 255) <= longestBounded;
      if (isBounded && unshared(presenceX, repeatsX, presenceY, repeatsY) > 1) continue;
      if (isBounded && unshared(presenceY, repeatsY, presenceX, repeatsX) > 1) continue;
      if (withinOneEdit(table, numbers[x + code]!, numbers[y + code]!, swaps)) levels[k] = level;
    }
  };
}

function differences(data: KernelData, group: readonly Difference[], first: number): Decide {
  const [a, b] = [data.numbers[group[0]!.left]!, data.numbers[group[0]!.right]!];
  const limits = Float64Array.from(group, ({ limit }) => limit);
  return (left, right, count, levels) => {
    for (let k = 0; k < count; k++) {
      if (levels[k] !== open) continue;
      // NaN, for missing, is within no limit.
      const gap = Math.abs(a[left[k]!]! - b[right[k]!]!);
      for (let rung = 0; rung < limits.length; rung++) {
        if (gap > limits[rung]!) continue;
        if (gap <= limits[rung]!) levels[k] = first + rung;
        break;
      }
    }
  };
}
