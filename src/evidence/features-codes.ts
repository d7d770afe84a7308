// Pair features of dated codes: what both records say, how rare it is, and what only one of them says.
//
// Per table, over the distinct codes of both records: the weight of what is shared (rarity from the training population, so that it
// means the same in data of any size), the rarest shared code, the share of the lighter record that is shared, what is not shared,
// and a learned log-likelihood ratio of the pattern (clinical-statistics.ts). A code "carries on" when its months in one record end
// and in the other begin within three months of each other. Facts that never ended, recorded twice, speak against one patient
// where the source writes a lasting condition once; trees learn how much.
// Cost: a merge of two ascending lists of codes per table.

import type { ClinicalContext, CodeSets } from './clinical-context.ts';
import { birthYears } from './implied-age.ts';

const domains = ['conditions', 'medications', 'procedures', 'immunizations', 'allergies', 'careplans', 'devices', 'encounters'] as const;
const lasting: readonly string[] = ['conditions', 'medications', 'careplans'];
const isLasting = domains.map((domain) => lasting.includes(domain));

const factFeatures = ['shared weight', 'rarest shared', 'share shared', 'unshared weight', 'carried on weight'] as const;

export const codeNames = domains.slice(1).flatMap((domain) => factFeatures.map((feature) => `${domain} ${feature}`));
export const conditionNames = [
  ...factFeatures.map((feature) => `conditions ${feature}`),
  ...lasting.flatMap((domain) => [`${domain} never ended in both`, `${domain} never ended in both, weight`]),
  'conditions episodes at once',
];
export const likelihoodNames = [...domains.map((domain) => `${domain} likelihood`), 'likelihood of all codes'];
export const ageNames = [
  'implied birth years apart',
  'implied birth years apart in deviations',
  'implied birth years overlap',
  'surer implied birth year',
  'less sure implied birth year',
  'implied age at last visit',
];

type Shared = { weight: number; rarest: number; carried: number; open: number; openWeight: number; likelihood: number };

/** Writes the columns of `conditionNames`, `codeNames` and `likelihoodNames`, in this order, so that each table is walked once. */
export function writeFacts(context: ClinicalContext, left: number, right: number, out: Float32Array, at: number): void {
  const shared: Shared = { weight: 0, rarest: 0, carried: 0, open: 0, openWeight: 0, likelihood: 0 };
  const likelihoodAt = at + conditionNames.length + codeNames.length;
  let openAt = at + factFeatures.length;
  let codesAt = at + conditionNames.length;
  let total = 0;
  for (let d = 0; d < domains.length; d++) {
    const sets = context.codes[domains[d]!];
    share(sets, left, right, shared);
    // The first table, conditions, stands in a group of its own.
    writeShared(sets, left, right, shared, out, d === 0 ? at : codesAt);
    if (d > 0) codesAt += factFeatures.length;
    if (isLasting[d]) {
      out[openAt++] = shared.open;
      out[openAt++] = shared.openWeight;
    }
    out[likelihoodAt + d] = shared.likelihood;
    total += shared.likelihood;
  }
  out[openAt] = episodesAtOnce(context.codes.conditions, left, right);
  out[likelihoodAt + domains.length] = total;
}

export function writeAges({ births, lastMonth }: ClinicalContext, left: number, right: number, out: Float32Array, at: number): void {
  const { mean, deviation, probability, prior } = births;
  const apart = Math.abs(mean[left]! - mean[right]!);
  const sure = Math.min(deviation[left]!, deviation[right]!);
  const unsure = Math.max(deviation[left]!, deviation[right]!);
  let overlap = 0;
  const l = left * birthYears;
  const r = right * birthYears;
  for (let b = 0; b < birthYears; b++) overlap += (probability[l + b]! * probability[r + b]!) / prior[b]!;
  const year = 1970 + (Math.max(lastMonth[left]!, lastMonth[right]!) * 30) / 365.25;
  out[at] = apart;
  out[at + 1] = apart / Math.sqrt(sure * sure + unsure * unsure + 0.25);
  out[at + 2] = Number.isNaN(apart) ? Number.NaN : Math.log(overlap + 1e-6);
  out[at + 3] = sure;
  out[at + 4] = unsure;
  out[at + 5] = Math.max(0, year - Math.max(mean[left]!, mean[right]!));
}

function writeShared(sets: CodeSets, left: number, right: number, shared: Shared, out: Float32Array, at: number): void {
  const lighter = Math.min(sets.raritySum[left]!, sets.raritySum[right]!);
  const heavier = Math.max(sets.raritySum[left]!, sets.raritySum[right]!);
  // A record without a code of this table has nothing to share or to miss.
  const isComparable = lighter > 0;
  out[at] = isComparable ? shared.weight : Number.NaN;
  out[at + 1] = isComparable ? shared.rarest : Number.NaN;
  out[at + 2] = isComparable ? shared.weight / lighter : Number.NaN;
  out[at + 3] = heavier > 0 ? lighter + heavier - 2 * shared.weight : Number.NaN;
  out[at + 4] = isComparable ? shared.carried : Number.NaN;
}

/** Walks the codes both records have. */
function share(sets: CodeSets, left: number, right: number, shared: Shared): void {
  const { setStart, setCode, firstMonth, lastMonth, open, rarity, both, one } = sets;
  let i = setStart[left]!;
  let j = setStart[right]!;
  const iEnd = setStart[left + 1]!;
  const jEnd = setStart[right + 1]!;
  shared.weight = 0;
  shared.rarest = 0;
  shared.carried = 0;
  shared.open = 0;
  shared.openWeight = 0;
  shared.likelihood = Math.min(sets.oneSum[left]!, sets.oneSum[right]!) + Math.max(sets.oneSum[left]!, sets.oneSum[right]!);
  while (i < iEnd && j < jEnd) {
    const code = setCode[i]!;
    const other = setCode[j]!;
    if (code < other) i++;
    else if (code > other) j++;
    else {
      const weight = rarity[code]!;
      shared.weight += weight;
      if (weight > shared.rarest) shared.rarest = weight;
      if (Math.max(firstMonth[i]!, firstMonth[j]!) - Math.min(lastMonth[i]!, lastMonth[j]!) <= 3) shared.carried += weight;
      if (open[i] === 1 && open[j] === 1) {
        shared.open++;
        shared.openWeight += weight;
      }
      shared.likelihood += both[code]! - 2 * one[code]!;
      i++;
      j++;
    }
  }
}

/** Times that the same condition ran in both records at once: starts, in either record, while the other's episode had not ended. */
function episodesAtOnce({ start, code, month, end }: CodeSets, left: number, right: number): number {
  let count = 0;
  let i = start[left]!;
  let j = start[right]!;
  const iEnd = start[left + 1]!;
  const jEnd = start[right + 1]!;
  while (i < iEnd && j < jEnd) {
    if (code[i]! !== code[j]!) {
      if (code[i]! < code[j]!) i++;
      else j++;
      continue;
    }
    if (month[i]! < end[j]! && month[j]! < end[i]!) count++;
    // The episode that is over first moves on; both do when they are the same, so that it does not matter which record is left.
    const order = end[i]! - end[j]! || month[i]! - month[j]!;
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  return count;
}
