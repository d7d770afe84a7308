// Evidence to master patient index: add up, decide, cluster, merge, and score where the truth is known.

import { join } from 'node:path';

import { writeJson } from '../../base/files.ts';
import { logit, sigmoid } from '../../base/statistics.ts';
import { expectedCalibrationError } from '../../evaluation/calibration.ts';
import { type EvaluationMetrics, evaluationMetrics } from '../../evaluation/evaluation-metrics.ts';
import { precisionRecallCurve, thinCurve } from '../../evaluation/thresholds.ts';
import { fuse, type PairRules, rulePenalty, softRules, sumEvidence } from '../../evidence/fusion.ts';
import { meanLinkage } from '../../linkage/cluster.ts';
import { buildGoldenRecords, type GoldenField, type GoldenRecords, goldenFields, type SourceRecords } from '../../linkage/golden-record.ts';
import { loadTruth, truthLabels } from '../../records/truth.ts';
import type { Database, NewColumn } from '../../sql/duckdb.ts';
import type { ScoredPairs } from './pairs.ts';
import type { Session } from './session.ts';
import type { Parameters } from './settings.ts';

/** What evaluation_metrics.json holds. */
export type GoldenMetrics = EvaluationMetrics & {
  /** Mean gap between the posterior and the share of true pairs, over candidates in ten groups of equal size. */
  readonly calibration_error: number;
};

export type GoldenResult = {
  readonly patients: number;
  /** Cluster number of each record. */
  readonly clusters: Int32Array;
  /** Absent where the run folder holds no ground truth. */
  readonly metrics?: GoldenMetrics;
};

/** Files `golden-records` writes. */
export const goldenFiles = [
  'golden_records.parquet',
  'provenance.parquet',
  'all_matches.parquet',
  'clusters.parquet',
  'evaluation_metrics.json',
  'precision_recall.json',
];

/** Joins records into patients and writes the master patient index into `out`. */
export async function goldenRecords(
  session: Session,
  { pairs, parameters, out }: { readonly pairs: ScoredPairs; readonly parameters: Parameters; readonly out: string },
): Promise<GoldenResult> {
  const { db, progress } = session;
  const working = progress.step('golden records');
  const { conflict_resolution: strategy } = parameters.golden_records;
  const { clusters, posterior } = await clusterPairs(session, pairs, parameters);
  const { golden, provenance, goldenIdOf } = buildGoldenRecords({ records: await readSources(db), clusters, strategy });

  await writeGolden(db, golden, join(out, 'golden_records.parquet'));
  await db.createTable('provenance', {
    golden_id: text(provenance.golden_id),
    field: text(provenance.field),
    value: text(provenance.value),
    strategy: text(provenance.strategy),
    votes: { type: 'INTEGER', values: provenance.votes },
    candidates: { type: 'INTEGER', values: provenance.candidates },
    source_record_ids: text(provenance.source_record_ids),
  });
  await db.writeParquet('select * from provenance', join(out, 'provenance.parquet'));
  await db.createTable('golden_of', { row: { type: 'INTEGER', values: clusters.map((_, row) => row) }, golden_id: text(goldenIdOf) });
  await db.writeParquet('select record_id, golden_id from records join golden_of using (row) order by row', join(out, 'clusters.parquet'));

  const matches = acceptedPairs(pairs, posterior, clusters, parameters);
  await writeMatches(db, matches, join(out, 'all_matches.parquet'));
  const patients = golden.golden_id.length;
  const hasTruth = await loadTruth(db, session.folder);
  if (hasTruth) {
    const labels = await truthLabels(db);
    const scored = evaluationMetrics({
      predicted: clusters,
      truth: Array.from(labels, (label) => (label < 0 ? null : label)),
      edges: matches,
      autoMatchCount: matches.source.filter((source) => source !== 'evidence').length,
      modelMatchCount: matches.source.filter((source) => source !== 'auto_match').length,
    });
    const outcomes = Uint8Array.from(pairs.left, (left, p) => (labels[left]! >= 0 && labels[left] === labels[pairs.right[p]!] ? 1 : 0));
    const metrics = { ...scored, calibration_error: expectedCalibrationError({ probabilities: posterior, outcomes }) };
    await writeJson(join(out, 'evaluation_metrics.json'), metrics);
    const curve = precisionRecallCurve({ scores: posterior, isTrue: outcomes, totalTrue: metrics.true_pairs });
    await writeJson(join(out, 'precision_recall.json'), thinCurve(curve));
    working.finish();
    return { patients, clusters, metrics };
  }
  working.finish();
  return { patients, clusters };
}

/** Writes golden records as one table: ids, where they come from, then the fields. */
async function writeGolden(db: Database, golden: GoldenRecords, file: string): Promise<void> {
  await db.createTable('golden', {
    golden_id: text(golden.golden_id),
    num_facilities: { type: 'INTEGER', values: golden.num_facilities },
    num_records: { type: 'INTEGER', values: golden.num_records },
    facilities: text(golden.facilities),
    source_record_ids: text(golden.source_record_ids),
    ...Object.fromEntries(goldenFields.map((field) => [field, text(golden[field])])),
  });
  await db.writeParquet('select * replace (cast(birthdate as DATE) as birthdate) from golden', file);
}

/** Builds and writes the golden records that some other partition of the records would give. */
export async function writeGoldenOf(db: Database, clusters: ArrayLike<number>, strategy: string, file: string): Promise<void> {
  await writeGolden(db, buildGoldenRecords({ records: await readSources(db), clusters, strategy }).golden, file);
}

/** Adds the evidences up (less what broken rules take) and clusters by mean linkage. */
export async function clusterPairs(
  { db, recordCount }: Session,
  pairs: ScoredPairs,
  { golden_records: settings }: Parameters,
): Promise<{ readonly clusters: Int32Array; readonly posterior: Float64Array }> {
  const fields = await readRuleFields(db);
  const rules = pairRules(settings);
  const needed = logit(settings.decision_probability);
  const clusters = meanLinkage({
    count: recordCount,
    left: pairs.left,
    right: pairs.right,
    // What rules take is asked for by `forbid`, for linked and unlinked pairs alike; taken here too it would count twice.
    logOdds: sumEvidence(pairs).map((value) => value - needed),
    forbid: (a, b) => rulePenalty(fields, rules, a, b),
  });
  return { clusters, posterior: fuse(pairs, fields, rules).map(sigmoid) };
}

function pairRules({ one_record_per_facility, same_gender }: Parameters['golden_records']): PairRules {
  const nats = { hard: () => Number.POSITIVE_INFINITY, soft: (value: number) => value, off: () => 0 };
  return {
    sameFacility: nats[one_record_per_facility](softRules.sameFacility),
    differentGender: nats[same_gender](softRules.differentGender),
  };
}

async function readRuleFields(db: Database) {
  return db.columns<{ gender: Uint8Array; facility: Int32Array }>(`
    select cast(case when gender is null then 0 else dense_rank() over (order by gender nulls last) end as UTINYINT) as gender, facility
    from records order by row`);
}

type Match = {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly source: readonly string[];
  readonly total: Float64Array;
  readonly confidence: Float64Array;
};

/** Pairs that speak for a match by themselves and ended up in one cluster, with where their support comes from. */
function acceptedPairs(pairs: ScoredPairs, posterior: Float64Array, clusters: Int32Array, parameters: Parameters): Match {
  const { decision_probability: decision } = parameters.golden_records;
  const auto = logit(parameters.resolve.auto_match_probability);
  const kept: number[] = [];
  posterior.forEach((value, p) => {
    if (value >= decision && clusters[pairs.left[p]!] === clusters[pairs.right[p]!]) kept.push(p);
  });
  const source = kept.map((p) => {
    if (pairs.demographic[p]! < auto) return 'evidence';
    return (pairs.clinical?.[p] ?? 0) > 0 ? 'both' : 'auto_match';
  });
  return {
    left: Int32Array.from(kept, (p) => pairs.left[p]!),
    right: Int32Array.from(kept, (p) => pairs.right[p]!),
    source,
    total: Float64Array.from(kept, (p, i) => (source[i] === 'evidence' ? Number.NaN : sigmoid(pairs.demographic[p]!))),
    confidence: Float64Array.from(kept, (p, i) =>
      source[i] === 'auto_match' || !pairs.clinical ? Number.NaN : sigmoid(Math.abs(pairs.clinical[p]!)),
    ),
  };
}

async function writeMatches(db: Database, matches: Match, file: string): Promise<void> {
  const missing = (values: Float64Array) => (row: number) => Number.isNaN(values[row]);
  await db.createTable('matches', {
    left: { type: 'INTEGER', values: matches.left },
    right: { type: 'INTEGER', values: matches.right },
    source: text(matches.source),
    total_score: { type: 'DOUBLE', values: matches.total, missing: missing(matches.total) },
    llm_confidence: { type: 'DOUBLE', values: matches.confidence, missing: missing(matches.confidence) },
  });
  const ids = 'a.record_id as record_id_1, b.record_id as record_id_2';
  await db.writeParquet(
    `select ${ids}, source, total_score, llm_confidence from matches m join records a on a.row = m."left" join records b on b.row = m."right" order by m."left", m."right"`,
    file,
  );
}

/** The records' own values, as golden records choose among them; `updated` is the month of the last encounter. */
async function readSources(db: Database): Promise<SourceRecords> {
  const select = goldenFields.map((field) => (field === 'birthdate' ? "strftime(birthdate, '%Y-%m-%d') as birthdate" : field)).join(', ');
  const columns = await db.columns<Record<GoldenField | 'record_id' | 'facility_id', string[]> & { updated: Float64Array }>(`
    select record_id, facility_id, ${select}, cast(updated as DOUBLE) as updated
    from records left join (
      select facility, PATIENT as patient_id, epoch(date_trunc('month', max(START))) as updated from encounters group by all
    ) using (facility, patient_id)
    order by row`);
  return { recordId: columns.record_id, facilityId: columns.facility_id, fields: columns, updated: columns.updated };
}

function text(values: readonly (string | null)[]): NewColumn {
  return { type: 'VARCHAR', values };
}
