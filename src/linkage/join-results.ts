// What several threads found as one result, in arrays that threads share: those that write them read them, too.

import type { KernelResult } from './collect.ts';
import { sharedLike } from './encode.ts';

/** Joins the parts; pairs by (left, right), patterns and shifts by their numbers, so that no trace of the threads remains. */
export function joinResults(parts: readonly KernelResult[]): KernelResult {
  const size = parts.reduce((sum, part) => sum + part.left.length, 0);
  const join = <T extends Int32Array | Float64Array | Uint8Array>(pick: (part: KernelResult) => T): T => {
    const first = pick(parts[0]!);
    if (parts.length === 1) return first;
    const whole = new (first.constructor as new (length: number) => T)(parts.reduce((sum, part) => sum + pick(part).length, 0));
    parts.reduce((at, part) => {
      whole.set(pick(part) as never, at);
      return at + pick(part).length;
    }, 0);
    return whole;
  };
  const [left, right] = [join((part) => part.left), join((part) => part.right)];
  const order = orderOf(left, right);
  const arrange = <T extends Int32Array | Float64Array | Uint8Array>(values: T): T => {
    const arranged = sharedLike(values, size);
    for (let i = 0; i < size; i++) arranged[i] = values[order[i]!]!;
    return arranged;
  };
  const counts = new Map<number, number>();
  for (const { patterns, counts: many } of parts) {
    for (let i = 0; i < patterns.length; i++) counts.set(patterns[i]!, (counts.get(patterns[i]!) ?? 0) + many[i]!);
  }
  const patterns = [...counts.keys()].sort((a, b) => a - b);
  const [shiftedPattern, shift] = [join((part) => part.shiftedPattern), join((part) => part.shift)];
  sortShifts(shiftedPattern, shift);
  return {
    left: arrange(left),
    right: arrange(right),
    weight: arrange(join((part) => part.weight)),
    rule: arrange(join((part) => part.rule)),
    levels: parts[0]!.levels.map((_, c) => arrange(join((part) => part.levels[c]!))),
    patterns: Float64Array.from(patterns),
    counts: Float64Array.from(patterns, (pattern) => counts.get(pattern)!),
    shiftedPattern,
    shift,
  };
}

/** Sorts by pattern, then by shift, in place: pattern by pattern, since numbers alone sort ten times as fast as pairs of them. */
function sortShifts(patterns: Float64Array, shift: Float64Array): void {
  const sizes = new Map<number, number>();
  for (let i = 0; i < patterns.length; i++) sizes.set(patterns[i]!, (sizes.get(patterns[i]!) ?? 0) + 1);
  const lists = new Map([...sizes].map(([pattern, size]) => [pattern, { list: new Float64Array(size), next: 0 }]));
  for (let i = 0; i < shift.length; i++) {
    const one = lists.get(patterns[i]!)!;
    one.list[one.next++] = shift[i]!;
  }
  let at = 0;
  for (const pattern of [...lists.keys()].sort((a, b) => a - b)) {
    const { list } = lists.get(pattern)!;
    shift.set(list.sort(), at);
    patterns.fill(pattern, at, at + list.length);
    at += list.length;
  }
}

/** Places of the pairs by (left, right): a counting sort by left, then each left record's few pairs by right. */
function orderOf(left: Int32Array, right: Int32Array): Uint32Array {
  // By number: loops over values of an array take longer.
  let most = -1;
  for (let pair = 0; pair < left.length; pair++) most = Math.max(most, left[pair]!);
  const starts = new Uint32Array(most + 2);
  for (let pair = 0; pair < left.length; pair++) starts[left[pair]! + 1]! += 1;
  for (let record = 1; record < starts.length; record++) starts[record]! += starts[record - 1]!;
  const next = starts.slice();
  const order = new Uint32Array(left.length);
  for (let pair = 0; pair < left.length; pair++) order[next[left[pair]!]!++] = pair;
  for (let record = 0; record <= most; record++) sortPart(order, right, starts[record]!, starts[record + 1]!);
  return order;
}

const fewPairs = 24;

/** Sorts order[from .. until) by key, in place. */
function sortPart(order: Uint32Array, keys: Int32Array, from: number, until: number): void {
  if (until - from > fewPairs) {
    order.subarray(from, until).sort((a, b) => keys[a]! - keys[b]!);
    return;
  }
  for (let i = from + 1; i < until; i++) {
    const pair = order[i]!;
    const key = keys[pair]!;
    let at = i;
    for (; at > from && keys[order[at - 1]!]! > key; at--) order[at] = order[at - 1]!;
    order[at] = pair;
  }
}
