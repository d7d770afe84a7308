import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { distanceBound, jaroBound, jaroWinklerBound, presence, repeats } from '../../src/linkage/bounds.ts';
import { jaroRow, jaroSimilarity } from '../../src/linkage/jaro.ts';
import { packRows } from '../../src/linkage/rows.ts';
import {
  type ByteTable,
  damerauLevenshtein,
  jaccard,
  jaccardBound,
  letterSets,
  levenshtein,
  withinOneEdit,
} from '../../src/linkage/strings.ts';
import { settleUnlike } from '../../src/linkage/unlike.ts';
import { Database } from '../../src/sql/duckdb.ts';

function signaturesOf({ bytes, offsets }: ByteTable) {
  const of = (sign: typeof presence) =>
    Int32Array.from({ length: offsets.length - 1 }, (_, v) => sign(bytes, offsets[v]!, offsets[v + 1]!));
  return { presence: of(presence), repeats: of(repeats) };
}

function bytesOf(values: readonly string[]): ByteTable {
  const parts = values.map((value) => new TextEncoder().encode(value));
  const offsets = new Uint32Array(values.length + 1);
  parts.forEach((part, v) => {
    offsets[v + 1] = offsets[v]! + part.length;
  });
  const bytes = new Uint8Array(offsets[values.length]!);
  parts.forEach((part, v) => {
    bytes.set(part, offsets[v]!);
  });
  return { bytes, offsets };
}

describe('string measures', () => {
  test.each([
    ['martha', 'marhta', 0.9611111111111111, 2, 1],
    ['ca', 'abc', 0, 3, 2],
    ['', 'abc', 0, 3, 3],
    ['same', 'same', 1, 0, 0],
    ['é', 'e', 0, 2, 2],
  ])('%s against %s', (a, b, alike, edits, editsWithSwaps) => {
    const table = bytesOf([a, b]);
    expect(jaroSimilarity(table, 'jaroWinkler')(0, 1)).toBeCloseTo(alike, 12);
    expect(levenshtein(table, 0, 1)).toBe(edits);
    expect(damerauLevenshtein(table, 0, 1)).toBe(editsWithSwaps);
  });

  test.each([
    ['abc', 'bcd', 0.5],
    ['aab', 'ba', 1],
    ['é', 'è', 1 / 3],
    ['', 'a', 0],
    ['', '', 0],
  ])('%s against %s share %d of their bytes', (a, b, similarity) => {
    expect(jaccard(letterSets(bytesOf([a, b])), 0, 1)).toBe(similarity);
  });

  describe('against DuckDB', () => {
    let db: Database;
    beforeAll(async () => void (db = await Database.open()));
    afterAll(() => db.close());

    const letters = fc.constantFrom('a', 'b', 'c', 'n', 'A', ' ', '1', 'é', 'ß', '字', '-');
    const word = fc.oneof(
      fc.string({ unit: letters, maxLength: 12 }),
      fc.string({ unit: letters, minLength: 20, maxLength: 80 }),
      fc.string({ unit: letters, minLength: 60, maxLength: 66 }),
      fc.string({ maxLength: 10 }).map((text) => text.replaceAll('\u0000', '')),
    );

    test('every measure gives the same number to the last bit, and no bound is crossed', async () => {
      const pairs = fc.sample(fc.tuple(word, word), { numRuns: 4000, seed: 7 });
      // Near pairs: a few edits of the same text, where windows and swaps matter.
      const near = fc
        .sample(fc.tuple(word, fc.nat(40), letters, fc.boolean()), { numRuns: 4000, seed: 8 })
        .map(([text, at, letter, swap]) => {
          const chars = [...text];
          if (swap && at + 1 < chars.length) [chars[at], chars[at + 1]] = [chars[at + 1]!, chars[at]!];
          else chars.splice(at, at % 3 === 0 ? 1 : 0, letter);
          return [text, chars.join('')] as const;
        });
      const all = [...pairs, ...near];
      await db.createTable('pairs', {
        n: { type: 'INTEGER', values: all.map((_, n) => n) },
        a: { type: 'VARCHAR', values: all.map(([a]) => a) },
        b: { type: 'VARCHAR', values: all.map(([, b]) => b) },
      });
      const theirs = await db.columns<Record<'j' | 'jw' | 'l' | 'dl' | 'jc', Float64Array>>(
        `select jaro_similarity(a, b) j, jaro_winkler_similarity(a, b) jw, levenshtein(a, b)::double l,
           damerau_levenshtein(a, b)::double dl, case when a = '' or b = '' then 0 else jaccard(a, b) end jc from pairs order by n`,
      );
      const table = bytesOf(all.flat());
      const sets = letterSets(table);
      const row = jaroRow(table);
      const [jaro, jaroWinkler] = [jaroSimilarity(table, 'jaro'), jaroSimilarity(table, 'jaroWinkler')];
      // Pairs as a batch: none that reaches a limit may be settled as unlike, at limits on both sides of 0.7, where a shared start begins to count.
      const codes = Int32Array.from({ length: 2 * all.length }, (_, v) => v);
      const [left, right] = [0, 1].map((side) => Int32Array.from(all, (_, n) => 2 * n + side)) as [Int32Array, Int32Array];
      const rows = packRows({
        codes: [codes],
        dictionaryOf: [0],
        dictionaries: [{ table, ...signaturesOf(table) }],
        comparisons: [{ levels: [], nullLevel: 0, quickColumn: 0, exactLevel: 1, frequencies: [] }],
        numbers: [],
        lists: [],
        vectors: [],
        points: [],
      });
      for (const [kind, exact] of [
        ['jaro', theirs.j],
        ['jaroWinkler', theirs.jw],
      ] as const) {
        for (const limit of [0.5, 0.7, 0.75, 0.8, 0.92]) {
          const levels = new Uint8Array(all.length).fill(7);
          settleUnlike(rows, 0, { kind, limit, from: 7, to: 3 })(left, right, all.length, levels);
          expect(
            all.filter((_, n) => levels[n] === 3 && exact[n]! >= limit),
            `${kind} ${limit}`,
          ).toEqual([]);
          expect(levels.filter((level) => level === 3).length).toBeGreaterThan(800);
        }
      }
      all.forEach((pair, n) => {
        const [a, b] = [2 * n, 2 * n + 1];
        const ours = [jaro(a, b), jaroWinkler(a, b), levenshtein(table, a, b)];
        expect([...ours, damerauLevenshtein(table, a, b)], JSON.stringify(pair)).toEqual([
          theirs.j[n],
          theirs.jw[n],
          theirs.l[n],
          theirs.dl[n],
        ]);
        expect(jaccard(sets, a, b), JSON.stringify(pair)).toBe(theirs.jc[n]);
        expect(jaccardBound(sets, a, b)).toBeGreaterThanOrEqual(theirs.jc[n]!);
        const words = [a, b].flatMap((v) => {
          const [from, until] = [table.offsets[v]!, table.offsets[v + 1]!];
          return [presence(table.bytes, from, until), repeats(table.bytes, from, until)];
        }) as [number, number, number, number];
        const atMost = jaroBound(...words);
        expect(atMost).toBeGreaterThanOrEqual(ours[0]!);
        expect(jaroWinklerBound(atMost, 4)).toBeGreaterThanOrEqual(ours[1]!);
        expect(distanceBound(...words)).toBeLessThanOrEqual(theirs.dl[n]!);
        expect(distanceBound(...words)).toBeLessThanOrEqual(theirs.l[n]!);
        expect(withinOneEdit(table, a, b, false)).toBe(theirs.l[n]! <= 1);
        expect(withinOneEdit(table, a, b, true)).toBe(theirs.dl[n]! <= 1);
        row.layOut(a);
        expect(row.with(b, 0)).toBe(theirs.j[n]);
        if (theirs.j[n]! >= 0.8) expect(row.with(b, 0.8)).toBe(theirs.j[n]);
        else expect([0, theirs.j[n]]).toContain(row.with(b, 0.8));
      });
    });
  });
});
