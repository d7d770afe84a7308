// Pair features of when the records were written: one person's visits fill one timetable, two people's collide.
//
// Spans and their overlap, how the two lists of visit months interleave, and things that come at a rhythm (check-ups, influenza shots,
// doses of a vaccine) standing too close together when the records are laid side by side. Whole months only.
// Cost: a merge of two ascending lists of months each.

import type { ClinicalContext } from './clinical-context.ts';

export const timingNames = [
  'months between spans',
  'share of the shorter span overlapped',
  'months between first visits',
  'months between last visits',
  'shorter span',
  'longer span',
  'months visited in both records',
  'share of months visited in both records',
  'turns between the records',
  'share of turns between the records',
  'check-ups nearest gap',
  'check-ups too close together',
  'share of check-ups too close together',
  'months lived after death',
];
export const sizeNames = [
  'fewer encounters',
  'more encounters',
  'ratio of encounters',
  'fewer encounters a month',
  'more encounters a month',
];
export const vaccineNames = [
  'influenza shots nearest gap',
  'influenza shots too close together',
  'share of influenza shots too close together',
  'vaccine doses too close together',
  'vaccine doses beyond the usual number',
  'vaccines in both records',
];

/** Merged lists: neighbours from different records, and those of them closer than the limit. */
type Mixed = { turns: number; close: number; shared: number; gap: number };

export function writeTiming(context: ClinicalContext, left: number, right: number, out: Float32Array, at: number): void {
  const { firstMonth, lastMonth, deathMonth, visits, checkUps } = context;
  const first = Math.max(firstMonth[left]!, firstMonth[right]!);
  const last = Math.min(lastMonth[left]!, lastMonth[right]!);
  const spanLeft = lastMonth[left]! - firstMonth[left]! + 1;
  const spanRight = lastMonth[right]! - firstMonth[right]! + 1;
  const mixed: Mixed = { turns: 0, close: 0, shared: 0, gap: 0 };
  const fewest = Math.min(visits.start[left + 1]! - visits.start[left]!, visits.start[right + 1]! - visits.start[right]!);
  mix(visits, left, right, 1, mixed);
  out[at] = first - last;
  out[at + 1] = Math.max(0, last - first + 1) / Math.min(spanLeft, spanRight);
  out[at + 2] = Math.abs(firstMonth[left]! - firstMonth[right]!);
  out[at + 3] = Math.abs(lastMonth[left]! - lastMonth[right]!);
  out[at + 4] = Math.min(spanLeft, spanRight);
  out[at + 5] = Math.max(spanLeft, spanRight);
  out[at + 6] = mixed.shared;
  out[at + 7] = mixed.shared / fewest;
  out[at + 8] = mixed.turns;
  out[at + 9] = mixed.turns / (2 * fewest);
  mix(checkUps, left, right, 10, mixed);
  out[at + 10] = mixed.gap;
  out[at + 11] = mixed.close;
  out[at + 12] = mixed.close / mixed.turns;
  out[at + 13] = later(lastMonth[left]! - deathMonth[right]!, lastMonth[right]! - deathMonth[left]!);
}

export function writeSize(
  { encounters, firstMonth, lastMonth }: ClinicalContext,
  left: number,
  right: number,
  out: Float32Array,
  at: number,
): void {
  const fewer = Math.min(encounters[left]!, encounters[right]!);
  const more = Math.max(encounters[left]!, encounters[right]!);
  const rateLeft = encounters[left]! / (lastMonth[left]! - firstMonth[left]! + 12);
  const rateRight = encounters[right]! / (lastMonth[right]! - firstMonth[right]! + 12);
  out[at] = fewer;
  out[at + 1] = more;
  out[at + 2] = fewer / more;
  out[at + 3] = Math.min(rateLeft, rateRight);
  out[at + 4] = Math.max(rateLeft, rateRight);
}

export function writeVaccines(context: ClinicalContext, left: number, right: number, out: Float32Array, at: number): void {
  const { code, month, start } = context.codes.immunizations;
  const { influenza, vaccineGap, vaccineDoses } = context;
  const mixed: Mixed = { turns: 0, close: 0, shared: 0, gap: 0 };
  let fluGap = Number.NaN;
  let fluClose = 0;
  let fluTurns = 0;
  let close = 0;
  let beyond = 0;
  let shared = 0;
  let i = start[left]!;
  let j = start[right]!;
  const iEnd = start[left + 1]!;
  const jEnd = start[right + 1]!;
  while (i < iEnd && j < jEnd) {
    const vaccine = code[i]!;
    if (vaccine !== code[j]!) {
      if (vaccine < code[j]!) i++;
      else j++;
      continue;
    }
    shared++;
    const iRun = runEnd(code, i, iEnd);
    const jRun = runEnd(code, j, jEnd);
    mixRange(month, { i, iEnd: iRun, j, jEnd: jRun, limit: vaccine === influenza ? 10 : vaccineGap[vaccine]! }, mixed);
    if (vaccine === influenza) {
      fluGap = mixed.gap;
      fluClose = mixed.close;
      fluTurns = mixed.turns;
    } else {
      close += mixed.close;
      beyond += Math.max(0, iRun - i + jRun - j - vaccineDoses[vaccine]!);
    }
    i = iRun;
    j = jRun;
  }
  out[at] = fluGap;
  out[at + 1] = fluTurns === 0 ? Number.NaN : fluClose;
  out[at + 2] = fluClose / fluTurns;
  out[at + 3] = shared === 0 ? Number.NaN : close;
  out[at + 4] = shared === 0 ? Number.NaN : beyond;
  out[at + 5] = shared;
}

/** Merges two records' ascending lists of months; all missing where one has none. */
function mix(
  { start, month }: { readonly start: Int32Array; readonly month: Int16Array },
  left: number,
  right: number,
  limit: number,
  mixed: Mixed,
): void {
  const range = { i: start[left]!, iEnd: start[left + 1]!, j: start[right]!, jEnd: start[right + 1]!, limit };
  mixRange(month, range, mixed);
}

type Range = { readonly i: number; readonly iEnd: number; readonly j: number; readonly jEnd: number; readonly limit: number };

/** Merges `month[i..iEnd]` and `month[j..jEnd]` and looks at neighbours that come from different lists. */
function mixRange(month: Int16Array, { i: iStart, iEnd, j: jStart, jEnd, limit }: Range, mixed: Mixed): void {
  let i = iStart;
  let j = jStart;
  const none = i === iEnd || j === jEnd ? Number.NaN : 0;
  mixed.turns = none;
  mixed.close = none;
  mixed.shared = none;
  mixed.gap = Number.NaN;
  if (none !== 0) return;
  let gap = Number.POSITIVE_INFINITY;
  let before = 0;
  let previous = 0;
  while (i < iEnd || j < jEnd) {
    const isTie = i < iEnd && j < jEnd && month[i] === month[j];
    if (isTie) mixed.shared++;
    if (isTie && before === 0) {
      // Nobody came before: both are taken at once, so that it does not matter which list is left.
      mixed.turns++;
      if (limit > 0) mixed.close++;
      gap = 0;
      i++;
      j++;
      continue;
    }
    // A tie goes to the list that did not give the month before.
    const takesLeft = i < iEnd && (j >= jEnd || month[i]! < month[j]! || (isTie && before === 2));
    const now = takesLeft ? month[i++]! : month[j++]!;
    const from = takesLeft ? 1 : 2;
    if (before !== 0 && before !== from) {
      mixed.turns++;
      if (now - previous < limit) mixed.close++;
      gap = Math.min(gap, now - previous);
    }
    before = from;
    previous = now;
  }
  mixed.gap = gap === Number.POSITIVE_INFINITY ? Number.NaN : gap;
}

/** Where the run of one code that begins here ends. */
function runEnd(code: Int32Array, from: number, end: number): number {
  let at = from;
  while (at < end && code[at] === code[from]) at++;
  return at;
}

/** The greater of two numbers of which either may be missing. */
function later(a: number, b: number): number {
  if (Number.isNaN(a)) return b;
  return Number.isNaN(b) ? a : Math.max(a, b);
}
