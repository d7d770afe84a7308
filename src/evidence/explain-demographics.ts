// What a pair's demographics say, field by field, in words a records clerk reads. The words state what is seen; the weight beside
// them (from the model) says what it is worth.

import { editDistance } from '../base/edit-distance.ts';
import { titleCase } from '../records/patient.ts';
import type { demographicFeatureNames } from './demographic-features.ts';
import { type Demographics, type Field, missingDay } from './demographics.ts';

type FeatureName = (typeof demographicFeatureNames)[number];

/** Fields of a record as a clerk names them. */
export const demographicThemes = [
  'first name',
  'last name',
  'maiden name',
  'birth date',
  'SSN',
  'address',
  'city',
  'zip',
  'completeness',
] as const;
export type DemographicTheme = (typeof demographicThemes)[number];

/** The field that each feature speaks of. */
export const demographicThemeOf: { readonly [F in FeatureName]: DemographicTheme } = {
  firstDistance: 'first name',
  firstRelative: 'first name',
  firstSimilarity: 'first name',
  firstRarity: 'first name',
  lastDistance: 'last name',
  lastRelative: 'last name',
  lastSimilarity: 'last name',
  lastRarity: 'last name',
  maidenDistance: 'maiden name',
  maidenRelative: 'maiden name',
  maidenRarity: 'maiden name',
  lastMaidenDistance: 'maiden name',
  lastMaidenRelative: 'maiden name',
  maidenKnown: 'maiden name',
  birthClass: 'birth date',
  birthDays: 'birth date',
  birthEdits: 'birth date',
  birthParts: 'birth date',
  birthYears: 'birth date',
  ssnDistance: 'SSN',
  ssnUnequal: 'SSN',
  addressDistance: 'address',
  addressRelative: 'address',
  addressRarity: 'address',
  houseNumber: 'address',
  streetRelative: 'address',
  apartment: 'address',
  cityDistance: 'city',
  cityRelative: 'city',
  cityRarity: 'city',
  zipDistance: 'zip',
  zipRarity: 'zip',
  fieldsKnown: 'completeness',
};

/** One sentence on one field of a pair. */
export function describeDemographics(d: Demographics, theme: DemographicTheme, left: number, right: number): string {
  const { fields } = d;
  switch (theme) {
    case 'first name':
      return describeText('First name', fields.first_name, left, right, titleCase);
    case 'last name':
      return describeText('Last name', fields.last_name, left, right, titleCase);
    case 'maiden name':
      return describeMaiden(d, left, right);
    case 'birth date':
      return describeBirth(d, left, right);
    case 'SSN':
      return describeSsn(fields.ssn, left, right);
    case 'address':
      return describeText('Address', fields.address_canonical, left, right, titleCase);
    case 'city':
      return describeText('City', fields.city_canonical, left, right, titleCase);
    case 'zip':
      return describeText('ZIP', fields.zip, left, right, (text) => text);
    case 'completeness':
      return 'How many fields both records fill';
  }
}

function textOf({ codes, bytes }: Field, record: number): string | undefined {
  const code = codes[record]!;
  return code < 0 ? undefined : new TextDecoder().decode(bytes[code]!);
}

/** "in one letter", "in 3 letters", "altogether" where nothing much is alike. */
function amount(edits: number, length: number, unit: string): string {
  if (edits > Math.max(2, length / 2)) return 'altogether';
  return edits === 1 ? `in one ${unit}` : `in ${edits} ${unit}s`;
}

function missingText(name: string, a: string | undefined, b: string | undefined): string | undefined {
  if (a !== undefined && b !== undefined) return undefined;
  return a === b ? `${name} missing on both records` : `${name} missing on one record`;
}

function describeText(name: string, field: Field, left: number, right: number, show: (text: string) => string): string {
  const [a, b] = [textOf(field, left), textOf(field, right)];
  if (a === undefined || b === undefined) return missingText(name, a, b)!;
  if (a === b) {
    const others = field.counts[field.codes[left]!]! - 2;
    return `${name} agrees (${show(a)}${others === 0 ? ', on no other record' : ''})`;
  }
  const edits = editDistance(field.bytes[field.codes[left]!]!, field.bytes[field.codes[right]!]!);
  return `${name} differs ${amount(edits, Math.max(a.length, b.length), 'letter')} (${show(a)} / ${show(b)})`;
}

function describeMaiden({ fields }: Demographics, left: number, right: number): string {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ] as const) {
    const last = fields.last_name.codes[one]!;
    const maiden = fields.maiden_name.codes[other]!;
    const ownLast = fields.last_name.codes[other]!;
    if (last >= 0 && last === maiden && last !== ownLast) {
      return `Last name on one record is the maiden name on the other (${titleCase(textOf(fields.last_name, one)!)})`;
    }
  }
  return describeText('Maiden name', fields.maiden_name, left, right, titleCase);
}

function describeSsn(field: Field, left: number, right: number): string {
  const [a, b] = [textOf(field, left), textOf(field, right)];
  if (a === undefined || b === undefined) return missingText('SSN', a, b)!;
  if (a === b) return `SSN agrees (ends ${a.slice(-4)})`;
  const unequal = [...a].filter((digit, i) => digit !== b[i]).length;
  const edits = editDistance(field.bytes[field.codes[left]!]!, field.bytes[field.codes[right]!]!);
  if (edits === 1 && unequal === 2) return 'SSN has two neighbouring digits swapped';
  return `SSN differs ${edits > 4 ? 'altogether' : edits === 1 ? 'in one digit' : `in ${edits} digits`}`;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function describeBirth({ birth }: Demographics, left: number, right: number): string {
  const date = (record: number) =>
    birth.day[record] === missingDay ? undefined : `${birth.dayOfMonth[record]} ${months[birth.month[record]! - 1]} ${birth.year[record]}`;
  const [a, b] = [date(left), date(right)];
  if (a === undefined || b === undefined) return missingText('Birth date', a, b)!;
  if (a === b) return `Birth date agrees (${a})`;
  const days = Math.abs(birth.day[left]! - birth.day[right]!);
  return `Birth date ${birthGap(birth, left, right, days)} (${a} / ${b})`;
}

function birthGap({ year, month, dayOfMonth }: Demographics['birth'], left: number, right: number, days: number): string {
  const sameYear = year[left] === year[right];
  if (sameYear && month[left] === dayOfMonth[right] && dayOfMonth[left] === month[right]) return 'has day and month swapped';
  if (days === 1) return 'differs by a day';
  if (days <= 45) return `differs by ${days} days`;
  if (days < 335) return `differs by ${Math.round(days / 30.4)} months`;
  return days < 400 ? 'differs by a year' : `differs by ${Math.round(days / 365.25)} years`;
}
