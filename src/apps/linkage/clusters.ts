import type { Candidates } from '../../linkage/candidates.ts';
import { connectedComponents } from '../../linkage/cluster.ts';
import type { LinkageSettings } from '../../linkage/settings.ts';
import { type Database, quote } from '../../sql/duckdb.ts';
import { peopleTable } from './session.ts';

export type ClusterCounts = { readonly threshold: number; readonly clusters: number; readonly linked: number };

/**
 * Writes each record's cluster at a match probability: `cluster_id` is the id of the cluster's first member, as Splink names it.
 *
 * @returns how many clusters there are, and how many of them hold more than one record
 */
export async function writeClusters(
  db: Database,
  settings: LinkageSettings,
  { pairs, recordCount, threshold }: { readonly pairs: Candidates; readonly recordCount: number; readonly threshold: number },
  file: string,
): Promise<ClusterCounts> {
  const least = Math.log2(threshold / (1 - threshold));
  const keep = (_: number, p: number) => pairs.matchWeight[p]! >= least;
  const cluster = connectedComponents(recordCount, pairs.left.filter(keep), pairs.right.filter(keep));
  await db.createTable('__clusters', {
    row: { type: 'INTEGER', values: Int32Array.from(cluster, (_, row) => row) },
    cluster: { type: 'INTEGER', values: cluster },
  });
  const id = quote(settings.uniqueId);
  const source = settings.linkType === 'dedupe_only' ? undefined : quote(settings.source!);
  // Rows are numbered in the order the linker numbers them.
  const name = source ? `concat(${source}, '-__-', ${id})` : id;
  await db.writeParquet(
    `select first(name) over (partition by cluster order by row) as cluster_id, ${source ? `${source}, ` : ''}${id}
     from __clusters join (select *, ${name} as name, row_number() over (order by ${name}) - 1 as row from ${peopleTable}) using (row)
     order by row`,
    file,
  );
  const sizes = new Map<number, number>();
  for (const one of cluster) sizes.set(one, (sizes.get(one) ?? 0) + 1);
  return { threshold, clusters: sizes.size, linked: [...sizes.values()].filter((size) => size > 1).length };
}
