// What two records say about each other in names, birth date, SSN and address: numbers for a learned model to weigh.
//
// Comparing two records is integer equality first, and a bit-parallel edit distance only where the codes differ: a few microseconds
// a pair. All features are symmetric: swapping the two records changes nothing, so one order is scored. Missing on either side
// is NaN, never a value.
//
// Agreement on a rare value says more than on a common one, hence `rarity`: log10 of the share of the *other* records that hold
// the value. The pair's own two records are left out and the share has a floor of 1 in 1,000; otherwise the number would tell
// how large the data is (and whether the pair itself agrees), and a model trained on one size would fail on another. Where the
// values differ, the more frequent of the two counts. Worked case: 4 of 1,002 records are called Ada, both of the pair are:
// rarity = log10((4 - 2) / (1,002 - 2)) = -2.7; on a name only these two have: -3.
// Gender is not here: it is a rule of the fusion with a weight of its own, so that its force can be chosen (fusion.ts).

import { editDistance, jaroWinkler } from '../base/edit-distance.ts';
import { type Address, type Demographics, type Field, missingDay } from './demographics.ts';

const rarityFloor = 1e-3;

/** The features in order. Distances count edits (OSA); `...Relative` divides by the longer text; similarity is Jaro-Winkler. */
export const demographicFeatureNames = [
  'firstDistance',
  'firstRelative',
  'firstSimilarity',
  'firstRarity',
  'lastDistance',
  'lastRelative',
  'lastSimilarity',
  'lastRarity',
  'maidenDistance',
  'maidenRelative',
  'maidenRarity',
  'lastMaidenDistance',
  'lastMaidenRelative',
  'maidenKnown',
  'birthClass',
  'birthDays',
  'birthEdits',
  'birthParts',
  'birthYears',
  'ssnDistance',
  'ssnUnequal',
  'addressDistance',
  'addressRelative',
  'addressRarity',
  'houseNumber',
  'streetRelative',
  'apartment',
  'cityDistance',
  'cityRelative',
  'cityRarity',
  'zipDistance',
  'zipRarity',
  'fieldsKnown',
] as const;

/**
 * Compares pairs `from` to `to` (excluded) and writes one row of features each.
 *
 * @param out row-major, (to - from) x demographicFeatureNames.length
 */
export function demographicFeatures(
  { fields, birth, addresses }: Demographics,
  left: Int32Array,
  right: Int32Array,
  from: number,
  to: number,
  out: Float32Array,
): void {
  const { first_name: first, last_name: last, maiden_name: maiden, ssn, address_canonical: address, city_canonical: city, zip } = fields;
  let at = 0;
  for (let pair = from; pair < to; pair++) {
    const l = left[pair]!;
    const r = right[pair]!;
    const start = at;

    at = writeName(first, l, r, out, at, true);
    at = writeName(last, l, r, out, at, true);
    at = writeName(maiden, l, r, out, at, false);
    at = writeCrossing(last, maiden, l, r, out, at);
    out[at++] = (maiden.codes[l]! >= 0 ? 1 : 0) + (maiden.codes[r]! >= 0 ? 1 : 0);

    at = writeBirth(birth, l, r, out, at);

    const ssnDistance = distance(ssn, l, r);
    out[at++] = ssnDistance;
    out[at++] = ssnDistance > 0 ? unequalPositions(ssn, l, r) : ssnDistance;

    const addressDistance = distance(address, l, r);
    out[at++] = addressDistance;
    out[at++] = relative(addressDistance, address, l, r);
    out[at++] = rarity(address, l, r);
    at = writeAddressParts(addresses, address.codes[l]!, address.codes[r]!, out, at);

    const cityDistance = distance(city, l, r);
    out[at++] = cityDistance;
    out[at++] = relative(cityDistance, city, l, r);
    out[at++] = rarity(city, l, r);
    out[at++] = distance(zip, l, r);
    out[at++] = rarity(zip, l, r);

    let known = birth.day[l] !== missingDay && birth.day[r] !== missingDay ? 1 : 0;
    for (const field of [ssn, address, city, zip]) if (field.codes[l]! >= 0 && field.codes[r]! >= 0) known++;
    out[at++] = known;
    at = start + demographicFeatureNames.length;
  }
}

function distance(field: Field, l: number, r: number): number {
  return codeDistance(field, field.codes[l]!, field.codes[r]!);
}

function codeDistance({ bytes }: Field, a: number, b: number): number {
  if (a < 0 || b < 0) return Number.NaN;
  return a === b ? 0 : editDistance(bytes[a]!, bytes[b]!);
}

function relative(edits: number, { codes, bytes }: Field, l: number, r: number): number {
  // NaN > 0 is false, so a missing distance passes through as it is.
  return edits > 0 ? edits / Math.max(bytes[codes[l]!]!.length, bytes[codes[r]!]!.length) : edits;
}

/** log10 of the share of other records with the shared (else the more frequent) value, at least 1 in 1,000. */
function rarity({ codes, counts, known }: Field, l: number, r: number): number {
  const a = codes[l]!;
  const b = codes[r]!;
  if (a < 0 || b < 0) return Number.NaN;
  const others = a === b ? counts[a]! - 2 : Math.max(counts[a]!, counts[b]!) - 1;
  return Math.log10(Math.max(rarityFloor, others / Math.max(1, known - 2)));
}

function writeName(field: Field, l: number, r: number, out: Float32Array, at: number, withSimilarity: boolean): number {
  const edits = distance(field, l, r);
  out[at++] = edits;
  out[at++] = relative(edits, field, l, r);
  if (withSimilarity) out[at++] = edits > 0 ? similarity(field, field.codes[l]!, field.codes[r]!) : 1 - edits;
  out[at++] = rarity(field, l, r);
  return at;
}

/** Jaro-Winkler's greedy matching can depend on which text comes first; the lower code does. */
function similarity({ bytes }: Field, a: number, b: number): number {
  return jaroWinkler(bytes[Math.min(a, b)]!, bytes[Math.max(a, b)]!);
}

/** A last name on one side that is the maiden name on the other: the nearer of the two ways. */
function writeCrossing(last: Field, maiden: Field, l: number, r: number, out: Float32Array, at: number): number {
  let edits = Number.NaN;
  let share = Number.NaN;
  for (let way = 0; way < 2; way++) {
    const a = last.codes[way === 0 ? l : r]!;
    const b = maiden.codes[way === 0 ? r : l]!;
    if (a < 0 || b < 0) continue;
    const found = codeDistance(last, a, b);
    const foundShare = found / Math.max(last.bytes[a]!.length, last.bytes[b]!.length);
    if (!(found >= edits)) edits = found;
    if (!(foundShare >= share)) share = foundShare;
  }
  out[at++] = edits;
  out[at++] = share;
  return at;
}

/**
 * How two birth dates differ: 0 equal, 1 a day, 2 day and month swapped, 3 the year's last two digits swapped, 4 within a month,
 * 5 within a year, 6 two of year, month and day equal, 7 within two years, 8 within eight, 9 beyond.
 */
function birthClass(days: number, parts: number, swappedDay: boolean, swappedYear: boolean): number {
  if (days <= 1) return days;
  if (swappedDay) return 2;
  if (swappedYear) return 3;
  if (days <= 31) return 4;
  if (days <= 366) return 5;
  if (parts === 2) return 6;
  return days <= 731 ? 7 : days <= 2922 ? 8 : 9;
}

function writeBirth({ day, year, month, dayOfMonth }: Demographics['birth'], l: number, r: number, out: Float32Array, at: number): number {
  const dayL = day[l]!;
  const dayR = day[r]!;
  if (dayL === missingDay || dayR === missingDay) {
    out.fill(Number.NaN, at, at + 5);
    return at + 5;
  }
  const days = Math.abs(dayL - dayR);
  const [yearL, yearR, monthL, monthR, dateL, dateR] = [year[l]!, year[r]!, month[l]!, month[r]!, dayOfMonth[l]!, dayOfMonth[r]!];
  const parts = (yearL === yearR ? 1 : 0) + (monthL === monthR ? 1 : 0) + (dateL === dateR ? 1 : 0);
  const swappedDay = yearL === yearR && monthL === dateR && dateL === monthR;
  const shortL = yearL % 100;
  const shortR = yearR % 100;
  const swappedYear = Math.floor(shortL / 10) === shortR % 10 && shortL % 10 === Math.floor(shortR / 10) && parts === 2;
  out[at++] = birthClass(days, parts, swappedDay, swappedYear);
  out[at++] = Math.log2(1 + days);
  out[at++] = unequalDigits(yearL, yearR) + unequalDigits(monthL, monthR) + unequalDigits(dateL, dateR);
  out[at++] = parts;
  out[at++] = Math.abs(yearL - yearR);
  return at;
}

function unequalDigits(a: number, b: number): number {
  let unequal = 0;
  for (let x = a, y = b; x > 0 || y > 0; x = Math.floor(x / 10), y = Math.floor(y / 10)) if (x % 10 !== y % 10) unequal++;
  return unequal;
}

function unequalPositions({ codes, bytes }: Field, l: number, r: number): number {
  const a = bytes[codes[l]!]!;
  const b = bytes[codes[r]!]!;
  let unequal = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) unequal++;
  return unequal;
}

function writeAddressParts(addresses: readonly Address[], a: number, b: number, out: Float32Array, at: number): number {
  if (a < 0 || b < 0) {
    out.fill(Number.NaN, at, at + 3);
    return at + 3;
  }
  const x = addresses[a]!;
  const y = addresses[b]!;
  out[at++] = x.house === '' || y.house === '' ? Number.NaN : x.house === y.house ? 1 : 0;
  const length = Math.max(x.street.length, y.street.length);
  out[at++] = a === b || length === 0 ? 0 : editDistance(x.street, y.street) / length;
  out[at++] = x.apartment === '' && y.apartment === '' ? Number.NaN : x.apartment === y.apartment ? 1 : 0;
  return at;
}
