// From scored pairs to clusters of records.
//
// connectedComponents: everything joined by a chain of links is one cluster. One wrong link merges two patients.
//
// meanLinkage: start with every record alone; again and again join the two clusters whose cross pairs have the highest mean
// log-odds, until the best mean is no longer above zero. A pair nobody scored counts against (`unseen`), so one strong link
// cannot bridge two groups that otherwise do not know each other.
//
//   mean(A, B) = 1/(|A||B|) sum over a in A, b in B of [ clip(logOdds(a, b)) - forbid(a, b) ],   clip to [-c, c], unseen pairs -c
//   sum(A u B, C) = sum(A, C) + sum(B, C), so a merge only touches neighbours of A and B
//
// Worked case (c = 8): links 0-1: 5, 2-3: 5, 1-2: 6. First 1-2 (mean 6); then 0 against {1 2}: (5 - 8)/2 < 0, likewise 3: three clusters.
// With 1-2: 4 instead, {0 1} and {2 3} form and their mean (4 - 8 - 8 - 8)/4 < 0 keeps them apart; the closure joins all four.
// A mean above zero needs a link above zero, so clusters never leave a component of positive links: components are solved one by one.
// Cost O(L log L) for L links while clusters stay small, plus |A||C| calls of `forbid` for each pair of neighbours that no link joins.
// Source: average linkage (UPGMA), Sokal and Michener 1958, on log-odds instead of distances.

import { UserError } from '../base/errors.ts';
import { createPairQueue } from './pair-queue.ts';

/**
 * Clusters of records that any chain of links joins.
 *
 * @param count number of records, 0..count-1
 * @returns cluster number of each record; clusters are numbered in order of their smallest member
 * @example connectedComponents(4, [1], [3]) // 0 1 2 1
 */
export function connectedComponents(count: number, left: ArrayLike<number>, right: ArrayLike<number>): Int32Array {
  checkLinks(count, left, right);
  const parent = new Int32Array(count).map((_, i) => i);
  for (let k = 0; k < left.length; k++) join(parent, left[k]!, right[k]!);
  return numberBySmallestMember(parent);
}

/** The links of at least a weight (or probability): both sides' record numbers. */
export function strongLinks(
  { left, right, weight }: { readonly left: Int32Array; readonly right: Int32Array; readonly weight: Float64Array },
  least: number,
): { readonly left: Int32Array; readonly right: Int32Array } {
  let count = 0;
  for (let k = 0; k < weight.length; k++) if (weight[k]! >= least) count++;
  const strong = { left: new Int32Array(count), right: new Int32Array(count) };
  for (let k = 0, at = 0; k < weight.length; k++) {
    if (!(weight[k]! >= least)) continue;
    strong.left[at] = left[k]!;
    strong.right[at++] = right[k]!;
  }
  return strong;
}

export type MeanLinkageOptions = {
  /** Number of records, 0..count-1. */
  readonly count: number;
  readonly left: ArrayLike<number>;
  readonly right: ArrayLike<number>;
  /** Natural log-odds that left and right are one patient. A pair given twice counts once, with its higher value. */
  readonly logOdds: ArrayLike<number>;
  /** Penalty in nats for putting records a and b (a < b) into one cluster, linked or not: 0 = none, Infinity = never. */
  readonly forbid?: (a: number, b: number) => number;
  /** Links count at most this much for or against, so that no single overconfident link decides. */
  readonly clip?: number;
  /** What a pair without a link counts; at most 0. */
  readonly unseen?: number;
};

/**
 * Clusters by descending mean log-odds between clusters, over all cross pairs, stopping at zero.
 *
 * Ties are taken lowest members first: the result depends neither on the order of the pairs nor on which side is left.
 *
 * @returns cluster number of each record; clusters are numbered in order of their smallest member
 * @throws UserError `linkage.cluster` for unusable links or limits
 * @example meanLinkage({ count: 3, left: [0, 1], right: [1, 2], logOdds: [5, 4] }) // 0 0 1: nothing speaks for 0-2
 */
export function meanLinkage({ count, left, right, logOdds, forbid, clip = 8, unseen = -clip }: MeanLinkageOptions): Int32Array {
  checkLinks(count, left, right, logOdds);
  if (!(clip > 0 && clip < Number.POSITIVE_INFINITY)) throw fault(`clip is not a positive number: ${clip}`);
  if (!(unseen <= 0)) throw fault(`unseen is above 0: ${unseen}; a pair nobody scored cannot speak for a match`);

  const parent = new Int32Array(count).map((_, i) => i);
  for (let k = 0; k < left.length; k++) if (logOdds[k]! > 0) join(parent, left[k]!, right[k]!);
  const { order, start } = groupByRoot(parent);
  const linksOf = groupLinks({ parent, left, right });

  const cluster = new Int32Array(count).map((_, i) => i);
  const local = new Int32Array(count);
  for (let component = 0; component + 1 < start.length; component++) {
    const members = order.subarray(start[component], start[component + 1]);
    if (members.length < 2) continue;
    members.forEach((member, i) => {
      local[member] = i;
    });
    const links = linksOf(members[0]!)
      .map((k) => ({ a: local[left[k]!]!, b: local[right[k]!]!, value: Math.max(-clip, Math.min(clip, logOdds[k]!)) }))
      // A link that counts as much as no link need not be remembered: in real data that is most of them.
      .filter((link) => link.value !== unseen);
    const penalty = forbid && ((a: number, b: number) => checkedPenalty(forbid(members[a]!, members[b]!)));
    agglomerate({ size: members.length, links, penalty, unseen }).forEach((first, i) => {
      cluster[members[i]!] = members[first]!;
    });
  }
  return numberBySmallestMember(cluster);
}

type Link = { readonly a: number; readonly b: number; readonly value: number };

/** Solves one component of `size` records; gives each its cluster's smallest member. */
function agglomerate({
  size,
  links,
  penalty,
  unseen,
}: {
  readonly size: number;
  readonly links: readonly Link[];
  readonly penalty: ((a: number, b: number) => number) | undefined;
  readonly unseen: number;
}): Int32Array {
  // sums[a].get(b): sum over all cross pairs of clusters a and b, kept only where a link touches both.
  const sums = Array.from({ length: size }, () => new Map<number, number>());
  const members: number[][] = Array.from({ length: size }, (_, i) => [i]);
  const queue = createPairQueue(links.length);
  const mean = (a: number, b: number) => sums[a]!.get(b)! / (members[a]!.length * members[b]!.length);
  const offer = (a: number, b: number) => {
    const score = mean(a, b);
    if (score > 0) queue.push(score, Math.min(a, b), Math.max(a, b));
  };
  const unlinkedSum = (a: number, b: number) => {
    let sum = unseen * members[a]!.length * members[b]!.length;
    if (penalty) for (const x of members[a]!) for (const y of members[b]!) sum -= penalty(Math.min(x, y), Math.max(x, y));
    return sum;
  };

  for (const { a, b, value } of links) {
    const [low, high] = a < b ? [a, b] : [b, a];
    const sum = value - (penalty ? penalty(low, high) : 0);
    if (sum <= (sums[low]!.get(high) ?? Number.NEGATIVE_INFINITY)) continue;
    sums[low]!.set(high, sum);
    sums[high]!.set(low, sum);
  }
  for (let a = 0; a < size; a++) for (const b of sums[a]!.keys()) if (a < b) offer(a, b);

  const first = Int32Array.from({ length: size }, (_, i) => i);
  for (let next = queue.pop(); next; next = queue.pop()) {
    const { score, a, b } = next;
    // An entry is stale when either cluster was swallowed, or has grown and now scores differently (then a newer entry exists).
    if (!sums[a]!.has(b) || mean(a, b) !== score) continue;
    const joined = new Map<number, number>();
    for (const c of new Set([...sums[a]!.keys(), ...sums[b]!.keys()])) {
      if (c === a || c === b) continue;
      joined.set(c, (sums[a]!.get(c) ?? unlinkedSum(a, c)) + (sums[b]!.get(c) ?? unlinkedSum(b, c)));
    }
    for (const c of sums[b]!.keys()) sums[c]!.delete(b);
    for (const member of members[b]!) first[member] = a;
    members[a]!.push(...members[b]!);
    members[b] = [];
    sums[b] = new Map();
    sums[a] = joined;
    for (const [c, sum] of joined) {
      sums[c]!.set(a, sum);
      offer(a, c);
    }
  }
  return first;
}

/** The root of a record's tree; halves the path on the way. Iterative: a chain of any length is fine. */
function root(parent: Int32Array, record: number): number {
  let at = record;
  while (parent[at] !== at) at = parent[at] = parent[parent[at]!]!;
  return at;
}

/** Joins two trees under the smaller root, so that a root is always its tree's smallest member. */
function join(parent: Int32Array, a: number, b: number): void {
  const [rootA, rootB] = [root(parent, a), root(parent, b)];
  if (rootA < rootB) parent[rootB] = rootA;
  else parent[rootA] = rootB;
}

/** Numbers trees whose root is their smallest member 0, 1, 2, ... in that order. */
function numberBySmallestMember(parent: Int32Array): Int32Array {
  const numbers = new Int32Array(parent.length);
  let next = 0;
  for (let record = 0; record < parent.length; record++) {
    const top = root(parent, record);
    numbers[record] = top === record ? next++ : numbers[top]!;
  }
  return numbers;
}

/** Records ordered by tree (smallest root first), each tree's members ascending; `start` says where each tree begins. */
function groupByRoot(parent: Int32Array): { readonly order: Int32Array; readonly start: Int32Array } {
  const numbers = numberBySmallestMember(parent);
  const trees = numbers.reduce((most, number) => Math.max(most, number + 1), 0);
  const start = new Int32Array(trees + 1);
  for (const number of numbers) start[number + 1]! += 1;
  for (let t = 0; t < trees; t++) start[t + 1]! += start[t]!;
  const fill = start.slice();
  const order = new Int32Array(parent.length);
  numbers.forEach((number, record) => {
    order[fill[number]!++] = record;
  });
  return { order, start };
}

/** Links that stay inside one tree, by the tree's root; links between trees can never lead to a merge. */
function groupLinks({
  parent,
  left,
  right,
}: {
  readonly parent: Int32Array;
  readonly left: ArrayLike<number>;
  readonly right: ArrayLike<number>;
}): (root: number) => readonly number[] {
  const byRoot = new Map<number, number[]>();
  for (let k = 0; k < left.length; k++) {
    const top = root(parent, left[k]!);
    if (top !== root(parent, right[k]!)) continue;
    const links = byRoot.get(top);
    if (links) links.push(k);
    else byRoot.set(top, [k]);
  }
  return (top) => byRoot.get(top) ?? [];
}

function checkedPenalty(penalty: number): number {
  if (!(penalty >= 0)) throw fault(`penalty is not a number from 0 up: ${penalty}`);
  return penalty;
}

function checkLinks(count: number, left: ArrayLike<number>, right: ArrayLike<number>, logOdds?: ArrayLike<number>): void {
  if (left.length !== right.length || (logOdds && logOdds.length !== left.length)) {
    throw fault(`lengths differ: ${left.length} left, ${right.length} right${logOdds ? `, ${logOdds.length} log-odds` : ''}`);
  }
  for (let k = 0; k < left.length; k++) {
    const [a, b] = [left[k]!, right[k]!];
    if (!(a >= 0 && a < count && b >= 0 && b < count)) throw fault(`link ${k} joins ${a} and ${b}; records are 0 to ${count - 1}`);
    if (logOdds && a === b) throw fault(`link ${k} joins record ${a} to itself`);
    if (logOdds && Number.isNaN(logOdds[k])) throw fault(`link ${k} has no log-odds (NaN)`);
  }
}

function fault(text: string): UserError {
  return new UserError('linkage.cluster', `cluster: ${text}`);
}
