// Deals patients, not pairs, to training, validation and test, so that no patient (and so no summary) is seen on two sides. Patients who
// were made look-alikes of each other go together: only then can a split hold them as a hard pair of two people.
//
// Groups are dealt in an order drawn by the seed, each to the split that is furthest below its share of the records so far.
// Worked case: shares 0.7, 0.15, 0.15 and groups of one record each: after 20 groups 14, 3 and 3.

import { random } from '../../../base/random.ts';

export const splitNames = ['train', 'validation', 'test'] as const;
export type SplitName = (typeof splitNames)[number];

/** The reference's shares of the data. */
export const splitShares: Readonly<Record<SplitName, number>> = { train: 0.7, validation: 0.15, test: 0.15 };

/**
 * Split of each record, by its patient, as an index of `splitNames`.
 *
 * @param options.patients patient of each record, from 0
 * @param options.together pairs of patients that may not be parted
 */
export function splitByPatient({
  patients,
  together,
  seed,
}: {
  readonly patients: Int32Array;
  readonly together: readonly (readonly [number, number])[];
  readonly seed: number;
}): Uint8Array {
  const count = patients.reduce((most, patient) => Math.max(most, patient + 1), 0);
  const group = Int32Array.from({ length: count }, (_, patient) => patient);
  const leader = (patient: number): number => {
    let at = patient;
    while (group[at] !== at) at = group[at] = group[group[at]!]!;
    return at;
  };
  for (const [a, b] of together) group[Math.max(leader(a), leader(b))] = Math.min(leader(a), leader(b));

  const sizes = new Map<number, number>();
  for (const patient of patients) sizes.set(leader(patient), (sizes.get(leader(patient)) ?? 0) + 1);
  const held = splitNames.map(() => 0);
  const splitOf = new Map<number, number>();
  for (const one of random(seed, 'splits').shuffle([...sizes.keys()].sort((a, b) => a - b))) {
    const behind = splitNames.map((name, split) => held[split]! / splitShares[name]);
    const split = behind.indexOf(Math.min(...behind));
    splitOf.set(one, split);
    held[split]! += sizes.get(one)!;
  }
  return Uint8Array.from(patients, (patient) => splitOf.get(leader(patient))!);
}
