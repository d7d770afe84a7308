// The kernel's main loop: which pairs of a batch reach the threshold, and on which levels they are.
//
//   1. codes settle missing and equal values; the sum starts with their weights, and with the most that each open comparison can still give
//   2. letter signatures lower what open comparisons can give; what cannot reach the threshold any more is dropped
//   3. the rest is measured, comparison by comparison, those first whose answer lowers the sum most for the work, dropping after each
//
// A signature is asked about one limit of a comparison: the highest below which nearly nothing is left to give. Few values could be that much alike, where
// many could reach the lowest limit.
//
// Worked case: prior -13, threshold -8.6; ssn equal +12, names open (at most +7 each), zip missing 0: bound 13. No letter of the family names agrees
// and the given names share 3 of 6: both else, -4 each: -9, dropped, and no text was touched.
// Cost: pairs x comparisons array reads; text measures only for pairs that survive the bound.

import type { Collector } from './collect.ts';
import { capped, compileDeciders, type Ladder, ladderOf, rowsOf } from './deciders.ts';
import type { KernelComparison, KernelCondition, KernelData, Rows } from './kernel.ts';
import { batchPairs, type VisitBatch } from './pair-source.ts';
import { type QuickWeights, quickStart } from './quick-start.ts';
import { type RarityShift, type RarityTable, rarityShifts, shiftOf } from './rarity.ts';
import { type Decide, open } from './steps.ts';
import { settleUnlike } from './unlike.ts';

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

/** Sums may differ from the bound's in the last bit; this much room keeps a pair at the threshold in. */
const room = 1e-9;

/** Share of what a comparison has to give that the limit its signatures are asked about must take away. */
const tellingShare = 0.8;

/** Keeps the pairs of batches that reach the threshold. */
export function scorer(data: KernelData, job: ScoreJob, found: Collector): VisitBatch {
  const { weights, prior, threshold } = job;
  const comparisons = data.comparisons.map((_, c) => c);
  const deciders = compileDeciders(data);
  const shifts = rarityShifts(data, job.rarity);
  const isUndecided = comparisons.map((c) => job.undecided.includes(c));
  // What an open comparison can give at most: on any level from one on, but for those that codes alone have settled.
  const mostFrom = (c: number, first: number) => {
    const { quickColumn, exactLevel, nullLevel } = data.comparisons[c]!;
    const isSettled = (level: number) => level < first || (quickColumn >= 0 && (level === exactLevel || level === nullLevel));
    return weights[c]!.reduce(
      (largest, weight, level) => (isSettled(level) ? largest : Math.max(largest, weight + (shifts[c]![level]?.most ?? 0))),
      Number.NEGATIVE_INFINITY,
    );
  };
  const most = comparisons.map((c) => mostFrom(c, 0));
  const gain = (c: number) => (most[c]! - weights[c]!.at(-1)!) / measureCost(data.comparisons[c]!.levels);
  const order = comparisons.filter((c) => !isUndecided[c]).sort((a, b) => gain(b) - gain(a) || a - b);
  const rows = rowsOf(data);
  // The comparison that each code of a record's word is for; the others start one by one.
  const together = rows.wordColumns.map((column) => {
    const c = data.comparisons.findIndex(({ quickColumn }) => quickColumn === column);
    const shift = shifts[c]![data.comparisons[c]!.exactLevel];
    return !shift || shift.codes === data.codes[column] ? c : -1;
  });
  const start = quickStart(
    rows,
    prior,
    together.map((c) =>
      c < 0
        ? undefined
        : quickWeights(data.comparisons[c]!, { weights: weights[c]!, shift: shifts[c]![data.comparisons[c]!.exactLevel], most: most[c]! }),
    ),
  );
  const starts = comparisons.flatMap((c) =>
    together.includes(c) ? [] : [{ c, add: startSums(deciders[c]!.quick, { weights: weights[c]!, shifts: shifts[c]!, most: most[c]! }) }],
  );
  const bounds = comparisons.map((c) => {
    const ladder = isUndecided[c] ? undefined : ladderOf(data.comparisons[c]!);
    return (
      ladder && boundsOf(rows, data.comparisons[c]!.quickColumn, ladder, { weights: weights[c]!, most: (first) => mostFrom(c, first) })
    );
  });
  const adders = comparisons.map((c) => addWeights(weights[c]!, shifts[c]!));
  const levels = comparisons.map(() => new Uint8Array(batchPairs));
  const levelsTogether = together.map((c) => levels[c]);
  const before = new Uint8Array(batchPairs);
  const sums = new Float64Array(batchPairs);
  const kept = new Int32Array(batchPairs);

  /** Drops pairs below a sum, unless they are too few to pay for moving the others together: they are met again. */
  const compact = (left: Int32Array, right: Int32Array, count: number, least: number, share: number): number => {
    let size = 0;
    for (let k = 0; k < count; k++) {
      kept[size] = k;
      if (sums[k]! >= least) size++;
    }
    if (count - size <= share * count) return count;
    move(left, kept, size);
    move(right, kept, size);
    move(sums, kept, size);
    for (const one of levels) move(one, kept, size);
    return size;
  };

  const least = threshold - room;
  const worthMoving = 1 / 8;
  const rest = comparisons.reduce((sum, c) => (isUndecided[c] ? sum + most[c]! : sum), 0);
  return (left, right, size, rule) => {
    let count = size;
    start(left, right, count, levelsTogether, sums);
    for (const { c, add } of starts) add(left, right, count, levels[c]!, sums);
    for (const c of order) {
      const bound = bounds[c];
      if (!bound) continue;
      bound.first(left, right, count, levels[c]!, sums);
      count = compact(left, right, count, least, worthMoving);
    }
    for (const c of order) {
      if (count === 0) return;
      const decided = levels[c]!;
      bounds[c]?.second?.(left, right, count, decided, sums);
      before.set(count < batchPairs ? decided.subarray(0, count) : decided);
      deciders[c]!.full(left, right, count, decided);
      const [openMost, cappedMost] = [most[c]!, bounds[c]?.cappedMost ?? 0];
      for (let k = 0; k < count; k++) {
        if (before[k]! < capped) continue;
        const level = decided[k]!;
        const shift = shifts[c]![level];
        const weight = weights[c]![level]! - (before[k] === open ? openMost : cappedMost);
        sums[k]! += shift === undefined ? weight : weight + shiftOf(shift, left[k]!, right[k]!);
      }
      count = compact(left, right, count, least, worthMoving);
    }
    // Added up anew in the comparisons' order: the same sum whatever was settled first.
    sums.fill(prior, 0, count);
    for (const c of comparisons) if (!isUndecided[c]) adders[c]!(left, right, count, levels[c]!, sums);
    count = compact(left, right, count, threshold - rest - (job.undecided.length > 0 ? room : 0), 0);
    found.keep(left, right, count, rule, sums, levels);
  };
}

/** Moves chosen places together at the front. */
function move(values: Int32Array | Float64Array | Uint8Array, chosen: Int32Array, size: number): void {
  for (let i = 0; i < size; i++) values[i] = values[chosen[i]!]!;
}

/** Lowers the sums of open pairs whose values cannot be alike enough. */
type LowerSums = (left: Int32Array, right: Int32Array, count: number, levels: Uint8Array, sums: Float64Array) => void;

/** `first` for all pairs; those it leaves `capped` can give at most `cappedMost`, and `second` asks whether they can be on anything but else. */
type Bounds = { readonly first: LowerSums; readonly second?: LowerSums; readonly cappedMost: number };

function boundsOf(
  rows: Rows,
  column: number,
  { kind, limits }: Ladder,
  { weights, most }: { readonly weights: Float64Array; readonly most: (first: number) => number },
): Bounds {
  const last = weights.length - 1;
  const lastLimit = limits.length - 1;
  const all = most(0);
  const rung = limits.findIndex((_, i) => all - most(3 + i) >= tellingShare * (all - weights[last]!));
  const cappedMost = most(3 + rung);
  const least = { kind, limit: limits[lastLimit]!, to: last };
  if (rung === lastLimit) return { first: settleUnlike(rows, column, { ...least, from: open, fall: weights[last]! - all }), cappedMost };
  return {
    first: settleUnlike(rows, column, { kind, limit: limits[rung]!, from: open, to: capped, fall: cappedMost - all }),
    second: settleUnlike(rows, column, { ...least, from: capped, fall: weights[last]! - cappedMost }),
    cappedMost,
  };
}

/** Adds each pair's weight on the level it is on. */
function addWeights(weights: Float64Array, shifts: readonly (RarityShift | undefined)[]): LowerSums {
  if (shifts.every((shift) => shift === undefined)) {
    return (_left, _right, count, levels, sums) => {
      for (let k = 0; k < count; k++) sums[k]! += weights[levels[k]!]!;
    };
  }
  return (left, right, count, levels, sums) => {
    for (let k = 0; k < count; k++) {
      const shift = shifts[levels[k]!];
      const weight = weights[levels[k]!]!;
      sums[k]! += shift === undefined ? weight : weight + shiftOf(shift, left[k]!, right[k]!);
    }
  };
}

/** Settles what codes alone settle, and adds what each pair's level says; for open ones the most it may. */
function startSums(
  quick: Decide,
  {
    weights,
    shifts,
    most,
  }: { readonly weights: Float64Array; readonly shifts: readonly (RarityShift | undefined)[]; readonly most: number },
): LowerSums {
  const table = new Float64Array(256).fill(most);
  table.set(weights);
  return (left, right, count, levels, sums) => {
    quick(left, right, count, levels);
    for (let k = 0; k < count; k++) {
      const one = shifts[levels[k]!];
      sums[k]! += one ? table[levels[k]!]! + shiftOf(one, left[k]!, right[k]!) : table[levels[k]!]!;
    }
  };
}

/** The same as `quickStart` takes it, for a comparison that equal and missing codes settle. */
function quickWeights(
  { nullLevel, exactLevel, levels }: KernelComparison,
  { weights, shift, most }: { readonly weights: Float64Array; readonly shift: RarityShift | undefined; readonly most: number },
): QuickWeights {
  const different = levels.length === 3 ? 2 : open;
  return {
    nullLevel,
    exactLevel,
    different,
    missingWeight: weights[nullLevel]!,
    equalWeight: weights[exactLevel]!,
    differentWeight: different === open ? most : weights[different]!,
    bits: shift?.bits,
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
