import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { estimateU, samplePairs } from '../../src/linkage/estimate-u.ts';
import type { KernelData } from '../../src/linkage/kernel.ts';
import { createPool } from '../../src/linkage/workers.ts';

/** One comparison null, exact, else over one column of codes. */
function dataOf(codes: readonly number[], source?: readonly number[]): KernelData {
  return {
    codes: [Int32Array.from(codes)],
    dictionaryOf: [0],
    dictionaries: [undefined],
    numbers: [],
    lists: [],
    vectors: [],
    points: [],
    comparisons: [
      {
        levels: [{ kind: 'null', column: 0 }, { kind: 'exact', left: 0, right: 0 }, { kind: 'else' }],
        nullLevel: 0,
        quickColumn: 0,
        exactLevel: 1,
        frequencies: [undefined, undefined, undefined],
      },
    ],
    ...(source ? { source: Int32Array.from(source) } : {}),
  };
}

const tables = fc.array(fc.tuple(fc.integer({ min: -1, max: 5 }), fc.nat(2)), { minLength: 2, maxLength: 40 });

describe('u', () => {
  test('of equality is the exact share of pairs, whatever the sample, one source left out of itself', async () => {
    await fc.assert(
      fc.asyncProperty(tables, fc.boolean(), fc.nat(20), async (rows, isLinkOnly, sample) => {
        const codes = rows.map(([code]) => code);
        const sources = rows.map(([, source]) => source);
        const [u] = await estimateU(dataOf(codes, isLinkOnly ? sources : undefined), createPool({ threads: 1 }), {
          recordCount: rows.length,
          samplePairs: sample,
          seed: 3,
        });
        let [equal, all] = [0, 0];
        for (let a = 0; a < rows.length; a++) {
          for (let b = a + 1; b < rows.length; b++) {
            if (codes[a]! < 0 || codes[b]! < 0 || (isLinkOnly && sources[a] === sources[b])) continue;
            all++;
            if (codes[a] === codes[b]) equal++;
          }
        }
        const wanted = Math.max(0.5, equal) / Math.max(1, all);
        expect(u![0]).toBeNaN();
        expect(u![1]).toBeCloseTo(wanted, 12);
        expect(u![2]).toBeCloseTo(1 - wanted, 12);
      }),
    );
  });

  test('the sample is all pairs when they are few, else seeded: the same seed draws the same', () => {
    const few = samplePairs({ recordCount: 4, samplePairs: 10, seed: 1 });
    expect(Array.from(few.left, (a, p) => [a, few.right[p]])).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 2],
      [1, 3],
      [2, 3],
    ]);
    const draw = (seed: number) => samplePairs({ recordCount: 1000, samplePairs: 500, seed });
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(1).left.every((a, p) => a < draw(1).right[p]!)).toBe(true);
  });
});
