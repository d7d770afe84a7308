// What was done to the records, counted: statistics/augmentation_report.json and metadata/run_config.yaml.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';

import type { Change } from './errors/damage.ts';
import { type InjectSettings, segmentSettings } from './settings.ts';

/** One patient row and what happened to it. */
export type DamagedRecord = {
  readonly patient: string;
  readonly facility: number;
  readonly attempts: number;
  readonly changes: readonly Change[];
};

/** Counts by key, keys sorted (numbers as numbers). */
function tally<T>(items: readonly T[], key: (item: T) => string | number): Record<string, number> {
  const counts = new Map<string | number, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  const sorted = [...counts].sort(([a], [b]) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : 1));
  return Object.fromEntries(sorted);
}

/** The report's content. Only real changes are counted as errors; `achieved` also says how many attempts they took. */
export function damageReport(records: readonly DamagedRecord[]) {
  const changes = records.flatMap(({ facility, changes: own }) => own.map((change) => ({ ...change, facility })));
  const perPatient = tally(records, ({ patient }) => patient);
  const damaged = new Set(records.filter(({ changes: own }) => own.length > 0).map(({ patient }) => patient));
  const unique = Object.keys(perPatient).length;
  const summary = {
    total_patient_facility_pairs: records.length,
    unique_patients: unique,
    patients_with_errors: damaged.size,
    error_rate: unique === 0 ? 0 : damaged.size / unique,
    facility_count_distribution: tally(Object.values(perPatient), (count) => count),
    total_error_transformations: changes.length,
  };
  const mean = (total: number) => (records.length === 0 ? 0 : total / records.length);
  return {
    ...summary,
    errors: {
      total_errors: changes.length,
      errors_by_type: tally(changes, ({ errorType }) => errorType),
      errors_by_field: tally(changes, ({ field }) => field),
      errors_by_facility: tally(changes, ({ facility }) => facility),
    },
    achieved: {
      records_unchanged: records.filter(({ changes: own }) => own.length === 0).length,
      attempts_per_record: tally(records, ({ attempts }) => attempts),
      changes_per_record: tally(records, ({ changes: own }) => own.length),
      mean_attempts: mean(records.reduce((sum, { attempts }) => sum + attempts, 0)),
      mean_changes: mean(changes.length),
    },
    ground_truth: summary,
  };
}

/** metadata/error_log.jsonl: one line per real change, in order. */
export function errorLog(records: readonly DamagedRecord[], timestamp: string): string {
  return records
    .flatMap(({ patient, facility, changes }) =>
      changes.map(({ field, errorType, original, errored }) =>
        JSON.stringify({ patient_uuid: patient, facility_id: facility, field, error_type: errorType, original, errored, timestamp }),
      ),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** metadata/run_config.yaml: plain YAML that `--config` reads back. */
export function runConfig({
  input,
  output,
  settings,
  validate,
}: {
  readonly input: string;
  readonly output: string;
  readonly settings: InjectSettings;
  readonly validate: boolean;
}): string {
  const { facility_distribution, confusable_groups } = segmentedWith(input);
  return stringify({
    facility_distribution,
    confusable_groups,
    error_injection: {
      global_error_rate: settings.errorRate,
      multiple_errors_probability: settings.manyProbability,
      min_errors: settings.minErrors,
      max_errors: settings.maxErrors,
      error_type_weights: settings.weights,
    },
    paths: { input, output },
    random_seed: settings.seed,
    validate_output: validate,
  });
}

/** How the input was segmented, as its assignment.json says; the defaults where it does not. */
function segmentedWith(input: string): { readonly facility_distribution: unknown; readonly confusable_groups: unknown } {
  const file = join(input, 'metadata', 'assignment.json');
  const said = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {};
  const defaults = segmentSettings.parse({});
  return {
    facility_distribution: said['facility_distribution'] ?? {
      num_facilities: said['num_facilities'] ?? defaults.facilities,
      strategy: 'chronological_switching',
      facility_count_weights: defaults.facilityCountWeights,
      primary_facility_weight: defaults.primaryShare,
    },
    confusable_groups: said['confusable_groups'] ?? { total_pairs: 0, type_weights: defaults.lookAlikeWeights },
  };
}
