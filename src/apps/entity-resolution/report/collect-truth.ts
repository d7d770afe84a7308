// The part of a report that holds a run against the truth: results, curves, who is split, calibration.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { sigmoid } from '../../../base/statistics.ts';
import { pairwiseF1Interval } from '../../../evaluation/bootstrap.ts';
import { brierScore, expectedCalibrationError, reliabilityCurve } from '../../../evaluation/calibration.ts';
import { clusterMetrics } from '../../../evaluation/clusters.ts';
import { pairwiseFromClusters, truePairCount } from '../../../evaluation/pairwise.ts';
import { splitByErrors } from '../../../evaluation/split-by-errors.ts';
import { averagePrecision, precisionRecallCurve, scoreAtThreshold, thinCurve } from '../../../evaluation/thresholds.ts';
import type { Database } from '../../../sql/duckdb.ts';
import type { CurveData, ReportData, ResultRow } from './data.ts';
import { publishedRows } from './published.ts';

/** A run's candidate pairs by record number, with their scores. */
export type Scored = {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly demographic: Float64Array;
  /** Log-odds that decided, rules included. */
  readonly total: Float64Array;
  /** Match weight of unsupervised linkage, in bits. */
  readonly matchWeight: Float64Array;
};

export type TruthInput = {
  readonly db: Database;
  readonly run: string;
  readonly labels: Int32Array;
  readonly scored: Scored;
  readonly clusters: Int32Array;
  readonly clustersBefore: Int32Array;
};

/** Scores the run against the truth. */
export async function collectTruth({
  db,
  run,
  labels,
  scored,
  clusters,
  clustersBefore,
}: TruthInput): Promise<NonNullable<ReportData['truth']>> {
  const errors = await db.columns<{ errors: Int32Array; facility: Int32Array }>(
    'select coalesce(error_count, 0)::INTEGER as errors, facility from records left join truth using (row) order by row',
  );
  const known = [...labels.keys()].filter((row) => labels[row]! >= 0);
  const of = <T extends number>(column: ArrayLike<T>) => known.map((row) => column[row]!);
  const [truth, fused, alone] = [of(labels), of(clusters), of(clustersBefore)];
  const { left, right } = scored;
  const isTrue = Uint8Array.from(left, (a, k) => (labels[a]! >= 0 && labels[a] === labels[right[k]!] ? 1 : 0));
  const totalTrue = truePairCount(truth);
  const probabilities = scored.total.map(sigmoid);
  const curve = (name: string, kind: CurveData['kind'], scores: Float64Array): CurveData => {
    const whole = { scores, isTrue, totalTrue };
    return { name, kind, averagePrecision: averagePrecision(whole), points: thinCurve(precisionRecallCurve(whole)) };
  };
  const decided = scoreAtThreshold(precisionRecallCurve({ scores: scored.total, isTrue, totalTrue }), 0);
  const pairs = pairwiseFromClusters(fused, truth);
  const people = clusterMetrics(fused, truth);
  const { precision, recall, f1 } = pairs;
  const ours: ResultRow = {
    method: 'ClinFuse: demographics + clinical evidence',
    origin: 'this run',
    patients: people.patients,
    precision,
    recall,
    f1,
    f1Interval: pairwiseF1Interval({ predicted: fused, truth, seed: 1 }),
    splitPatients: people.splitPatients,
    impureClusters: people.impureClusters,
    ours: true,
  };
  const byErrors = (predicted: number[]) => splitByErrors({ predicted, truth, errors: of(errors.errors), facility: of(errors.facility) });
  return {
    patients: people.patients,
    truePairs: totalTrue,
    results: [...publishedRows, ...baselineRows(run, people.patients), ours],
    curves: [
      curve('linkage alone, without labels', 'em', scored.matchWeight),
      curve('demographic evidence', 'demographics', scored.demographic),
      curve('demographic and clinical evidence', 'fused', scored.total),
    ],
    chosenPairs: { precision: decided.precision, recall: decided.recall },
    chosenClusters: { precision: pairs.precision, recall: pairs.recall },
    completeness: people.completeness,
    splitPatients: people.splitPatients,
    impureClusters: people.impureClusters,
    perfectResolutionRate: people.perfectResolutionRate,
    split: { demographics: byErrors(alone), fused: byErrors(fused) },
    calibration: {
      bins: reliabilityCurve({ probabilities, outcomes: isTrue, kind: 'equal-width' }),
      error: expectedCalibrationError({ probabilities, outcomes: isTrue, bins: 15 }),
      brier: brierScore({ probabilities, outcomes: isTrue }),
      pairs: probabilities.length,
    },
  };
}

type Scenario = {
  readonly threshold?: number;
  readonly pair_metrics: { readonly precision: number; readonly recall: number; readonly f1_score: number };
  readonly cluster_metrics: { readonly split_patients: number; readonly impure_clusters: number };
};

/** Demographics alone on the same records, from the run's own comparison. */
function baselineRows(run: string, patients: number): ResultRow[] {
  const comparison = readJson<{ scenarios: Record<string, Scenario> }>(join(run, 'baselines', 'baseline_comparison.json'));
  const named: Record<string, (scenario: Scenario) => string> = {
    auto_match_only: ({ threshold }) => `Splink’s rules, P ≥ ${threshold ?? 0.99}`,
    splink_best_f1: ({ threshold }) => `Splink’s rules, threshold best in hindsight${threshold === undefined ? '' : ` (${threshold})`}`,
    demographics_only: () => 'ClinFuse: demographics alone, clustered',
  };
  return Object.entries(named).flatMap(([key, method]) => {
    const scenario = comparison?.scenarios[key];
    if (!scenario) return [];
    const { pair_metrics: pair, cluster_metrics: cluster } = scenario;
    const shares = { precision: pair.precision, recall: pair.recall, f1: pair.f1_score };
    return [
      {
        method: method(scenario),
        origin: 'this run',
        patients,
        ...shares,
        splitPatients: cluster.split_patients,
        impureClusters: cluster.impure_clusters,
      },
    ];
  });
}

/** A JSON file of the run, when it is there. */
export function readJson<T>(file: string): T | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined;
}
