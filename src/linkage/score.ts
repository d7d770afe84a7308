// The kernel's loops: over blocks of records, each pair once, keeping only what can pass.
//
// A task is a share of one rule's blocks (blocking.ts). For each pair of a task:
//   1. skip it when an earlier rule produces it too (two group numbers agree), or when both records are of one source that may not pair
//   2. bound: for each comparison the weight it gives (missing: 0; equal values: the exact weight with its rarity) or the most it can still give;
//      drop the pair when the sum stays below the threshold. Two array reads a comparison, no text touched
//   3. the levels left open one by one, dropping as soon as the rest cannot lift the sum to the threshold
// What is kept is sorted by (left, right) at the end, so neither threads nor task order show.
//
// Worked case: prior -13, threshold -8.6; ssn equal +12, names open (at most +7 each), zip missing 0: bound 13, so names are looked at.
// Cost: pairs x comparisons array reads; text measures only for pairs that survive the bound.

import type { Blocks } from './blocking.ts';
import { taskWidth } from './blocking.ts';
import { compileLevels, type KernelCondition, type KernelData } from './kernel.ts';

/** What every job walks over: rules made ready, their group numbers side by side, and the tasks they were cut into. */
export type PairSource = {
  readonly blocks: readonly Pick<Blocks, 'order' | 'starts'>[];
  readonly packedGroups: Int32Array;
  readonly tasks: Int32Array;
  /** `Atomics` counter of the next task to take. */
  readonly next: Int32Array;
};

/** log2 of the u that the frequency of a shared value is measured against, and the share of the difference that counts. */
export type Rarity = { readonly log2U: number; readonly weight: number; readonly minimumU: number };

export type KernelJob =
  | {
      readonly kind: 'score';
      /** Weight (log2) of each level, by comparison. */
      readonly weights: readonly Float64Array[];
      /** What a shared value's rarity is measured against, by comparison and level. */
      readonly rarity: readonly (readonly (Rarity | undefined)[])[];
      readonly prior: number;
      readonly threshold: number;
      /** Comparisons that only DuckDB can decide: they may give their best weight, count nothing yet, and their level stays open. */
      readonly undecided: readonly number[];
    }
  | {
      readonly kind: 'count';
      /** Comparisons whose levels make up the pattern. */
      readonly active: readonly number[];
      /** As for scoring: the rarity of a shared value shifts its pair within its pattern. */
      readonly rarity: Extract<KernelJob, { readonly kind: 'score' }>['rarity'];
    }
  | { readonly kind: 'list' };

export type KernelResult = {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly weight: Float64Array;
  /** Rule that produced each pair. */
  readonly rule: Uint8Array;
  /** Level of each pair, by comparison; 255 where undecided. */
  readonly levels: readonly Uint8Array[];
  /** For `count`: pattern keys (levels of the active comparisons as digits, each in base of its number of levels), how many pairs have them, and the pairs that rarity shifts (pattern key, shift in bits). */
  readonly patterns: Float64Array;
  readonly counts: Float64Array;
  readonly shiftedPattern: Float64Array;
  readonly shift: Float64Array;
};

/** A job under way: `step` does the next task nobody has taken and says false when there was none. */
export type RunningJob = { readonly step: () => boolean; readonly result: () => KernelResult };

/** Begins a job. The same for one thread and for each of several. */
export function startJob(data: KernelData, source: PairSource, job: KernelJob): RunningJob {
  const patternCount = job.kind === 'count' ? job.active.reduce((product, c) => product * data.comparisons[c]!.levels.length, 1) : 0;
  const found = collector(data.comparisons.length, patternCount);
  const visit = job.kind === 'score' ? scorer(data, job, found) : job.kind === 'count' ? counter(data, job, found) : lister(found);
  const { tasks, next } = source;
  return {
    step: () => {
      const task = Atomics.add(next, 0, 1);
      if (task * taskWidth >= tasks.length) return false;
      walk(data, source, task, visit);
      return true;
    },
    result: found.result,
  };
}

type Visit = (left: number, right: number, rule: number) => void;

function walk({ source: origin }: KernelData, { blocks, packedGroups, tasks }: PairSource, task: number, visit: Visit): void {
  const at = task * taskWidth;
  const rule = tasks[at]!;
  const { order, starts } = blocks[rule]!;
  const rules = blocks.length;
  for (let group = tasks[at + 1]!; group < tasks[at + 2]!; group++) {
    const until = starts[group + 1]!;
    const cut = tasks[at + 4]! >= 0;
    const firstLeft = starts[group]! + (cut ? tasks[at + 3]! : 0);
    const lastLeft = cut ? Math.min(until, starts[group]! + tasks[at + 4]!) : until;
    for (let i = firstLeft; i < lastLeft; i++) {
      const left = order[i]!;
      const leftGroups = left * rules;
      for (let j = i + 1; j < until; j++) {
        const right = order[j]!;
        if (origin !== undefined && origin[left] === origin[right]) continue;
        const rightGroups = right * rules;
        let earlier = 0;
        while (earlier < rule) {
          const mine = packedGroups[leftGroups + earlier]!;
          if (mine >= 0 && mine === packedGroups[rightGroups + earlier]) break;
          earlier++;
        }
        if (earlier === rule) visit(left, right, rule);
      }
    }
  }
}

function scorer(data: KernelData, job: Extract<KernelJob, { readonly kind: 'score' }>, found: Collector): Visit {
  const { weights, prior, threshold, undecided } = job;
  const count = data.comparisons.length;
  const levelOf = compileLevels(data);
  const shifts = rarityShifts(data, job.rarity);
  const quick = data.comparisons.map(({ quickColumn }) => (quickColumn < 0 ? undefined : data.codes[quickColumn]!));
  const isUndecided = data.comparisons.map((_, c) => undecided.includes(c));
  const nullLevel = data.comparisons.map((one) => one.nullLevel);
  const exactLevel = data.comparisons.map((one) => one.exactLevel);
  /** The most a comparison can give: on any level, and on one that is neither missing nor the quick equal one. */
  const greatest = (c: number, isOpen: (level: number) => boolean) =>
    weights[c]!.reduce(
      (most, weight, level) => (isOpen(level) ? Math.max(most, weight + largestShift(shifts[c]![level])) : most),
      Number.NEGATIVE_INFINITY,
    );
  const most = weights.map((_, c) => greatest(c, () => true));
  const mostOpen = weights.map((_, c) => greatest(c, (level) => level !== exactLevel[c] && !(level === nullLevel[c] && quick[c])));
  // What is left open is looked at where the bound falls furthest for the work: nearly all pairs end on a comparison's last level.
  const gain = (c: number) => (mostOpen[c]! - weights[c]!.at(-1)!) / measureCost(data.comparisons[c]!.levels);
  const order = weights.flatMap((_, c) => (isUndecided[c] ? [] : [c])).sort((a, b) => gain(b) - gain(a) || a - b);
  const bounds = new Float64Array(count);
  const levels = new Int16Array(count);
  /** Sums may differ from the bound's in the last bit; this much room keeps a pair at the threshold in. */
  const room = 1e-9;

  const weigh = (c: number, level: number, left: number, right: number): number => {
    const shift = shifts[c]![level];
    return shift === undefined ? weights[c]![level]! : weights[c]![level]! + shiftOf(shift, left, right);
  };

  return (left, right, rule) => {
    let bound = prior;
    for (let c = 0; c < count; c++) {
      const codes = quick[c];
      let value = most[c]!;
      let level = -1;
      if (codes !== undefined) {
        const x = codes[left]!;
        const y = codes[right]!;
        level = x < 0 || y < 0 ? nullLevel[c]! : x === y ? exactLevel[c]! : -1;
        value = level < 0 ? mostOpen[c]! : weigh(c, level, left, right);
      }
      levels[c] = level;
      bounds[c] = value;
      bound += value;
    }
    if (bound < threshold - room) return;
    for (const c of order) {
      if (levels[c]! >= 0) continue;
      const level = levelOf[c]!(left, right);
      const value = weigh(c, level, left, right);
      bound += value - bounds[c]!;
      if (bound < threshold - room) return;
      levels[c] = level;
      bounds[c] = value;
    }
    let weight = prior;
    let open = 0;
    for (let c = 0; c < count; c++) {
      if (isUndecided[c]) open += bounds[c]!;
      else weight += bounds[c]!;
    }
    if (weight + open < threshold - (undecided.length > 0 ? room : 0)) return;
    found.keep(left, right, rule, weight, levels);
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

/** Where the rarity of a shared value shifts a pair's weight: the values' codes and shares, and what they are measured against. */
export type RarityShift = Rarity & { readonly codes: Int32Array; readonly share: Float64Array };

/** The shifts of each comparison's levels. */
export function rarityShifts(
  data: KernelData,
  rarity: readonly (readonly (Rarity | undefined)[])[],
): readonly (readonly (RarityShift | undefined)[])[] {
  return data.comparisons.map(({ frequencies }, c) =>
    frequencies.map((frequency, level) => {
      const measured = rarity[c]?.[level];
      return frequency && measured ? { ...measured, codes: data.codes[frequency.column]!, share: frequency.share } : undefined;
    }),
  );
}

/** Bits that the rarity of a shared value adds: weight x log2(u / max(share of left, share of right, minimum)). */
export function shiftOf({ codes, share, log2U, weight, minimumU }: RarityShift, left: number, right: number): number {
  const x = codes[left]!;
  const y = codes[right]!;
  if (x < 0 && y < 0) return 0;
  const frequency = Math.max(x < 0 ? 0 : share[x]!, y < 0 ? 0 : share[y]!, minimumU);
  return weight * (log2U - Math.log2(frequency));
}

function largestShift(shift: RarityShift | undefined): number {
  if (shift === undefined) return 0;
  const { share, log2U, weight, minimumU } = shift;
  const least = share.reduce((smallest, value) => (value > 0 && value < smallest ? value : smallest), 1);
  return Math.max(0, weight * (log2U - Math.log2(Math.max(least, minimumU))));
}

function counter(data: KernelData, { active, rarity }: Extract<KernelJob, { readonly kind: 'count' }>, found: Collector): Visit {
  const levelOf = compileLevels(data);
  const shifts = rarityShifts(data, rarity);
  return (left, right) => {
    let pattern = 0;
    let bits = 0;
    let isShifted = false;
    for (const c of active) {
      const level = levelOf[c]!(left, right);
      pattern = pattern * data.comparisons[c]!.levels.length + level;
      const shift = shifts[c]![level];
      if (shift === undefined) continue;
      bits += shiftOf(shift, left, right);
      isShifted = true;
    }
    if (isShifted) found.shifted(pattern, bits);
    else found.count(pattern);
  };
}

function lister(found: Collector): Visit {
  const none = new Int16Array(0);
  return (left, right, rule) => found.keep(left, right, rule, 0, none);
}

type Collector = ReturnType<typeof collector>;

/** Patterns are counted in an array while it stays below 32 MB. */
const mostDensePatterns = 4e6;

/** Growing lists of what was found. */
function collector(comparisonCount: number, patternCount: number) {
  let room = 1024;
  let size = 0;
  let left = new Int32Array(room);
  let right = new Int32Array(room);
  let weight = new Float64Array(room);
  let rules = new Uint8Array(room);
  let levels = Array.from({ length: comparisonCount }, () => new Uint8Array(room));
  const dense = patternCount <= mostDensePatterns ? new Float64Array(patternCount) : undefined;
  const sparse = new Map<number, number>();
  let shifts = 0;
  let shiftedPattern = new Float64Array(room);
  let shift = new Float64Array(room);
  const grow = <T extends Int32Array | Float64Array | Uint8Array>(array: T, length: number): T => {
    const wider = new (array.constructor as new (length: number) => T)(length);
    wider.set(array as never);
    return wider;
  };
  return {
    keep: (l: number, r: number, rule: number, w: number, pairLevels: Int16Array) => {
      if (size === room) {
        room *= 2;
        [left, right, weight, rules] = [grow(left, room), grow(right, room), grow(weight, room), grow(rules, room)];
        levels = levels.map((list) => grow(list, room));
      }
      left[size] = l;
      right[size] = r;
      weight[size] = w;
      rules[size] = rule;
      for (let c = 0; c < comparisonCount; c++) levels[c]![size] = (pairLevels[c] ?? -1) & 255;
      size++;
    },
    count: (pattern: number) => {
      if (dense) dense[pattern]! += 1;
      else sparse.set(pattern, (sparse.get(pattern) ?? 0) + 1);
    },
    shifted: (pattern: number, bits: number) => {
      if (shifts === shift.length) [shiftedPattern, shift] = [grow(shiftedPattern, 2 * shifts), grow(shift, 2 * shifts)];
      shiftedPattern[shifts] = pattern;
      shift[shifts++] = bits;
    },
    result: (): KernelResult => {
      dense?.forEach((count, pattern) => {
        if (count > 0) sparse.set(pattern, count);
      });
      const patterns = [...sparse.keys()].sort((a, b) => a - b);
      return {
        left: left.slice(0, size),
        right: right.slice(0, size),
        weight: weight.slice(0, size),
        rule: rules.slice(0, size),
        levels: levels.map((list) => list.slice(0, size)),
        patterns: Float64Array.from(patterns),
        counts: Float64Array.from(patterns, (pattern) => sparse.get(pattern)!),
        shiftedPattern: shiftedPattern.slice(0, shifts),
        shift: shift.slice(0, shifts),
      };
    },
  };
}
