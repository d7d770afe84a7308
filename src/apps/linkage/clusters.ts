import type { Candidates } from '../../linkage/candidates.ts';
import { connectedComponents, strongLinks } from '../../linkage/cluster.ts';
import { recordName } from '../../linkage/encode.ts';
import type { Linker } from '../../linkage/linker.ts';
import { peopleTable } from './records.ts';

export type ClusterCounts = { readonly threshold: number; readonly clusters: number; readonly linked: number };

/**
 * Writes each record's cluster at a match probability: `cluster_id` is the id of the cluster's first member, as Splink names it.
 *
 * @returns how many clusters there are, and how many of them hold more than one record
 */
export async function writeClusters(
  linker: Linker,
  { pairs, threshold }: { readonly pairs: Candidates; readonly threshold: number },
  file: string,
): Promise<ClusterCounts> {
  const least = Math.log2(threshold / (1 - threshold));
  const { left, right } = strongLinks({ ...pairs, weight: pairs.matchWeight }, least);
  const cluster = connectedComponents(linker.recordCount, left, right);
  await linker.writeClusters(cluster, file);
  const sizes = new Int32Array(cluster.length);
  for (const one of cluster) sizes[one]! += 1;
  const counts = { threshold, clusters: 0, linked: 0 };
  for (const size of sizes) {
    if (size > 0) counts.clusters += 1;
    if (size > 1) counts.linked += 1;
  }
  return counts;
}

/** The source column of a file of pairs: the one named, else Splink's own where the pairs have it. Without it, ids of two sources would be one. */
export function sourceOfPairs(named: string | undefined, columns: readonly string[]): string | undefined {
  return named ?? (['source_dataset_l', 'source_dataset_r'].every((name) => columns.includes(name)) ? 'source_dataset' : undefined);
}

/** The loaded records with `row`, numbered in the order the linker numbers them, as SQL. */
export function numberedPeople(id: string, source: string | undefined): string {
  return `(select *, row_number() over (order by ${recordName(id, source)}) - 1 as row from ${peopleTable})`;
}
