import type { Candidates } from '../../linkage/candidates.ts';
import { connectedComponents, strongLinks } from '../../linkage/cluster.ts';
import type { Linker } from '../../linkage/linker.ts';
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
  linker: Linker,
  { pairs, threshold }: { readonly pairs: Candidates; readonly threshold: number },
  file: string,
): Promise<ClusterCounts> {
  const least = Math.log2(threshold / (1 - threshold));
  const { left, right } = strongLinks({ ...pairs, weight: pairs.matchWeight }, least);
  const cluster = connectedComponents(linker.recordCount, left, right);
  const { linkType, uniqueId: id, source } = linker.settings;
  const numbered = `(select *, __row as row from ${linker.records})`;
  await writeMembership(db, { cluster, numbered, id, source: linkType === 'dedupe_only' ? undefined : source! }, file);
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
  const firstOf = new Int32Array(cluster.length).fill(-1);
  const first = cluster.map((one, row) => (firstOf[one]! < 0 ? (firstOf[one] = row) : firstOf[one]!));
  await db.createTable('__clusters', {
    row: { type: 'INTEGER', values: cluster.map((_, row) => row) },
    first: { type: 'INTEGER', values: first },
  });
  const columns = (source ? [source, id] : [id]).map((name) => `member.${quote(name)}`).join(', ');
  await db.run(
    `create or replace temp table __membership as
     select named.name as cluster_id, ${columns} from __clusters
     join ${numbered} member on member.row = __clusters.row
     join (select row, ${recordName(id, source)} as name from ${numbered}) named on named.row = __clusters.first
     order by __clusters.row`,
  );
  await db.writeTable('__membership', file);
  await db.run('drop table __membership; drop table __clusters');
}
