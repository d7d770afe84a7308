// Pairs of different people who are made to look alike: twins, parent and child of one name, siblings.
//
// Idea: two patients of one facility are picked; the second (the target) takes over family name, address and so on from the first (the
// source), and a birth date that fits the kind of pair. Only pairs that give the target a possible life are taken: born on or before
// its first encounter, and not after the data ends. Each pair's kind is drawn first, then the first free pair for which that kind is
// possible is taken, so the kinds keep their shares. Everything is sorted before it is shuffled: the seed alone decides.
//
//   twin          born the same day         LAST BIRTHDATE ADDRESS CITY ZIP GENDER STATE LAT LON
//   parent_child  born 25 to 30 years later FIRST LAST ADDRESS CITY ZIP STATE LAT LON
//   sibling       born 1 to 5 years apart   LAST ADDRESS CITY ZIP STATE LAT LON
//
// Time O(wanted * candidates), both a few thousand at most.

import { random } from '../base/random.ts';
import { compareCodePoints } from '../base/text.ts';
import { type LookAlikeType, lookAlikeTypes, type SegmentSettings } from './settings.ts';

/** What a target takes over as it is; the birth date is computed. */
export const copiedFields: { readonly [Type in LookAlikeType]: readonly string[] } = {
  twin: ['LAST', 'BIRTHDATE', 'ADDRESS', 'CITY', 'ZIP', 'GENDER', 'STATE', 'LAT', 'LON'],
  parent_child: ['FIRST', 'LAST', 'ADDRESS', 'CITY', 'ZIP', 'STATE', 'LAT', 'LON'],
  sibling: ['LAST', 'ADDRESS', 'CITY', 'ZIP', 'STATE', 'LAT', 'LON'],
};

const yearsApart: { readonly [Type in LookAlikeType]: readonly number[] } = {
  twin: [0],
  parent_child: [25, 26, 27, 28, 29, 30],
  sibling: [-5, -4, -3, -2, -1, 1, 2, 3, 4, 5],
};

export type LookAlike = {
  readonly source: string;
  readonly target: string;
  readonly type: LookAlikeType;
  /** The target's new birth date, `YYYY-MM-DD`. */
  readonly birthdate: string;
};

/** One patient's life, dates as `YYYY-MM-DD`. */
export type Life = { readonly patient: string; readonly birthdate: string; readonly firstSeen: string };

/** The day some years later (or earlier); 29 February becomes the 28th where there is none. */
export function addYears(date: string, years: number): string {
  const year = Number(date.slice(0, 4)) + years;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const rest = date.slice(4) === '-02-29' && !leap ? '-02-28' : date.slice(4);
  return `${String(year).padStart(4, '0')}${rest}`;
}

/** How many pairs the settings ask for; a half is rounded to the even number. */
export function wantedPairs(patients: number, { confusablePercent, confusablePairs }: SegmentSettings): number {
  if (confusablePercent === 0) return confusablePairs;
  const exact = (confusablePercent / 100) * patients;
  const floor = Math.floor(exact);
  if (exact - floor === 0.5) return floor + (floor % 2);
  return Math.round(exact);
}

/**
 * Picks the pairs. May return fewer than `wanted` when there are not enough patients.
 *
 * @param members patients seen at each facility
 * @param lastDay the last day of the data, `YYYY-MM-DD`
 */
export function chooseLookAlikes({
  wanted,
  members,
  lives,
  lastDay,
  seed,
  weights,
}: {
  readonly wanted: number;
  readonly members: readonly (readonly string[])[];
  readonly lives: ReadonlyMap<string, Life>;
  readonly lastDay: string;
  readonly seed: number;
  readonly weights: SegmentSettings['lookAlikeWeights'];
}): readonly LookAlike[] {
  const used = new Set<string>();
  const chosen: LookAlike[] = [];
  const stream = random(seed, 'look-alike types');
  const types = Array.from({ length: wanted }, () => lookAlikeTypes[stream.weighted(lookAlikeTypes.map((type) => weights[type] ?? 0))]!);
  // A few rounds: each shuffle gives other neighbours to try for what could not be placed yet.
  for (let round = 0; round < 8 && types.length > 0; round++) {
    const pairs = candidatePairs(members, types.length, seed, round);
    for (let at = 0; at < types.length; ) {
      const found = firstPossible(pairs, types[at]!, { used, lives, lastDay, seed });
      if (found === undefined) {
        at += 1;
        continue;
      }
      chosen.push(found);
      used.add(found.source).add(found.target);
      types.splice(at, 1);
    }
  }
  return chosen;
}

/** Neighbours in each facility's shuffled list, smaller id first, pooled without repeats and shuffled. */
function candidatePairs(
  members: readonly (readonly string[])[],
  wanted: number,
  seed: number,
  round: number,
): readonly (readonly [string, string])[] {
  const pool = new Map<string, readonly [string, string]>();
  members.forEach((patients, facility) => {
    const sorted = [...patients].sort(compareCodePoints);
    const listed = random(seed, 'look-alikes', round, facility)
      .shuffle(sorted)
      .slice(0, Math.max(20, 2 * wanted));
    for (let i = 0; i + 1 < listed.length; i += 2) {
      const pair = [listed[i]!, listed[i + 1]!].sort(compareCodePoints) as [string, string];
      pool.set(pair.join(' '), pair);
    }
  });
  const keys = [...pool.keys()].sort(compareCodePoints);
  return random(seed, 'look-alikes', round, 'pool')
    .shuffle(keys)
    .map((key) => pool.get(key)!);
}

function firstPossible(
  pairs: readonly (readonly [string, string])[],
  type: LookAlikeType,
  {
    used,
    lives,
    lastDay,
    seed,
  }: { readonly used: ReadonlySet<string>; readonly lives: ReadonlyMap<string, Life>; readonly lastDay: string; readonly seed: number },
): LookAlike | undefined {
  for (const [source, target] of pairs) {
    if (used.has(source) || used.has(target)) continue;
    const [from, to] = [lives.get(source)!, lives.get(target)!];
    const possible = yearsApart[type]
      .map((years) => addYears(from.birthdate, years))
      .filter((date) => date <= to.firstSeen && date <= lastDay);
    if (possible.length > 0) return { source, target, type, birthdate: random(seed, 'look-alike birth', source, target).pick(possible) };
  }
  return undefined;
}
