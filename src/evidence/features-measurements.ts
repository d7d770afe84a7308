// Pair features of measurements: do the two records' values lie on one curve?
//
// Idea: of two series, the two points nearest in time say most (a grown person keeps his height, weight drifts). Beside them stand the
// middles, the last values and, where the spans overlap, how far one record's points lie from the line drawn through the other's.
// Both series ascend by (month, value), so one merge finds the nearest points: at each step the earlier of the two moves on, and
// among equal gaps the smaller difference counts, then the greater growth. The result does not depend on which record is left.
// Cost: one pass over both series.

import type { ClinicalContext, SummedSeries } from './clinical-context.ts';
import type { SeriesName } from './profile.ts';

/** Series compared by shape as well, for they change slowly. */
const tracked = ['height', 'weight', 'bmi', 'headSize'] as const satisfies readonly SeriesName[];
const bodyScores = ['bmiPercentile', 'headPercentile', 'weightForLength'] as const satisfies readonly SeriesName[];
const vitals = ['systolic', 'diastolic', 'heartRate'] as const satisfies readonly SeriesName[];
const laboratory = [
  'hba1c',
  'glucoseBlood',
  'glucoseSerum',
  'glucoseUrine',
  'proteinUrine',
  'creatinineBlood',
  'creatinineSerum',
  'filtrationRate',
  'albuminRatio',
  'cholesterol',
  'hdl',
  'ldl',
  'triglycerides',
  'bilirubin',
  'ferritin',
  'hemoglobin',
  'leukocytes',
  'platelets',
  'oxygenSaturation',
  'ejectionFraction',
  'inr',
] as const satisfies readonly SeriesName[];

export const bodyNames = [
  ...tracked.flatMap((name) => [
    `${name} nearest difference`,
    `${name} nearest gap`,
    `${name} growth a month`,
    `${name} last difference`,
    `${name} median difference`,
    `${name} off the line`,
  ]),
  'height greatest difference',
  'height lower last',
  ...bodyScores.flatMap((name) => [`${name} nearest difference`, `${name} median difference`]),
];
export const vitalNames = vitals.flatMap((name) => [
  `${name} nearest difference`,
  `${name} nearest gap`,
  `${name} last difference`,
  `${name} median difference`,
]);
export const laboratoryNames = laboratory.flatMap((name) => [`${name} nearest difference`, `${name} median difference`]);

/** The two points nearest in time. */
export type Nearest = { gap: number; difference: number; growth: number };

export function writeBody(context: ClinicalContext, left: number, right: number, out: Float32Array, at: number): void {
  const found: Nearest = { gap: 0, difference: 0, growth: 0 };
  let next = at;
  for (const name of tracked) {
    const series = context.series[name];
    nearest(series, left, right, found);
    out[next++] = found.difference;
    out[next++] = found.gap;
    out[next++] = found.growth / (found.gap + 3);
    out[next++] = Math.abs(series.last[left]! - series.last[right]!);
    out[next++] = Math.abs(series.median[left]! - series.median[right]!);
    out[next++] = offTheLine(series, left, right);
  }
  const { greatest, last } = context.series.height;
  out[next++] = Math.abs(greatest[left]! - greatest[right]!);
  out[next++] = Math.min(last[left]!, last[right]!);
  for (const name of bodyScores) {
    const series = context.series[name];
    nearest(series, left, right, found);
    out[next++] = found.difference;
    out[next++] = Math.abs(series.median[left]! - series.median[right]!);
  }
}

export function writeVitals(context: ClinicalContext, left: number, right: number, out: Float32Array, at: number): void {
  const found: Nearest = { gap: 0, difference: 0, growth: 0 };
  let next = at;
  for (const name of vitals) {
    const series = context.series[name];
    nearest(series, left, right, found);
    out[next++] = found.difference;
    out[next++] = found.gap;
    out[next++] = Math.abs(series.last[left]! - series.last[right]!);
    out[next++] = Math.abs(series.median[left]! - series.median[right]!);
  }
}

export function writeLaboratory(context: ClinicalContext, left: number, right: number, out: Float32Array, at: number): void {
  const found: Nearest = { gap: 0, difference: 0, growth: 0 };
  let next = at;
  for (const name of laboratory) {
    const series = context.series[name];
    nearest(series, left, right, found);
    out[next++] = found.difference;
    out[next++] = Math.abs(series.median[left]! - series.median[right]!);
  }
}

/** Finds the two points nearest in time; NaN where a record has none. `growth` is later minus earlier value. */
export function nearest({ start, month, value }: SummedSeries, left: number, right: number, found: Nearest): void {
  let i = start[left]!;
  let j = start[right]!;
  const iEnd = start[left + 1]!;
  const jEnd = start[right + 1]!;
  found.gap = Number.NaN;
  found.difference = Number.NaN;
  found.growth = Number.NaN;
  let bestGap = Number.POSITIVE_INFINITY;
  let bestDifference = Number.POSITIVE_INFINITY;
  while (i < iEnd && j < jEnd) {
    const ahead = month[j]! - month[i]!;
    const rise = value[j]! - value[i]!;
    const gap = Math.abs(ahead);
    const difference = Math.abs(rise);
    const growth = ahead > 0 ? rise : ahead < 0 ? value[i]! - value[j]! : 0;
    const isNearer = gap < bestGap || (gap === bestGap && difference < bestDifference);
    if (isNearer || (gap === bestGap && difference === bestDifference && growth > found.growth)) {
      bestGap = gap;
      bestDifference = difference;
      found.gap = gap;
      found.difference = difference;
      found.growth = growth;
    }
    if (ahead > 0 || (ahead === 0 && rise > 0)) i++;
    else j++;
  }
}

/** Mean distance of each record's points from the line through the other's, over points that lie between two of them. */
function offTheLine(series: SummedSeries, left: number, right: number): number {
  const one = distances(series, left, right);
  const other = distances(series, right, left);
  // Sums are added smaller first, so that swapping the records cannot change the last digit.
  const sum = Math.min(one.sum, other.sum) + Math.max(one.sum, other.sum);
  return sum / (one.count + other.count);
}

function distances({ start, month, value }: SummedSeries, points: number, line: number): { sum: number; count: number } {
  let sum = 0;
  let count = 0;
  const end = start[line + 1]!;
  let j = start[line]!;
  for (let i = start[points]!; i < start[points + 1]!; i++) {
    while (j + 1 < end && month[j + 1]! < month[i]!) j++;
    if (j + 1 >= end) break;
    if (month[j]! > month[i]!) continue;
    const width = month[j + 1]! - month[j]!;
    const share = width === 0 ? 0 : (month[i]! - month[j]!) / width;
    sum += Math.abs(value[i]! - (value[j]! + share * (value[j + 1]! - value[j]!)));
    count++;
  }
  return { sum, count };
}
