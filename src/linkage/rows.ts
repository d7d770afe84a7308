// What the loops over pairs read most, side by side for each record: its codes, and the signs of the values that are measured.
//
// Idea: a pair touches two records. Column by column that is a cache line for each of ten arrays, most of them not in the cache; row by row it is
// one or two lines for all. Signs are kept by record, not by value, so that no look-up waits for another.
//
// Worked case: first_name (measured), ssn: a row is [word of both codes, code, code, bytes used, bytes used twice and length, first four bytes].
// Cost: built once, 4 bytes x (1 + comparisons + 3 x measured ones) a record: 92 MB for a million records and seven comparisons.

import type { Dictionary, KernelData, Rows } from './kernel.ts';
import { wordCodes, wordsIn } from './quick-start.ts';
import type { ByteTable } from './strings.ts';

/** Rows over the columns whose equality decides a level. Signs of a missing value are 0. */
export function packRows({ codes, dictionaryOf, dictionaries, comparisons }: Omit<KernelData, 'rows'>): Rows {
  const codeAt = codes.map(() => -1);
  const signsAt = codes.map(() => -1);
  const columns = [...new Set(comparisons.flatMap(({ quickColumn }) => (quickColumn < 0 ? [] : [quickColumn])))];
  const wordAt = 0;
  const wordColumns = columns.slice(0, wordCodes);
  let width = 1;
  // The word and the codes first: the first look at a pair needs no more.
  for (const column of columns) codeAt[column] = width++;
  for (const column of columns) {
    if (!dictionaries[dictionaryOf[column]!]) continue;
    signsAt[column] = width;
    width += 3;
  }
  const recordCount = codes[0]?.length ?? 0;
  const numbers = new Int32Array(new SharedArrayBuffer(4 * width * recordCount));
  const words = wordsIn(
    { numbers, width, at: wordAt },
    wordColumns.map((column) => codes[column]!),
  );
  const fill = codes.flatMap((column, c) => {
    const at = codeAt[c]!;
    if (at < 0) return [];
    const dictionary = dictionaries[dictionaryOf[c]!];
    const place = (from: number, until: number) => {
      for (let record = from; record < until; record++) numbers[record * width + at] = column[record]!;
    };
    return dictionary ? [place, signsIn({ numbers, width, at: signsAt[c]! }, column, dictionary)] : [place];
  });
  // A share of the records is in the cache until all of its columns are.
  for (let from = 0; from < recordCount; from += recordsAtOnce) {
    for (const one of [words, ...fill]) one(from, Math.min(recordCount, from + recordsAtOnce));
  }
  return { numbers, width, codeAt, wordAt, wordColumns, signsAt };
}

const recordsAtOnce = 4096;

/** Writes the signs of some records' values. */
function signsIn(
  { numbers, width, at }: { readonly numbers: Int32Array; readonly width: number; readonly at: number },
  column: Int32Array,
  { table, presence, repeats }: Exclude<Dictionary, undefined>,
): (from: number, until: number) => void {
  const starts = presence.map((_, value) => firstBytes(table, value));
  return (from, until) => {
    for (let record = from; record < until; record++) {
      const value = column[record]!;
      if (value < 0) continue;
      const place = record * width + at;
      numbers[place] = presence[value]!;
      numbers[place + 1] = repeats[value]!;
      numbers[place + 2] = starts[value]!;
    }
  };
}

/** The first four bytes of a value as one number, the first one highest; a short one ends in zeros, which at most makes a shared start look longer. */
function firstBytes({ bytes, offsets }: ByteTable, value: number): number {
  const from = offsets[value]!;
  const length = offsets[value + 1]! - from;
  let word = 0;
  for (let i = 0; i < 4; i++) word = (word << 8) | (i < length ? bytes[from + i]! : 0);
  return word;
}
