// Clusters that hold at most one record of each source that has no duplicates: single best links.
//
// Idea: every record starts alone. In each round each cluster looks at its links to clusters it may join (no duplicate-free source in both)
// and names the record at the far end of the best: highest probability, lowest record among equals. Two records that their clusters name
// to one another are joined. It ends when a round joins nothing.
//
// Worked case: sources a b b, links a1-b1 .9, a1-b2 .8: a1 and b1 name one another and join; b2 may not join a cluster that holds a b.
// With a1-b2 .9, too, the links are tied: 'lowest_id' takes b1, 'drop' takes neither.
//
// What joins is the two records, under the smaller of their clusters' labels: the other members follow in later rounds, through their own
// links, unless a better link takes them elsewhere first. So does Splink 5 (internals/one_to_one_clustering.py), whose clusters these are.
// Cost: O(rounds x links) within each connected component, rounds at most the length of its longest chain of ever better links.

import { UserError } from '../base/errors.ts';
import { connectedComponents } from './cluster.ts';

export type BestLinksOptions = {
  /** Number of records, 0..count-1, in order of their ids: the lower wins a tie. */
  readonly count: number;
  readonly left: ArrayLike<number>;
  readonly right: ArrayLike<number>;
  /** Match probability (or weight) of each link. */
  readonly probability: ArrayLike<number>;
  /** Number of each record's duplicate-free source, -1 for a source that may hold a person twice. */
  readonly source: ArrayLike<number>;
  /** What happens to a record's equally good links to several records of a duplicate-free source: the lowest stays, or none does. */
  readonly ties?: 'lowest_id' | 'drop';
};

/**
 * Clusters by mutual best links, with at most one record of each duplicate-free source.
 *
 * @returns cluster number of each record; clusters are numbered in order of their smallest member
 * @throws UserError `linkage.cluster` for unusable links
 * @example bestLinks({ count: 3, left: [0, 0], right: [1, 2], probability: [0.9, 0.8], source: [0, 1, 1] }) // 0 0 1
 */
export function bestLinks(options: BestLinksOptions): Int32Array {
  const { count, left, right, probability, source, ties = 'lowest_id' } = options;
  if (probability.length !== left.length || source.length !== count) {
    throw new UserError('linkage.cluster', `cluster: lengths differ: ${left.length} links, ${probability.length} probabilities`);
  }
  const component = connectedComponents(count, left, right);
  const kept = new Uint32Array(left.length).map((_, k) => k).filter((k) => left[k] !== right[k]);
  const links = ties === 'drop' ? dropTies(options, kept) : kept;
  links.sort((a, b) => component[left[a]!]! - component[left[b]!]! || a - b);
  const label = new Int32Array(count).map((_, record) => record);
  for (let from = 0, to = 0; from < links.length; from = to) {
    while (to < links.length && component[left[links[to]!]!] === component[left[links[from]!]!]) to += 1;
    joinComponent(options, links.subarray(from, to), label);
  }
  return renumber(label);
}

/** Rounds within one component; changes the labels of its records. */
function joinComponent({ left, right, probability, source }: BestLinksOptions, links: Uint32Array, label: Int32Array): void {
  const records = [...new Set([...links].flatMap((k) => [left[k]!, right[k]!]))];
  for (let changed = true; changed; ) {
    changed = false;
    const held = new Map<number, Set<number>>();
    for (const record of records) {
      const sources = held.get(label[record]!) ?? new Set();
      if (source[record]! >= 0) sources.add(source[record]!);
      held.set(label[record]!, sources);
    }
    const best = new Map<number, { probability: number; far: number }>();
    const offer = (cluster: number, far: number, value: number) => {
      const known = best.get(cluster);
      if (known === undefined || value > known.probability || (value === known.probability && far < known.far)) {
        best.set(cluster, { probability: value, far });
      }
    };
    const open = links.filter((k) => {
      const [a, b] = [label[left[k]!]!, label[right[k]!]!];
      return a !== b && ![...held.get(a)!].some((one) => held.get(b)!.has(one));
    });
    for (const k of open) {
      offer(label[left[k]!]!, right[k]!, probability[k]!);
      offer(label[right[k]!]!, left[k]!, probability[k]!);
    }
    const joined: [record: number, label: number][] = [];
    for (const k of open) {
      const [a, b] = [left[k]!, right[k]!];
      const [ofA, ofB] = [best.get(label[a]!)!, best.get(label[b]!)!];
      if (ofA.far !== b || ofB.far !== a || ofA.probability !== probability[k] || ofB.probability !== probability[k]) continue;
      const lower = Math.min(label[a]!, label[b]!);
      joined.push([a, lower], [b, lower]);
    }
    for (const [record, lower] of joined) {
      label[record] = lower;
      changed = true;
    }
  }
}

/** Links without those that tie a record to two records of one duplicate-free source. */
function dropTies({ left, right, probability, source }: BestLinksOptions, links: Uint32Array): Uint32Array {
  const several = -1;
  const only = new Map<string, number>();
  const key = (record: number, far: number, k: number) => `${record} ${source[far]} ${probability[k]}`;
  const sides = (k: number) =>
    [
      [left[k]!, right[k]!],
      [right[k]!, left[k]!],
    ] as const;
  for (const k of links) {
    for (const [record, far] of sides(k)) {
      const known = only.get(key(record, far, k));
      only.set(key(record, far, k), known === undefined || known === far ? far : several);
    }
  }
  const isTied = ([record, far]: readonly [number, number], k: number) => source[far]! >= 0 && only.get(key(record, far, k)) === several;
  return links.filter((k) => !sides(k).some((side) => isTied(side, k)));
}

/** Labels as cluster numbers 0, 1, 2 ... in order of smallest members. */
function renumber(label: Int32Array): Int32Array {
  const numbers = new Map<number, number>();
  return label.map((one) => {
    if (!numbers.has(one)) numbers.set(one, numbers.size);
    return numbers.get(one)!;
  });
}
