import type { Candidates } from '../../linkage/candidates.ts';
import { connectedComponents } from '../../linkage/cluster.ts';
import type { LinkageSettings } from '../../linkage/settings.ts';
import { type Database, quote } from '../../sql/duckdb.ts';
import { peopleTable } from './records.ts';

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
  const source = settings.linkType === 'dedupe_only' ? undefined : settings.source!;
  await writeMembership(db, { cluster, numbered: numberedPeople(settings.uniqueId, source), id: settings.uniqueId, source }, file);
  const sizes = new Map<number, number>();
  for (const one of cluster) sizes.set(one, (sizes.get(one) ?? 0) + 1);
  return { threshold, clusters: sizes.size, linked: [...sizes.values()].filter((size) => size > 1).length };
}

/** The loaded records with `row`, numbered in the order the linker numbers them, as SQL. */
export function numberedPeople(id: string, source: string | undefined): string {
  return `(select *, row_number() over (order by ${recordName(id, source)}) - 1 as row from ${peopleTable})`;
}

/** How a record is named among all sources, as SQL; Splink's way where ids repeat from source to source. */
export function recordName(id: string, source: string | undefined): string {
  return source ? `concat(${quote(source)}, '-__-', ${quote(id)})` : quote(id);
}

/** Writes `cluster_id`, the name of each cluster's first record, beside the columns that name a record. `numbered` has them and `row`. */
export async function writeMembership(
  db: Database,
  {
    cluster,
    numbered,
    id,
    source,
  }: { readonly cluster: Int32Array; readonly numbered: string; readonly id: string; readonly source: string | undefined },
  file: string,
): Promise<void> {
  await db.createTable('__clusters', {
    row: { type: 'INTEGER', values: Int32Array.from(cluster, (_, row) => row) },
    cluster: { type: 'INTEGER', values: cluster },
  });
  const columns = (source ? [source, id] : [id]).map(quote).join(', ');
  await db.writeParquet(
    `select first(${recordName(id, source)}) over (partition by cluster order by row) as cluster_id, ${columns}
     from __clusters join ${numbered} using (row) order by row`,
    file,
  );
}
