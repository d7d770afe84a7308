// All that is worked out once per record, so that a pair costs only a few merges of short lists.

import { type ClinicalStatistics, greatestRarity } from './clinical-statistics.ts';
import { factNames, type ImpliedBirth, implyBirth } from './implied-age.ts';
import {
  type CodeDomain,
  codeDomains,
  type Facts,
  openEnd,
  type Profiles,
  type Series,
  type SeriesName,
  seriesNames,
  type Visits,
} from './profile.ts';

/** A series with its middle, last and greatest value per record (NaN without points). */
export type SummedSeries = Series & { readonly median: Float32Array; readonly last: Float32Array; readonly greatest: Float32Array };

/** The distinct codes of each record, ascending, with the months they span, and the sums over them. */
export type CodeSets = Facts & {
  readonly setStart: Int32Array;
  readonly setCode: Int32Array;
  readonly firstMonth: Int16Array;
  readonly lastMonth: Int16Array;
  /** 1 where one of its facts has not ended. */
  readonly open: Uint8Array;
  /** Per code of the dictionary. */
  readonly rarity: Float32Array;
  readonly both: Float32Array;
  readonly one: Float32Array;
  /** Per record: sum of rarity, and of `one`. */
  readonly raritySum: Float32Array;
  readonly oneSum: Float32Array;
};

export type ClinicalContext = {
  readonly recordCount: number;
  readonly series: { readonly [S in SeriesName]: SummedSeries };
  readonly codes: { readonly [D in CodeDomain]: CodeSets };
  readonly visits: Visits;
  /** Per record: encounters in all, first and last month (NaN without any), month of death (NaN when alive or not recorded). */
  readonly encounters: Int32Array;
  readonly firstMonth: Float32Array;
  readonly lastMonth: Float32Array;
  readonly deathMonth: Float32Array;
  /** Months of routine check-ups (encounters of class wellness), ascending. */
  readonly checkUps: { readonly start: Int32Array; readonly month: Int16Array };
  /** Per vaccine of the dictionary. */
  readonly vaccineGap: Float32Array;
  readonly vaccineDoses: Float32Array;
  readonly influenza: number;
  readonly births: ImpliedBirth;
};

const deathCertification = '308646001';
const influenzaVaccine = '140';

/** Joins what a population's records say with what was learned in training. */
export function prepareClinical(profiles: Profiles, statistics: ClinicalStatistics): ClinicalContext {
  const names = factNames(profiles);
  const series = Object.fromEntries(seriesNames.map((name) => [name, sumSeries(profiles.series[name])]));
  const codes = Object.fromEntries(
    codeDomains.map((domain) => [domain, sumCodes(profiles.facts[domain], names[domain], statistics)]),
  ) as unknown as Record<CodeDomain, CodeSets>;
  const vaccines = codes.immunizations.codes;
  return {
    recordCount: profiles.recordCount,
    series: series as unknown as Record<SeriesName, SummedSeries>,
    codes,
    visits: profiles.visits,
    ...sumVisits(profiles.visits),
    deathMonth: firstMonthOf(codes.encounters, (code) => code.endsWith(` ${deathCertification}`)),
    checkUps: monthsOf(profiles.facts.encounters, (code) => code.startsWith('wellness ')),
    vaccineGap: Float32Array.from(vaccines, (code) => statistics.vaccines[code]?.[0] ?? 0),
    vaccineDoses: Float32Array.from(vaccines, (code) => statistics.vaccines[code]?.[1] ?? openEnd),
    influenza: vaccines.indexOf(influenzaVaccine),
    births: implyBirth(profiles, statistics.ages),
  };
}

function sumSeries(series: Series): SummedSeries {
  const { start, value } = series;
  const recordCount = start.length - 1;
  const median = new Float32Array(recordCount).fill(Number.NaN);
  const last = median.slice();
  const greatest = median.slice();
  for (let record = 0; record < recordCount; record++) {
    const points = value.slice(start[record]!, start[record + 1]!);
    if (points.length === 0) continue;
    last[record] = points[points.length - 1]!;
    points.sort();
    const middle = (points.length - 1) / 2;
    median[record] = (points[Math.floor(middle)]! + points[Math.ceil(middle)]!) / 2;
    greatest[record] = points[points.length - 1]!;
  }
  return { ...series, median, last, greatest };
}

function sumCodes(facts: Facts, names: readonly string[], statistics: ClinicalStatistics): CodeSets {
  const { start, code, month, end } = facts;
  const recordCount = start.length - 1;
  const learned = names.map((name) => statistics.codes[name] ?? ([greatestRarity, 0, 0] as const));
  const rarity = Float32Array.from(learned, (weights) => weights[0]);
  const both = Float32Array.from(learned, (weights) => weights[1]);
  const one = Float32Array.from(learned, (weights) => weights[2]);
  const setStart = new Int32Array(recordCount + 1);
  const setCode = new Int32Array(code.length);
  const firstMonth = new Int16Array(code.length);
  const lastMonth = new Int16Array(code.length);
  const open = new Uint8Array(code.length);
  const raritySum = new Float32Array(recordCount);
  const oneSum = new Float32Array(recordCount);
  let size = 0;
  for (let record = 0; record < recordCount; record++) {
    for (let at = start[record]!; at < start[record + 1]!; at++) {
      if (at === start[record] || code[at] !== code[at - 1]) {
        setCode[size] = code[at]!;
        firstMonth[size] = month[at]!;
        raritySum[record]! += rarity[code[at]!]!;
        oneSum[record]! += one[code[at]!]!;
        size++;
      }
      lastMonth[size - 1] = month[at]!;
      if (end[at] === openEnd) open[size - 1] = 1;
    }
    setStart[record + 1] = size;
  }
  return {
    ...facts,
    setStart,
    setCode: setCode.slice(0, size),
    firstMonth: firstMonth.slice(0, size),
    lastMonth: lastMonth.slice(0, size),
    open: open.slice(0, size),
    rarity,
    both,
    one,
    raritySum,
    oneSum,
  };
}

function sumVisits({ start, month, count }: Visits): Pick<ClinicalContext, 'encounters' | 'firstMonth' | 'lastMonth'> {
  const recordCount = start.length - 1;
  const encounters = new Int32Array(recordCount);
  const firstMonth = new Float32Array(recordCount).fill(Number.NaN);
  const lastMonth = firstMonth.slice();
  for (let record = 0; record < recordCount; record++) {
    const from = start[record]!;
    const to = start[record + 1]!;
    if (from === to) continue;
    for (let at = from; at < to; at++) encounters[record]! += count[at]!;
    firstMonth[record] = month[from]!;
    lastMonth[record] = month[to - 1]!;
  }
  return { encounters, firstMonth, lastMonth };
}

/** First month of any of the chosen codes, NaN without. */
function firstMonthOf({ codes, setStart, setCode, firstMonth }: CodeSets, chosen: (code: string) => boolean): Float32Array {
  const isChosen = codes.map(chosen);
  const first = new Float32Array(setStart.length - 1).fill(Number.NaN);
  for (let record = 0; record < first.length; record++) {
    for (let at = setStart[record]!; at < setStart[record + 1]!; at++) {
      const month = firstMonth[at]!;
      if (isChosen[setCode[at]!] && !(first[record]! <= month)) first[record] = month;
    }
  }
  return first;
}

/** Months of the chosen codes, ascending per record. */
function monthsOf({ codes, start, code, month }: Facts, chosen: (code: string) => boolean): ClinicalContext['checkUps'] {
  const isChosen = codes.map(chosen);
  const kept = new Int32Array(start.length);
  const months: number[] = [];
  for (let record = 0; record + 1 < start.length; record++) {
    const own: number[] = [];
    for (let at = start[record]!; at < start[record + 1]!; at++) if (isChosen[code[at]!]) own.push(month[at]!);
    own.sort((a, b) => a - b);
    for (const value of own) months.push(value);
    kept[record + 1] = months.length;
  }
  return { start: kept, month: Int16Array.from(months) };
}
