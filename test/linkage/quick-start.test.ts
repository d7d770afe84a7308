import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { KernelData } from '../../src/linkage/kernel.ts';
import { quickStart, wordCodes } from '../../src/linkage/quick-start.ts';
import { packRows } from '../../src/linkage/rows.ts';
import { open } from '../../src/linkage/steps.ts';

/** Comparisons by equality of one column each. */
function dataOf(codes: readonly Int32Array[]): KernelData {
  const equality = (column: number) => ({
    levels: [{ kind: 'null', column }, { kind: 'exact', left: column, right: column }, { kind: 'else' }] as const,
    nullLevel: 0,
    quickColumn: column,
    exactLevel: 1,
    frequencies: [],
  });
  const places = codes.map((_, column) => column);
  return {
    codes,
    dictionaryOf: places,
    dictionaries: places.map(() => undefined),
    numbers: [],
    lists: [],
    vectors: [],
    points: [],
    comparisons: places.map(equality),
  };
}

describe('the start from codes', () => {
  const tables = fc.tuple(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 2, max: 30 })).chain(([columns, records]) =>
    fc.record({
      codes: fc.array(
        // Few codes, so that many are equal; from -1, missing.
        fc.array(fc.integer({ min: -1, max: 20 }), { minLength: records, maxLength: records }),
        { minLength: columns, maxLength: columns },
      ),
      isAsked: fc.array(fc.boolean(), { minLength: columns, maxLength: columns }),
    }),
  );

  test('settles what looking at each code settles, whatever the hashes confuse, for as many codes as a word holds', () => {
    fc.assert(
      fc.property(tables, ({ codes, isAsked }) => {
        const rows = packRows(dataOf(codes.map((column) => Int32Array.from(column))));
        expect(rows.wordColumns).toEqual(codes.map((_, c) => c).slice(0, wordCodes));
        const bits = Float64Array.from({ length: 21 }, (_, code) => code / 64);
        const quick = rows.wordColumns.map((c) =>
          isAsked[c]
            ? {
                nullLevel: 0,
                exactLevel: 1,
                different: c % 2 === 0 ? open : 2,
                missingWeight: 0.25,
                equalWeight: c + 3,
                differentWeight: -c,
                bits: c % 3 === 0 ? bits : undefined,
              }
            : undefined,
        );
        const pairs = codes[0]!.flatMap((_, a) => codes[0]!.map((_, b) => [a, b] as const)).filter(([a, b]) => a < b);
        const [left, right] = [Int32Array.from(pairs, ([a]) => a), Int32Array.from(pairs, ([, b]) => b)];
        const levels = quick.map((one) => one && new Uint8Array(pairs.length));
        const sums = new Float64Array(pairs.length);
        quickStart(rows, -13, quick)(left, right, pairs.length, levels, sums);
        const levelOf = (x: number, y: number, different: number) => (x < 0 || y < 0 ? 0 : x === y ? 1 : different);
        const expected = quick.map(
          (one, c) => one && Uint8Array.from(pairs, ([a, b]) => levelOf(codes[c]![a]!, codes[c]![b]!, one.different)),
        );
        expect(levels).toEqual(expected);
        const off = pairs.map(([a], p) =>
          quick.reduce((rest, one, c) => {
            if (!one) return rest;
            const level = expected[c]![p]!;
            return rest - (level === 0 ? 0.25 : level === 1 ? one.equalWeight + (one.bits?.[codes[c]![a]!] ?? 0) : one.differentWeight);
          }, sums[p]! + 13),
        );
        expect(Math.max(...off.map(Math.abs))).toBeLessThan(1e-9);
      }),
      { seed: 1, numRuns: 60 },
    );
  });
});
