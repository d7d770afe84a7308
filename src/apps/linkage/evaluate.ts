import { UserError } from '../../base/errors.ts';
import { type BCubed, bCubed } from '../../evaluation/b-cubed.ts';
import { type ClusterMetrics, clusterMetrics } from '../../evaluation/clusters.ts';
import { type Pairwise, pairwiseFromClusters } from '../../evaluation/pairwise.ts';
import { requireColumns } from '../../sql/columns.ts';
import { type Database, quote } from '../../sql/duckdb.ts';
import { loadTable } from './input.ts';
import { openStore, peopleTable } from './session.ts';

export type EvaluateOptions = {
  /** Clusters as `dedupe` writes them: `cluster_id` and the columns that name a record. */
  readonly clustersFile: string;
  /** The records, with the column of labels. */
  readonly file: string;
  /** Column that is equal on two records exactly when they are one person's. */
  readonly labels: string;
};

export type Evaluation = {
  /** Records with a label: the ones scored. */
  readonly records: number;
  readonly unlabelled: number;
  readonly pairwise: Pairwise;
  readonly bCubed: BCubed;
  readonly clusters: ClusterMetrics;
};

/**
 * Scores clusters against labels. Records without a label are left out; a record in no cluster is one of its own.
 *
 * @throws UserError `evaluation.column`, `evaluation.ids`, `evaluation.labels`
 */
export async function evaluate({ clustersFile, file, labels }: EvaluateOptions): Promise<Evaluation> {
  await using db = await openStore({});
  await loadTable(db, file, peopleTable);
  await loadTable(db, clustersFile, 'clusters');
  const keys = (await columnsOf(db, 'clusters', ['cluster_id'], clustersFile)).filter((name) => name !== 'cluster_id');
  await columnsOf(db, peopleTable, [labels, ...keys], file);
  if (keys.length === 0) throw new UserError('evaluation.ids', `evaluate: no id column beside cluster_id: ${clustersFile}; add one`);
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

async function columnsOf(db: Database, table: string, wanted: readonly string[], file: string): Promise<string[]> {
  const names = (await db.describe(table)).map(({ name }) => name);
  requireColumns(wanted, names, { part: 'evaluate', code: 'evaluation.column', file });
  return names;
}
