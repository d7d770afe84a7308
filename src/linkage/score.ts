// The kernel's jobs over batches of pairs: score and keep, count patterns of levels, or list.
//
// Score, for a batch of one rule's pairs:
//   1. codes settle missing and equal values; the sum starts with their weights, and with the most that each open comparison can still give
//   2. letter signatures settle comparisons that can only be on `else`; what cannot reach the threshold any more is dropped
//   3. the rest is measured, comparison by comparison, those first whose answer lowers the sum most for the work, dropping after each
// What is kept is sorted by (left, right) at the end (workers.ts), so neither threads nor task order show.
//
// Worked case: prior -13, threshold -8.6; ssn equal +12, names open (at most +7 each), zip missing 0: bound 13. No letter of the family names agrees
// and the given names share 3 of 6: both else, -4 each: -9, dropped, and no text was touched.
// Cost: pairs x comparisons array reads; text measures only for pairs that survive the bound.

import { type Collector, collector, type KernelResult } from './collect.ts';
import { compileDeciders, type Decide, decideBatch, open, rowsOf } from './deciders.ts';
import type { KernelCondition, KernelData, Rows } from './kernel.ts';
import { batchPairs, type PairSource, startWalk, type VisitBatch } from './pair-source.ts';
import { type RarityShift, type RarityTable, rarityShifts, shiftOf } from './rarity.ts';

export type ScoreJob = {
  readonly kind: 'score';
  /** Weight (log2) of each level, by comparison. */
  readonly weights: readonly Float64Array[];
  /** What a shared value's rarity is measured against, by comparison and level. */
  readonly rarity: RarityTable;
  readonly prior: number;
  readonly threshold: number;
  /** Comparisons that only DuckDB can decide: they may give their best weight, count nothing yet, and their level stays open. */
  readonly undecided: readonly number[];
};

export type CountJob = {
  readonly kind: 'count';
  /** Comparisons whose levels make up the pattern; none to count pairs. */
  readonly active: readonly number[];
  /** As for scoring: the rarity of a shared value shifts its pair within its pattern. */
  readonly rarity: RarityTable;
};

/** `tally`: pairs on each level, by comparison; its patterns are places in the row of all comparisons' levels. */
export type KernelJob = ScoreJob | CountJob | { readonly kind: 'tally' } | { readonly kind: 'list' };

/** A job under way: `step` does the next task nobody has taken and says false when there was none. */
export type RunningJob = { readonly step: () => boolean; readonly result: () => KernelResult };

/** Begins a job. The same for one thread and for each of several. */
export function startJob(data: KernelData, source: PairSource, job: KernelJob): RunningJob {
  const found = collector(job.kind === 'score' ? data.comparisons.length : 0, patternCount(data, job));
  return { step: startWalk(source, visitor(data, job, found)), result: found.result };
}

function visitor(data: KernelData, job: KernelJob, found: Collector): VisitBatch {
  switch (job.kind) {
    case 'score':
      return scorer(data, job, found);
    case 'count':
      return counter(data, job, found);
    case 'tally':
      return tallier(data, found);
    case 'list':
      return lister(found);
  }
}

function patternCount({ comparisons }: KernelData, job: KernelJob): number {
  if (job.kind === 'count') return job.active.reduce((product, c) => product * comparisons[c]!.levels.length, 1);
  return job.kind === 'tally' ? comparisons.reduce((sum, { levels }) => sum + levels.length, 0) : 0;
}

/** Sums may differ from the bound's in the last bit; this much room keeps a pair at the threshold in. */
const room = 1e-9;

function scorer(data: KernelData, job: ScoreJob, found: Collector): VisitBatch {
  const { weights, prior, threshold } = job;
  const comparisons = data.comparisons.map((_, c) => c);
  const deciders = compileDeciders(data);
  const shifts = rarityShifts(data, job.rarity);
  const isUndecided = comparisons.map((c) => job.undecided.includes(c));
  // What an open comparison can give at most: on any level, or on one that codes alone have not settled.
  const most = comparisons.map((c) => {
    const { quickColumn, exactLevel, nullLevel } = data.comparisons[c]!;
    const isSettled = (level: number) => quickColumn >= 0 && (level === exactLevel || level === nullLevel);
    return weights[c]!.reduce(
      (largest, weight, level) => (isSettled(level) ? largest : Math.max(largest, weight + (shifts[c]![level]?.most ?? 0))),
      Number.NEGATIVE_INFINITY,
    );
  });
  const gain = (c: number) => (most[c]! - weights[c]!.at(-1)!) / measureCost(data.comparisons[c]!.levels);
  const order = comparisons.filter((c) => !isUndecided[c]).sort((a, b) => gain(b) - gain(a) || a - b);
  const rows = rowsOf(data);
  const starts = comparisons.map((c) =>
    startSums(data, rows, c, { quick: deciders[c]!.quick, weights: weights[c]!, shifts: shifts[c]!, most: most[c]! }),
  );
  const levels = comparisons.map(() => new Uint8Array(batchPairs));
  const sums = new Float64Array(batchPairs);

  const least = threshold - room;
  /** Drops pairs that cannot reach the threshold, unless they are too few to pay for moving the others together: they are met again. */
  const compact = (left: Int32Array, right: Int32Array, count: number): number => {
    let lost = 0;
    for (let k = 0; k < count; k++) if (sums[k]! < least) lost++;
    if (8 * lost < count) return count;
    let kept = 0;
    for (let k = 0; k < count; k++) {
      if (sums[k]! < least) continue;
      if (kept !== k) {
        left[kept] = left[k]!;
        right[kept] = right[k]!;
        sums[kept] = sums[k]!;
        for (const one of levels) one[kept] = one[k]!;
      }
      kept++;
    }
    return kept;
  };
  const weigh = (c: number, level: number, left: number, right: number): number => {
    const shift = shifts[c]![level];
    return shift === undefined ? weights[c]![level]! : weights[c]![level]! + shiftOf(shift, left, right);
  };

  return (left, right, size, rule) => {
    let count = size;
    sums.fill(prior, 0, count);
    for (const c of comparisons) starts[c]!(left, right, count, levels[c]!, sums);
    count = compact(left, right, count);
    for (const c of order) {
      const bound = deciders[c]!.bound;
      if (!bound || count === 0) continue;
      const last = weights[c]!.length - 1;
      const found = levels[c]!;
      const fall = weights[c]![last]! - most[c]!;
      const wasOpen = openBefore(found, count);
      bound(left, right, count, found);
      for (let k = 0; k < count; k++) if (wasOpen[k] === open && found[k] === last) sums[k]! += fall;
      count = compact(left, right, count);
    }
    for (const c of order) {
      if (count === 0) return;
      const found = levels[c]!;
      const wasOpen = openBefore(found, count);
      deciders[c]!.full(left, right, count, found);
      for (let k = 0; k < count; k++) {
        if (wasOpen[k] === open) sums[k]! += weigh(c, found[k]!, left[k]!, right[k]!) - most[c]!;
      }
      count = compact(left, right, count);
    }
    for (let k = 0; k < count; k++) {
      // Added up anew in the comparisons' order: the same sum whatever was settled first.
      let weight = prior;
      let rest = 0;
      for (const c of comparisons) {
        if (isUndecided[c]) rest += most[c]!;
        else weight += weigh(c, levels[c]![k]!, left[k]!, right[k]!);
      }
      if (weight + rest < threshold - (job.undecided.length > 0 ? room : 0)) continue;
      found.keep(left[k]!, right[k]!, rule, weight, levels, k);
    }
  };
}

const before = new Uint8Array(batchPairs);

function openBefore(levels: Uint8Array, count: number): Uint8Array {
  before.set(levels.subarray(0, count));
  return before;
}

/** Settles what codes alone settle, and adds what each pair's level says; for open ones the most it may. */
type StartSums = (left: Int32Array, right: Int32Array, count: number, levels: Uint8Array, sums: Float64Array) => void;

function startSums(
  data: KernelData,
  rows: Rows,
  c: number,
  {
    quick,
    weights,
    shifts,
    most,
  }: {
    readonly quick: Decide;
    readonly weights: Float64Array;
    readonly shifts: readonly (RarityShift | undefined)[];
    readonly most: number;
  },
): StartSums {
  const { quickColumn, nullLevel, exactLevel, levels: all } = data.comparisons[c]!;
  const shift = shifts[exactLevel];
  const table = new Float64Array(256).fill(most);
  table.set(weights);
  if (quickColumn < 0 || (shift && shift.codes !== data.codes[quickColumn])) {
    return (left, right, count, levels, sums) => {
      quick(left, right, count, levels);
      for (let k = 0; k < count; k++) {
        const one = shifts[levels[k]!];
        sums[k]! += one ? table[levels[k]!]! + shiftOf(one, left[k]!, right[k]!) : table[levels[k]!]!;
      }
    };
  }
  // The common case, most of all work: written out.
  const { numbers, width, codeAt } = rows;
  const at = codeAt[quickColumn]!;
  const different = all.length === 3 ? 2 : open;
  const [missingWeight, equalWeight, differentWeight] = [table[nullLevel]!, table[exactLevel]!, table[different]!];
  const bits = shift?.bits;
  return (left, right, count, levels, sums) => {
    for (let k = 0; k < count; k++) {
      const x = numbers[left[k]! * width + at]!;
      const y = numbers[right[k]! * width + at]!;
      let level = different;
      let weight = differentWeight;
      if ((x | y) < 0) {
        level = nullLevel;
        weight = missingWeight;
      } else if (x === y) {
        level = exactLevel;
        weight = bits ? equalWeight + bits[x]! : equalWeight;
      }
      levels[k] = level;
      sums[k] = sums[k]! + weight;
    }
  };
}

/** Rough cost of deciding a comparison: an array read counts 1, a text measure 10. */
function measureCost(levels: readonly KernelCondition[]): number {
  const cost = (condition: KernelCondition): number => {
    if (condition.kind === 'and' || condition.kind === 'or') return condition.conditions.reduce((sum, one) => sum + cost(one), 0);
    if (condition.kind === 'not') return cost(condition.condition);
    return 'limit' in condition && condition.kind !== 'difference' ? 10 : 1;
  };
  return levels.reduce((sum, level) => sum + cost(level), 0);
}

function counter(data: KernelData, { active, rarity }: CountJob, found: Collector): VisitBatch {
  const deciders = compileDeciders(data);
  const shifts = rarityShifts(data, rarity);
  const levels = new Uint8Array(batchPairs);
  const patterns = new Float64Array(batchPairs);
  const bits = new Float64Array(batchPairs);
  const isShifted = new Uint8Array(batchPairs);
  return (left, right, count) => {
    patterns.fill(0, 0, count);
    bits.fill(0, 0, count);
    isShifted.fill(0, 0, count);
    for (const c of active) {
      decideBatch(deciders[c]!, left, right, count, levels);
      const base = data.comparisons[c]!.levels.length;
      for (let k = 0; k < count; k++) patterns[k] = patterns[k]! * base + levels[k]!;
      shifts[c]!.forEach((shift, level) => {
        if (shift === undefined) return;
        for (let k = 0; k < count; k++) {
          if (levels[k] !== level) continue;
          bits[k]! += shiftOf(shift, left[k]!, right[k]!);
          isShifted[k] = 1;
        }
      });
    }
    for (let k = 0; k < count; k++) {
      if (isShifted[k] === 1) found.shifted(patterns[k]!, bits[k]!);
      else found.count(patterns[k]!, 1);
    }
  };
}

function tallier(data: KernelData, found: Collector): VisitBatch {
  const deciders = compileDeciders(data);
  const levels = new Uint8Array(batchPairs);
  return (left, right, count) => {
    let place = 0;
    data.comparisons.forEach((comparison, c) => {
      if (comparison.levels.length === 0) return;
      decideBatch(deciders[c]!, left, right, count, levels);
      const tally = new Float64Array(comparison.levels.length);
      for (let k = 0; k < count; k++) tally[levels[k]!]! += 1;
      for (const pairs of tally) found.count(place++, pairs);
    });
  };
}

function lister(found: Collector): VisitBatch {
  return (left, right, count, rule) => {
    for (let k = 0; k < count; k++) found.keep(left[k]!, right[k]!, rule, 0, [], k);
  };
}
