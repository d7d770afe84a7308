// What `segment` did, counted: its report and metadata/assignment.json.

import type { Database } from '../sql/duckdb.ts';
import type { SegmentSettings } from './settings.ts';

export type SegmentReport = {
  readonly patients: number;
  readonly encounters: number;
  /** Patient rows over all facilities. */
  readonly records: number;
  readonly lookAlikePairs: number;
  readonly patientsPerFacility: Readonly<Record<string, number>>;
  readonly encountersPerFacility: Readonly<Record<string, number>>;
  /** Key: number of facilities at which a patient was seen. */
  readonly facilityCounts: Readonly<Record<string, number>>;
};

/** Counts what was assigned, from tables `patients` and `visits`. */
export async function summarize(
  db: Database,
  { facilities, lookAlikePairs }: { readonly facilities: number; readonly lookAlikePairs: number },
): Promise<SegmentReport> {
  const places = await db.rows<{ facility: number; patients: number; encounters: number }>(
    'select facility, count(distinct "PATIENT") as patients, count(*) as encounters from visits group by facility',
  );
  const spread = await db.rows<{ facilities: number; patients: number }>(
    'select facilities, count(*) as patients from (select count(distinct facility) as facilities from visits group by "PATIENT") group by 1 order by 1',
  );
  const perFacility = (field: 'patients' | 'encounters') =>
    Object.fromEntries(
      Array.from({ length: facilities }, (_, i) => [String(i + 1), places.find(({ facility }) => facility === i + 1)?.[field] ?? 0]),
    );
  return {
    patients: await db.value<number>('select count(*) from patients'),
    encounters: await db.value<number>('select count(*) from visits'),
    records: spread.reduce((sum, one) => sum + one.facilities * one.patients, 0),
    lookAlikePairs,
    patientsPerFacility: perFacility('patients'),
    encountersPerFacility: perFacility('encounters'),
    facilityCounts: Object.fromEntries(spread.map((one) => [String(one.facilities), one.patients])),
  };
}

/** metadata/assignment.json, with the settings that gave it, so that a later stage can say what it worked on. */
export function assignmentFile(report: SegmentReport, settings: SegmentSettings): unknown {
  return {
    assignment_seed: settings.seed,
    num_facilities: settings.facilities,
    assignment_stats: {
      total_patients: report.patients,
      total_encounters: report.encounters,
      facility_count_distribution: report.facilityCounts,
      encounter_count_per_facility: report.encountersPerFacility,
      patient_count_per_facility: report.patientsPerFacility,
    },
    facility_distribution: {
      num_facilities: settings.facilities,
      strategy: 'chronological_switching',
      facility_count_weights: settings.facilityCountWeights,
      primary_facility_weight: settings.primaryShare,
    },
    confusable_groups: { total_pairs: report.lookAlikePairs, type_weights: settings.lookAlikeWeights },
  };
}
