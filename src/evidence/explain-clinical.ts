// What a pair of histories says, theme by theme, in words a records clerk reads. The words state what is seen; the weight beside them
// (from the model) says what it is worth. Months are 30 days, as in the profiles.

import type { ClinicalContext, CodeSets } from './clinical-context.ts';
import type { ClinicalFeatureGroup } from './features.ts';
import type { CodeDomain, SeriesName } from './profile.ts';

/** What a code means, when somebody can tell: domain and code to words. */
export type CodeWords = (domain: CodeDomain, code: string) => string | undefined;

type Pair = { readonly context: ClinicalContext; readonly left: number; readonly right: number; readonly words: CodeWords };

/** One sentence on one theme of a pair's histories. */
export function describeClinical(pair: Pair, theme: ClinicalFeatureGroup): string {
  switch (theme) {
    case 'body':
      return describeFirstShared(pair, [
        ['height', 'Height', 'cm'],
        ['weight', 'Weight', 'kg'],
        ['headSize', 'Head circumference', 'cm'],
      ]);
    case 'vitals':
      return describePressure(pair);
    case 'laboratory':
      return describeLaboratory(pair);
    case 'age':
      return describeAge(pair);
    case 'timing':
      return describeSpans(pair);
    case 'size':
      return `${pair.context.encounters[pair.left]} and ${pair.context.encounters[pair.right]} visits on record`;
    case 'vaccines':
      return describeVaccines(pair);
    case 'conditions':
      return describeShared(pair, 'conditions', 'diagnosis', 'diagnoses');
    case 'codes':
      return describeShared(pair, 'procedures', 'procedure', 'procedures');
    case 'likelihood':
      return describeOverlap(pair);
  }
}

type Nearest = { readonly left: number; readonly right: number; readonly gap: number };

/** The two measurements, one per record, that lie nearest in time. */
function nearestPoints({ context, left, right }: Pair, name: SeriesName): Nearest | undefined {
  const { start, month, value } = context.series[name];
  let best: Nearest | undefined;
  for (let a = start[left]!; a < start[left + 1]!; a++) {
    for (let b = start[right]!; b < start[right + 1]!; b++) {
      const gap = Math.abs(month[a]! - month[b]!);
      if (best === undefined || gap < best.gap) best = { left: value[a]!, right: value[b]!, gap };
    }
  }
  return best;
}

function describeFirstShared(pair: Pair, series: readonly (readonly [SeriesName, string, string])[]): string {
  for (const [name, label, unit] of series) {
    const nearest = nearestPoints(pair, name);
    if (nearest !== undefined) return `${label} ${comparison(nearest, unit)}`;
  }
  return 'No height or weight measured on both records';
}

/** "171.2 cm on both records within 2 months" or "171.2 cm and 158.0 cm, 3 years apart". */
function comparison({ left, right, gap }: Nearest, unit: string): string {
  const near = gap === 0 ? 'in the same month' : `within ${span(gap)}`;
  if (left.toFixed(1) === right.toFixed(1)) return `${left.toFixed(1)} ${unit} on both records ${near}`;
  return `${left.toFixed(1)} ${unit} and ${right.toFixed(1)} ${unit}, ${gap === 0 ? near : `${span(gap)} apart`}`;
}

function span(months: number): string {
  if (months < 24) return months === 1 ? 'a month' : `${months} months`;
  return `${Math.round((months * 30) / 365.25)} years`;
}

function describePressure({ context, left, right }: Pair): string {
  const { systolic, diastolic } = context.series;
  const reading = (record: number) => `${systolic.median[record]!.toFixed(0)}/${diastolic.median[record]!.toFixed(0)}`;
  if (Number.isNaN(systolic.median[left]! + systolic.median[right]!)) return 'Blood pressure not measured on both records';
  return `Blood pressure usually ${reading(left)} and ${reading(right)}`;
}

const laboratoryLabels: readonly (readonly [SeriesName, string])[] = [
  ['cholesterol', 'cholesterol'],
  ['hba1c', 'HbA1c'],
  ['creatinineSerum', 'creatinine'],
  ['creatinineBlood', 'creatinine'],
  ['filtrationRate', 'filtration rate'],
  ['hemoglobin', 'hemoglobin'],
  ['glucoseBlood', 'glucose'],
];

function describeLaboratory(pair: Pair): string {
  const found = laboratoryLabels.flatMap(([name, label]) => {
    const nearest = nearestPoints(pair, name);
    return nearest === undefined ? [] : [`${label} ${nearest.left.toFixed(1)} and ${nearest.right.toFixed(1)}`];
  });
  return found.length === 0 ? 'No laboratory value on both records' : `Laboratory values: ${found.slice(0, 3).join(', ')}`;
}

function describeAge({ context, left, right }: Pair): string {
  const { mean } = context.births;
  if (Number.isNaN(mean[left]! + mean[right]!)) return 'Too little history to tell the age on both records';
  const [a, b] = [Math.floor(mean[left]!), Math.floor(mean[right]!)];
  return a === b ? `Both histories are those of a person born about ${a}` : `The histories are those of persons born about ${a} and ${b}`;
}

function describeSpans({ context, left, right }: Pair): string {
  const year = (month: number) => Math.floor(1970 + (month * 30) / 365.25);
  const years = (record: number) => {
    const [first, last] = [year(context.firstMonth[record]!), year(context.lastMonth[record]!)];
    return first === last ? `in ${first}` : `${first} to ${last}`;
  };
  if (Number.isNaN(context.firstMonth[left]! + context.firstMonth[right]!)) return 'No visits on one of the records';
  return `Visits ${years(left)} on one record, ${years(right)} on the other`;
}

/** The vaccine given on both records with too short a time between, if any. */
function describeVaccines({ context, left, right, words }: Pair): string {
  const { codes, start, code, month } = context.codes.immunizations;
  let shared = 0;
  let worst: { readonly code: number; readonly gap: number; readonly short: number } | undefined;
  for (let a = start[left]!; a < start[left + 1]!; a++) {
    for (let b = start[right]!; b < start[right + 1]!; b++) {
      if (code[a] !== code[b]) continue;
      shared++;
      const gap = Math.abs(month[a]! - month[b]!);
      const short = context.vaccineGap[code[a]!]! - gap;
      if (short > (worst?.short ?? 0)) worst = { code: code[a]!, gap, short };
    }
  }
  if (worst !== undefined) {
    const when = worst.gap === 0 ? 'in the same month' : `${span(worst.gap)} apart`;
    const name = words('immunizations', codes[worst.code]!) ?? `vaccine ${codes[worst.code]}`;
    return `Given twice ${when}: ${name}: unlikely for one person`;
  }
  return shared === 0 ? 'No vaccine on both records' : 'Vaccinations fit together: none given twice too soon';
}

/** Codes that both records hold, as places in the dictionary, the rarest first. */
function sharedCodes({ setStart, setCode, rarity }: CodeSets, left: number, right: number): number[] {
  const own = new Set(setCode.subarray(setStart[left], setStart[left + 1]));
  const shared = [...setCode.subarray(setStart[right], setStart[right + 1])].filter((code) => own.has(code));
  return shared.sort((a, b) => rarity[b]! - rarity[a]! || a - b);
}

function describeShared({ context, left, right, words }: Pair, domain: CodeDomain, one: string, many: string): string {
  const sets = context.codes[domain];
  const shared = sharedCodes(sets, left, right);
  const [rarest] = shared;
  if (rarest === undefined) return `No ${one} on both records`;
  const name = words(domain, sets.codes[rarest]!) ?? `code ${sets.codes[rarest]}`;
  return shared.length === 1 ? `One ${one} on both records: ${name}` : `${shared.length} ${many} on both records, the rarest: ${name}`;
}

function describeOverlap({ context, left, right }: Pair): string {
  let both = 0;
  let one = 0;
  for (const sets of Object.values(context.codes)) {
    const shared = sharedCodes(sets, left, right).length;
    both += shared;
    one += sets.setStart[left + 1]! - sets.setStart[left]! + sets.setStart[right + 1]! - sets.setStart[right]! - 2 * shared;
  }
  return `${both} ${both === 1 ? 'kind' : 'kinds'} of entry on both records, ${one} on one only`;
}
