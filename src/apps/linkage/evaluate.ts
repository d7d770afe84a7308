import { UserError } from '../../base/errors.ts';
import { type BCubed, bCubed } from '../../evaluation/b-cubed.ts';
import { type ClusterMetrics, clusterMetrics } from '../../evaluation/clusters.ts';
import { type Pairwise, pairwiseFromClusters } from '../../evaluation/pairwise.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, quote } from '../../sql/duckdb.ts';
import { sourceOfPairs } from './clusters.ts';
import { evaluatePairs, type PairsEvaluation } from './evaluate-pairs.ts';
import { loadTable } from './input.ts';
import { loadFiles, peopleTable } from './records.ts';
import { openStore } from './session.ts';

export type EvaluateOptions = {
  /** The records, with the column of labels; a source each where there are several. */
  readonly files: readonly string[];
  /** Column that is equal on two records exactly when they are one person's. */
  readonly labels: string;
  /** Clusters as `dedupe` writes them: `cluster_id` and the columns that name a record. */
  readonly clustersFile?: string | undefined;
  /** Pairs as `dedupe` writes them. */
  readonly pairsFile?: string | undefined;
  /** Id column of the pairs without its `_l` or `_r`, and the source column (`source_dataset` where the pairs have it). */
  readonly id: string;
  readonly source?: string | undefined;
  /** Two records of one source are no pair to be found. */
  readonly linkOnly?: boolean | undefined;
  /** Distance of the match weights at which the pairs are scored; whole ones, about 30 at most, by default. */
  readonly weightStep?: number | undefined;
};

export type ClustersEvaluation = {
  /** Records with a label: the ones scored. */
  readonly records: number;
  readonly unlabelled: number;
  readonly pairwise: Pairwise;
  readonly bCubed: BCubed;
  readonly clusters: ClusterMetrics;
};

/** What the clusters are worth, what the pairs are worth, or both. */
export type Evaluation = Partial<ClustersEvaluation> & { readonly pairs?: PairsEvaluation };

/**
 * Scores clusters, pairs or both against labels. Records without a label are left out; a record in no cluster is one of its own.
 *
 * @throws UserError `evaluation.column`, `evaluation.ids`, `evaluation.labels`, `evaluation.nothing`
 */
export async function evaluate({
  files,
  labels,
  clustersFile,
  pairsFile,
  id,
  linkOnly,
  weightStep,
  ...named
}: EvaluateOptions): Promise<Evaluation> {
  if (!clustersFile && !pairsFile) {
    throw new UserError('evaluation.nothing', 'evaluate: nothing to score: name --clusters, --pairs or both');
  }
  await using db = await openStore({});
  const keys = clustersFile ? await readClusters(db, clustersFile) : [];
  if (pairsFile) await loadTable(db, pairsFile, 'pairs');
  const ofPairs = pairsFile ? (await db.describe('pairs')).map(({ name }) => name) : [];
  const source = sourceOfPairs(named.source, ofPairs);
  if (linkOnly && !source) throw new UserError('evaluation.source', 'evaluate: --link-only without --source; name the source column');
  // Clusters of several sources name the source before the id.
  await loadFiles(db, files, source ?? (keys.length > 1 ? keys[0] : undefined));
  const clusters = clustersFile ? await evaluateClusters(db, { keys, labels, files }) : {};
  const pairs = pairsFile ? { pairs: await evaluatePairs(db, { pairsFile, labels, id, source, linkOnly, weightStep }) } : {};
  return { ...clusters, ...pairs };
}

/** Loads the clusters; returns the columns that name a record. */
async function readClusters(db: Database, file: string): Promise<string[]> {
  await loadTable(db, file, 'clusters');
  const names = (await db.describe('clusters')).map(({ name }) => name);
  requireColumns(['cluster_id'], names, { part: 'evaluate', code: 'evaluation.column', file });
  const keys = names.filter((name) => name !== 'cluster_id');
  if (keys.length === 0) throw new UserError('evaluation.ids', `evaluate: no id column beside cluster_id: ${file}; add one`);
  return keys;
}

async function evaluateClusters(
  db: Database,
  { keys, labels, files }: { readonly keys: readonly string[]; readonly labels: string; readonly files: readonly string[] },
): Promise<ClustersEvaluation> {
  const names = (await db.describe(peopleTable)).map(({ name }) => name);
  requireColumns([labels, ...keys], names, { part: 'evaluate', code: 'evaluation.column', file: files.join(', ') });
  const text = (table: string) => keys.map((key) => `cast(${table}.${quote(key)} as varchar)`).join(', ');
  const counts = await db.rows<{ repeated: number; strangers: number }>(
    `select (select count(*) - count(distinct (${text('people')})) from people) + (select count(*) - count(distinct (${text('clusters')})) from clusters)
       as repeated, (select count(*) from clusters anti join people on (${text('clusters')}) = (${text('people')})) as strangers`,
  );
  const { repeated, strangers } = counts[0]!;
  const named = keys.join(' + ');
  if (repeated > 0) throw new UserError('evaluation.ids', `evaluate: ids not unique: ${named}: ${repeated} rows repeat another's`);
  if (strangers > 0)
    throw new UserError('evaluation.ids', `evaluate: ids in the clusters that no record has: ${named}: ${strangers}; name their records`);
  const found = await db.columns<{ label: (string | null)[]; cluster: (string | null)[] }>(
    `select cast(people.${quote(labels)} as varchar) as label, cast(cluster_id as varchar) as cluster
     from people left join clusters on (${text('people')}) = (${text('clusters')})`,
  );
  const scored = (found.label ?? []).flatMap((label, row) => (label === null ? [] : [{ label, cluster: found.cluster[row] ?? row }]));
  if (scored.length === 0) throw new UserError('evaluation.labels', `evaluate: no record has a label: ${labels}; name another column`);
  const [predicted, truth] = [scored.map(({ cluster }) => cluster), scored.map(({ label }) => label)];
  return {
    records: scored.length,
    unlabelled: found.label.length - scored.length,
    pairwise: pairwiseFromClusters(predicted, truth),
    bCubed: bCubed(predicted, truth),
    clusters: clusterMetrics(predicted, truth),
  };
}
