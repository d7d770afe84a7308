// The pairs to look at, in batches: each pair once, from the first rule that produces it.
//
// Idea: a rule is either records lined up by group (every two of a group are a pair) or a list of pairs that the database found. A task is a share of
// one rule. Its pairs are laid into two arrays of a few thousand, (left, right) with left < right, and thinned there, one question at a time over
// the whole batch: same source? part of the sample? does the rule's own filter hold? does an earlier rule produce it too? So every question is a
// short loop over arrays, and nothing is ever looked up in a table of pairs.
//
// Worked case: rules city, zip; records 0 and 1 share both: the pair comes from city; as a pair of zip it is dropped, because its cities agree.
// Cost: O(pairs x earlier rules) array reads; memory one batch a thread.

import { compileCondition, type KernelCondition, type KernelData } from './kernel.ts';

/** One rule made ready to walk. Arrays are shared with workers. */
export type RuleSource =
  /** Group g is `order[starts[g] .. starts[g + 1])`, ascending; `groups` says each record's, -1 for none. */
  | {
      readonly kind: 'groups';
      readonly groups: Int32Array;
      readonly order: Int32Array;
      readonly starts: Int32Array;
      /** What a pair of a group must also fulfil, over `PairSource.filterData`. */
      readonly filter?: KernelCondition;
    }
  /** Pairs by left record: those of record i are `rights[starts[i] .. starts[i + 1])`, ascending. */
  | { readonly kind: 'list'; readonly starts: Int32Array; readonly rights: Int32Array };

/** What every job walks over: rules in order, cut into tasks. */
export type PairSource = {
  readonly rules: readonly RuleSource[];
  /** Rows of [rule, group, groupUntil, from, until]: left members [from, until) of groups [group, groupUntil); the last two only for one cut group. */
  readonly tasks: Int32Array;
  /** `Atomics` counter of the next task to take. */
  readonly next: Int32Array;
  /** Group numbers of the rules that are groups and nothing else, in order, side by side for each record. */
  readonly plainGroups: Int32Array;
  /** Source of each record when pairs within one source are none. */
  readonly origin?: Int32Array;
  readonly filterData?: KernelData;
  /** Keeps about this share of the pairs, chosen by their numbers and a seed. */
  readonly sample?: { readonly share: number; readonly seed: number };
};

/** Numbers that make up a task. */
export const taskWidth = 5;

/** Most pairs of a batch. */
export const batchPairs = 4096;

/** Pairs of one rule, `left[k] < right[k]` for k < count. The arrays are used again: take what is to stay. */
export type VisitBatch = (left: Int32Array, right: Int32Array, count: number, rule: number) => void;

/** Walks the tasks nobody has taken, one a step; the step says false when there was none. */
export function startWalk(source: PairSource, visit: VisitBatch): () => boolean {
  const { rules, tasks, next } = source;
  const left = new Int32Array(batchPairs);
  const right = new Int32Array(batchPairs);
  const thin = rules.map((_, rule) => thinner(source, rule));
  let count = 0;
  const flush = (rule: number) => {
    const kept = thin[rule]!(left, right, count);
    if (kept > 0) visit(left, right, kept, rule);
    count = 0;
  };
  const pairUp = (rule: number, a: number, list: Int32Array, from: number, until: number) => {
    let at = from;
    while (at < until) {
      const stop = Math.min(until, at + batchPairs - count);
      for (; at < stop; at++) {
        left[count] = a;
        right[count++] = list[at]!;
      }
      if (count === batchPairs) flush(rule);
    }
  };
  return () => {
    const at = Atomics.add(next, 0, 1) * taskWidth;
    if (at >= tasks.length) return false;
    const rule = tasks[at]!;
    const made = rules[rule]!;
    const cut = tasks[at + 4]! >= 0;
    for (let group = tasks[at + 1]!; group < tasks[at + 2]!; group++) {
      const from = made.starts[group]!;
      const until = made.starts[group + 1]!;
      if (made.kind === 'list') {
        pairUp(rule, group, made.rights, from, until);
        continue;
      }
      const lastLeft = cut ? Math.min(until, from + tasks[at + 4]!) : until;
      for (let i = from + (cut ? tasks[at + 3]! : 0); i < lastLeft; i++) pairUp(rule, made.order[i]!, made.order, i + 1, until);
    }
    flush(rule);
    return true;
  };
}

/** Drops pairs in place and says how many stay. */
type Thin = (left: Int32Array, right: Int32Array, count: number) => number;

function thinner({ rules, plainGroups, origin, sample, filterData }: PairSource, rule: number): Thin {
  const steps: Thin[] = [];
  if (origin) steps.push(keeping((a, b) => origin[a] !== origin[b]));
  if (sample) steps.push(keeping(drawn(sample)));
  const own = filterOf(rules[rule]!, filterData);
  if (own) steps.push(keeping(own));
  const earlier = rules.slice(0, rule);
  const plain = earlier.filter(isPlain).length;
  if (plain > 0) steps.push(inNoGroup(plainGroups, { first: plain, of: rules.filter(isPlain).length }));
  for (const one of earlier) if (!isPlain(one)) steps.push(producedBy(one, filterData));
  return (left, right, count) => steps.reduce((kept, step) => (kept > 0 ? step(left, right, kept) : 0), count);
}

function keeping(holds: (a: number, b: number) => boolean): Thin {
  return (left, right, count) => {
    let kept = 0;
    for (let k = 0; k < count; k++) {
      const a = left[k]!;
      const b = right[k]!;
      if (!holds(a, b)) continue;
      left[kept] = a;
      right[kept++] = b;
    }
    return kept;
  };
}

/** Drops what an earlier rule produces: one with a filter, or a list. */
function producedBy(earlier: RuleSource, filterData: KernelData | undefined): Thin {
  if (earlier.kind === 'list') {
    const { starts, rights } = earlier;
    return keeping((a, b) => !holdsSorted(rights, starts[a]!, starts[a + 1]!, b));
  }
  const { groups } = earlier;
  const filter = filterOf(earlier, filterData)!;
  return keeping((a, b) => groups[a]! < 0 || groups[a] !== groups[b] || !filter(a, b));
}

/** Drops pairs that share a group of any of the first rules of a record's row. */
function inNoGroup(groups: Int32Array, { first, of: width }: { readonly first: number; readonly of: number }): Thin {
  return (left, right, count) => {
    let kept = 0;
    for (let k = 0; k < count; k++) {
      const a = left[k]! * width;
      const b = right[k]! * width;
      let rule = 0;
      while (rule < first && (groups[a + rule]! < 0 || groups[a + rule] !== groups[b + rule])) rule++;
      left[kept] = left[k]!;
      right[kept] = right[k]!;
      if (rule === first) kept++;
    }
    return kept;
  };
}

function isPlain(rule: RuleSource): rule is Extract<RuleSource, { readonly kind: 'groups' }> {
  return rule.kind === 'groups' && !rule.filter;
}

function sideBySide(rules: readonly RuleSource[]): Int32Array {
  const lists = rules.filter(isPlain).map(({ groups }) => groups);
  const width = lists.length;
  const packed = new Int32Array(new SharedArrayBuffer(4 * width * (lists[0]?.length ?? 0)));
  lists.forEach((list, at) => {
    for (let record = 0; record < list.length; record++) packed[record * width + at] = list[record]!;
  });
  return packed;
}

function filterOf(rule: RuleSource, filterData: KernelData | undefined): ((a: number, b: number) => boolean) | undefined {
  if (rule.kind !== 'groups' || !rule.filter) return undefined;
  const test = compileCondition(rule.filter, filterData!);
  return (a, b) => test(a, b) === 1;
}

function holdsSorted(values: Int32Array, from: number, until: number, wanted: number): boolean {
  let [low, high] = [from, until];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low < until && values[low] === wanted;
}

/** Whether a pair is in the sample: a hash of its numbers against the share, so the same pairs whatever the order. */
function drawn({ share, seed }: Exclude<PairSource['sample'], undefined>): (a: number, b: number) => boolean {
  const limit = share * 2 ** 32;
  return (a, b) => {
    let hash = Math.imul(a ^ Math.imul(seed + 1, 0x27d4eb2d), 0x9e3779b1) ^ Math.imul(b, 0x85ebca77);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
    return (hash ^ (hash >>> 15)) >>> 0 < limit;
  };
}

/** Cuts rules into tasks of about `pairsPerTask` pairs. */
export function planTasks(rules: readonly RuleSource[], pairsPerTask: number): Int32Array {
  const tasks: number[] = [];
  rules.forEach(({ kind, starts }, rule) => {
    let first = 0;
    let gathered = 0;
    const groupCount = starts.length - 1;
    const flush = (until: number) => {
      if (gathered > 0) tasks.push(rule, first, until, 0, -1);
      [first, gathered] = [until, 0];
    };
    for (let group = 0; group < groupCount; group++) {
      const size = starts[group + 1]! - starts[group]!;
      const pairs = kind === 'list' ? size : (size * (size - 1)) / 2;
      if (kind === 'groups' && pairs > 2 * pairsPerTask) {
        flush(group);
        cutGroup(tasks, { rule, group, size, pairsPerTask });
        first = group + 1;
        continue;
      }
      gathered += pairs;
      if (gathered >= pairsPerTask) flush(group + 1);
    }
    flush(groupCount);
  });
  const plan = new Int32Array(new SharedArrayBuffer(4 * tasks.length));
  plan.set(tasks);
  return plan;
}

function cutGroup(
  tasks: number[],
  {
    rule,
    group,
    size,
    pairsPerTask,
  }: { readonly rule: number; readonly group: number; readonly size: number; readonly pairsPerTask: number },
): void {
  let from = 0;
  let gathered = 0;
  for (let left = 0; left < size; left++) {
    gathered += size - 1 - left;
    if (gathered < pairsPerTask && left + 1 < size) continue;
    tasks.push(rule, group, group + 1, from, left + 1);
    [from, gathered] = [left + 1, 0];
  }
}

/** Pairs as a list to walk: by left record, those of one record in the order they are given in. */
export function listSource(recordCount: number, left: Int32Array, right: Int32Array): Extract<RuleSource, { readonly kind: 'list' }> {
  const starts = new Int32Array(new SharedArrayBuffer(4 * (recordCount + 1)));
  const rights = new Int32Array(new SharedArrayBuffer(4 * left.length));
  // By number: loops over values of an array take longer.
  for (let p = 0; p < left.length; p++) starts[left[p]! + 1]! += 1;
  for (let record = 0; record < recordCount; record++) starts[record + 1]! += starts[record]!;
  const next = starts.slice();
  for (let p = 0; p < left.length; p++) rights[next[left[p]!]!++] = right[p]!;
  return { kind: 'list', starts, rights };
}

/** Rules as every job walks them: tasks of a fair size and a counter at the first. */
export function createPairSource(
  rules: readonly RuleSource[],
  more: Pick<PairSource, 'origin' | 'filterData' | 'sample'> = {},
  pairsPerTask = 50_000,
): PairSource {
  const next = new Int32Array(new SharedArrayBuffer(4));
  return { rules, tasks: planTasks(rules, pairsPerTask), next, plainGroups: sideBySide(rules), ...more };
}

/** The same source with one rule's tasks alone: the pairs that no rule before it produces. */
export function tasksOfRule(source: PairSource, rule: number): PairSource {
  const tasks: number[] = [];
  for (let at = 0; at < source.tasks.length; at += taskWidth) {
    if (source.tasks[at] === rule) tasks.push(...source.tasks.subarray(at, at + taskWidth));
  }
  return { ...source, tasks: Int32Array.from(tasks), next: new Int32Array(new SharedArrayBuffer(4)) };
}
