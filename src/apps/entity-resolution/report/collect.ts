// Reads what a run left behind into the plain data of its report. Nothing is decided here: scores, clusters and golden records are the
// run's own. Two things are worked out anew: the clusters demographics alone would have made, and the scores behind each figure.

import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import { UserError } from '../../../base/errors.ts';
import { type RuleFields, rulePenalty, strictRules } from '../../../evidence/fusion.ts';
import type { EvidenceModel } from '../../../evidence/model-file.ts';
import { meanLinkage } from '../../../linkage/cluster.ts';
import { loadRecords } from '../../../records/patient.ts';
import { attachRunFolder, openRunFolder } from '../../../records/run-folder.ts';
import { loadTruth, truthLabels } from '../../../records/truth.ts';
import { Database, literal, readingFile } from '../../../sql/duckdb.ts';
import { collectCaseStudy } from './case-study.ts';
import { collectTruth, readJson, type Scored } from './collect-truth.ts';
import type { ReportData } from './data.ts';

export type CollectOptions = {
  /** What `er run` wrote. */
  readonly run: string;
  /** The run folder it read; without it there is no truth and no case study. */
  readonly folder?: string | undefined;
  /** The model the run weighed with, to explain a pair; without it the linkage's own weights stand in. */
  readonly model?: EvidenceModel | undefined;
};

/**
 * Reads a run's output into the data of its report.
 *
 * @throws UserError `report.missing` when a file of the run is not there, and what opening the run folder may throw
 */
export async function collectReport({ run, folder, model }: CollectOptions): Promise<ReportData> {
  const files = runFiles(run);
  await using db = await Database.open({ memoryMb: 1000 });
  const opened = folder === undefined ? undefined : openRunFolder(folder);
  if (opened) {
    await attachRunFolder(db, opened);
    await loadRecords(db);
  } else await recordsFromClusters(db, files.clusters);
  const recordCount = await db.value<number>('select count(*) from records');
  const fields = await db.columns<RuleFields & Record<string, never>>(
    "select cast(case gender when 'M' then 1 when 'F' then 2 else 0 end as UTINYINT) as gender, facility from records order by row",
  );
  const scored = await readScores(db, files, fields);
  const { clusters, goldenIdOf } = await readClusters(db, files.clusters, recordCount);
  const clustersBefore = meanLinkage({
    ...scored,
    count: recordCount,
    logOdds: scored.demographic,
    forbid: (a, b) => rulePenalty(fields, strictRules, a, b),
  });
  const hasTruth = opened ? await loadTruth(db, opened) : false;
  const labels = hasTruth ? await truthLabels(db) : undefined;
  const synthetic =
    opened !== undefined && ['run_config.yaml', 'error_log.jsonl'].some((name) => existsSync(join(opened.path, 'metadata', name)));
  const caseStudy = synthetic
    ? await collectCaseStudy({
        db,
        ...scored,
        clusters,
        clustersBefore,
        ...(labels ? { truth: labels } : {}),
        goldenFile: files.golden,
        goldenIdOf,
        features: files.features,
        model,
      })
    : undefined;

  return {
    source: folder === undefined ? basename(resolve(run)) : basename(resolve(folder)),
    synthetic,
    records: recordCount,
    facilities: await db.value<number>('select count(distinct facility_id) from records'),
    goldenRecords: new Set(goldenIdOf).size,
    candidates: scored.left.length,
    clusterSizes: countSizes(clusters),
    tiers: await db.rows(`select tier, count(*) as pairs from read_parquet(${literal(files.predictions)}) group by tier order by tier`),
    ...(labels ? { truth: await collectTruth({ db, run, labels, scored, clusters, clustersBefore }) } : {}),
    ...(caseStudy ? { caseStudy } : {}),
    cost: readCost(run),
  };
}

function runFiles(run: string) {
  const files = {
    predictions: join(run, 'inferred', 'predictions.parquet'),
    features: join(run, 'resolved', 'features.parquet'),
    clusters: join(run, 'golden_records', 'clusters.parquet'),
    golden: join(run, 'golden_records', 'golden_records.parquet'),
  };
  const missing = Object.values(files).find((file) => !existsSync(file));
  if (missing) throw new UserError('report.missing', `report: file not found: ${missing}; name the folder that clinfuse er run wrote`);
  return files;
}

/** Without the run folder only ids and facilities are known. */
async function recordsFromClusters(db: Database, file: string): Promise<void> {
  await readingFile(file, () =>
    db.run(`create table records as
      select cast(row_number() over (order by record_id) - 1 as INTEGER) as row, record_id, facility_id,
        cast(dense_rank() over (order by facility_id) as INTEGER) as facility, null::VARCHAR as gender
      from (select record_id, regexp_extract(record_id, '^(facility_[0-9]+)_', 1) as facility_id from read_parquet(${literal(file)}))`),
  );
}

async function readScores(db: Database, { predictions, features }: ReturnType<typeof runFiles>, fields: RuleFields): Promise<Scored> {
  const read = await readingFile(predictions, () =>
    db.columns<{ left: Int32Array; right: Int32Array; demographic: Float64Array; sum: Float64Array; match_weight: Float64Array }>(`
    select least(a.row, b.row) as "left", greatest(a.row, b.row) as "right", p.demographic_log_odds as demographic, p.log_odds as sum,
      coalesce(f.match_weight, -1e3) as match_weight
    from read_parquet(${literal(predictions)}) p
    join records a on a.record_id = p.record_id_1 join records b on b.record_id = p.record_id_2
    left join read_parquet(${literal(features)}) f on f.record_id_1 = p.record_id_1 and f.record_id_2 = p.record_id_2
    order by 1, 2`),
  );
  const { left, right, demographic, match_weight: matchWeight } = read;
  const total = read.sum.map((sum, k) => Math.max(-1e9, sum - rulePenalty(fields, strictRules, left[k]!, right[k]!)));
  return { left, right, demographic, total, matchWeight };
}

async function readClusters(db: Database, file: string, recordCount: number) {
  const { golden_id: goldenIdOf } = await readingFile(file, () =>
    db.columns<{ golden_id: string[] }>(`select golden_id from records join read_parquet(${literal(file)}) using (record_id) order by row`),
  );
  if (goldenIdOf.length !== recordCount) {
    throw new UserError(
      'report.records',
      `report: ${goldenIdOf.length} clustered records, ${recordCount} in the run folder; name the folder this run was made from`,
    );
  }
  const numbers = new Map<string, number>();
  const clusters = Int32Array.from(goldenIdOf, (id) => {
    if (!numbers.has(id)) numbers.set(id, numbers.size);
    return numbers.get(id)!;
  });
  return { clusters, goldenIdOf };
}

function countSizes(clusters: Int32Array): { records: number; goldenRecords: number }[] {
  const sizes = new Map<number, number>();
  for (const cluster of clusters) sizes.set(cluster, (sizes.get(cluster) ?? 0) + 1);
  const most = [...sizes.values()].reduce((a, b) => Math.max(a, b), 0);
  return Array.from({ length: most }, (_, i) => ({
    records: i + 1,
    goldenRecords: [...sizes.values()].filter((size) => size === i + 1).length,
  }));
}

function readCost(run: string): ReportData['cost'] {
  const result = readJson<{ seconds?: Record<string, number>; peakRssMb?: number }>(join(run, 'run.json'));
  const inference = readJson<{ throughput?: number }>(join(run, 'inferred', 'inference_metrics.json'));
  return {
    stages: Object.entries(result?.seconds ?? {}).map(([stage, seconds]) => ({ stage, seconds })),
    ...(inference?.throughput === undefined ? {} : { pairsPerSecond: inference.throughput }),
    ...(result?.peakRssMb === undefined ? {} : { peakRssMb: result.peakRssMb }),
  };
}
