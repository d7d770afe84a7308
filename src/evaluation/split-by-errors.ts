import { checkLengths } from './overlap.ts';

/** One bar of a chart: of `patients` like this, `split` lie in two or more clusters. */
export type SplitRow = { readonly label: string; readonly patients: number; readonly split: number; readonly share: number };

export type SplitOptions = {
  /** Cluster of each record. */
  readonly predicted: ArrayLike<unknown>;
  /** True patient of each record. */
  readonly truth: ArrayLike<unknown>;
  /** Errors in each record. */
  readonly errors: ArrayLike<number>;
  /** Facility of each record. */
  readonly facility: ArrayLike<unknown>;
  /** Width of an error class: 5 gives 0, 1–5, 6–10 ... */
  readonly width?: number;
  /** Patients with more errors than this share the last class. */
  readonly most?: number;
};

/**
 * Counts split patients by errors in all their records together and by the facilities they were seen at, over patients with two
 * records or more (nobody else can be split). Classes that hold no patient are left out.
 */
export function splitByErrors({ predicted, truth, errors, facility, width = 5, most = 30 }: SplitOptions): {
  readonly errors: SplitRow[];
  readonly facilities: SplitRow[];
} {
  checkLengths(predicted.length, truth.length);
  const patients = new Map<unknown, { records: number; errors: number; clusters: Set<unknown>; facilities: Set<unknown> }>();
  for (let i = 0; i < truth.length; i++) {
    const patient = patients.get(truth[i]) ?? { records: 0, errors: 0, clusters: new Set(), facilities: new Set() };
    patient.records += 1;
    patient.errors += errors[i]!;
    patient.clusters.add(predicted[i]);
    patient.facilities.add(facility[i]);
    patients.set(truth[i], patient);
  }
  const linkable = [...patients.values()].filter((patient) => patient.records > 1);
  const count = (classOf: (patient: (typeof linkable)[number]) => number, name: (key: number) => string): SplitRow[] => {
    const rows = new Map<number, { patients: number; split: number }>();
    for (const patient of linkable) {
      const key = classOf(patient);
      const row = rows.get(key) ?? { patients: 0, split: 0 };
      row.patients += 1;
      if (patient.clusters.size > 1) row.split += 1;
      rows.set(key, row);
    }
    return [...rows].sort(([a], [b]) => a - b).map(([key, row]) => ({ label: name(key), ...row, share: row.split / row.patients }));
  };
  const lastClass = Math.ceil(most / width) + 1;
  return {
    errors: count(
      (patient) => Math.min(lastClass, Math.ceil(patient.errors / width)),
      (key) => (key === 0 ? '0' : key === lastClass ? `${(lastClass - 1) * width + 1}+` : `${(key - 1) * width + 1}–${key * width}`),
    ),
    facilities: count((patient) => patient.facilities.size, String),
  };
}
