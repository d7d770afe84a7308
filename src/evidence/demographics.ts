// All records' demographics as codes: every field is read once into its distinct values (their bytes, and how often each occurs),
// so that two records are compared by integers and the distance between two values is looked for only where they differ.
// Names lose case and accents, addresses are taken apart into house number, street and apartment once per distinct address.

import type { Database } from '../sql/duckdb.ts';

/** One field over all records: `codes[row]` points into the distinct values, -1 where missing. */
export type Field = {
  readonly codes: Int32Array;
  readonly bytes: readonly Uint8Array[];
  readonly counts: Int32Array;
  readonly known: number;
};

const textColumns = ['first_name', 'last_name', 'maiden_name', 'ssn', 'address_canonical', 'city_canonical', 'zip'] as const;
type TextColumn = (typeof textColumns)[number];

/** All records' demographics, ready to be compared by row number. */
export type Demographics = {
  readonly recordCount: number;
  readonly facility: Int32Array;
  /** 1 male, 2 female, 3 other words, 0 missing. */
  readonly gender: Uint8Array;
  readonly fields: Readonly<Record<TextColumn, Field>>;
  readonly birth: { readonly day: Int32Array; readonly year: Int32Array; readonly month: Uint8Array; readonly dayOfMonth: Uint8Array };
  /** Per distinct address: house number (0 none), apartment (empty none), street without both. */
  readonly addresses: readonly Address[];
};

export type Address = { readonly house: string; readonly apartment: string; readonly street: Uint8Array };

/** The day of a missing birth date. */
export const missingDay = -2_147_483_648;

/** 00000 stands for an unknown ZIP in Synthea, and in many registries. */
const knownZip = "nullif(zip, '00000') as zip";

/** Reads table `records` (row, facility, names, birthdate, ssn, address_canonical, city_canonical, zip, gender) into codes. */
export async function buildDemographics(db: Database): Promise<Demographics> {
  const read = await db.columns<Record<TextColumn | 'gender', (string | null)[]> & Record<'facility' | 'day', Int32Array>>(
    `select facility, gender, ${textColumns.map((column) => (column === 'zip' ? knownZip : column)).join(', ')}, coalesce(date_diff('day', date '1970-01-01', birthdate), ${missingDay})::integer as day
     from records order by row`,
  );
  const recordCount = read.facility.length;
  const names = dictionary();
  const fields = Object.fromEntries(
    textColumns.map((column) => [column, encode(read[column] ?? [], column.endsWith('_name') ? names : dictionary())]),
  ) as Record<TextColumn, Field>;
  return {
    recordCount,
    facility: read.facility,
    gender: Uint8Array.from(read.gender ?? [], (text) => (text === null ? 0 : ({ M: 1, F: 2 }[text] ?? 3))),
    fields,
    birth: birthParts(read.day ?? new Int32Array()),
    addresses: fields.address_canonical.bytes.map(readAddress),
  };
}

type Dictionary = { readonly codes: Map<string, number>; readonly bytes: Uint8Array[] };

const dictionary = (): Dictionary => ({ codes: new Map(), bytes: [] });

/** First, last and maiden names share one dictionary, so that a last name is compared with a maiden name by code. */
function encode(values: readonly (string | null)[], { codes: known, bytes }: Dictionary): Field {
  const codes = new Int32Array(values.length).fill(-1);
  let present = 0;
  values.forEach((value, row) => {
    const text = value === null ? '' : plainLetters(value);
    if (text === '') return;
    let code = known.get(text);
    if (code === undefined) {
      code = bytes.length;
      known.set(text, code);
      bytes.push(new TextEncoder().encode(text));
    }
    codes[row] = code;
    present++;
  });
  const counts = new Int32Array(bytes.length);
  for (const code of codes) if (code >= 0) counts[code]!++;
  return { codes, bytes, counts, known: present };
}

/** Lower case, accents off, spaces single: "José  María" and "jose maria" are one value. */
function plainLetters(text: string): string {
  const lower = text.toLowerCase().replace(/\s+/g, ' ').trim();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the test is for pure ASCII, which needs no folding
  return /^[\x00-\x7f]*$/.test(lower) ? lower : lower.normalize('NFD').replace(/\p{M}/gu, '');
}

function birthParts(day: Int32Array): Demographics['birth'] {
  const year = new Int32Array(day.length);
  const month = new Uint8Array(day.length);
  const dayOfMonth = new Uint8Array(day.length);
  day.forEach((value, row) => {
    if (value === missingDay) return;
    const date = new Date(value * 86_400_000);
    year[row] = date.getUTCFullYear();
    month[row] = date.getUTCMonth() + 1;
    dayOfMonth[row] = date.getUTCDate();
  });
  return { day, year, month, dayOfMonth };
}

/** "386 altenwerth orchard apt 67" -> house 386, apartment 67, street "altenwerth orchard". */
function readAddress(bytes: Uint8Array): Address {
  const text = new TextDecoder().decode(bytes);
  const [, house = '', rest = ''] = /^(\d+)?\s*(.*)$/s.exec(text)!;
  const [, apartment = ''] = /(?:\b(?:apt|apartment|unit|ste|suite|no)\b\.?\s*|#\s*)(\w+)\s*$/.exec(rest) ?? [];
  const street = rest.replace(/(?:\b(?:apt|apartment|unit|ste|suite|no)\b\.?\s*|#\s*)\w+\s*$/, '').trim();
  return { house, apartment, street: new TextEncoder().encode(street) };
}
