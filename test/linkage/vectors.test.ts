import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { cosine, sumSquares, type Vectors } from '../../src/linkage/vectors.ts';
import { Database } from '../../src/sql/duckdb.ts';

function vectorsOf(arrays: readonly (readonly number[] | null)[], isSingle: boolean): Vectors {
  const starts = new Int32Array(arrays.length + 1);
  arrays.forEach((array, record) => {
    starts[record + 1] = starts[record]! + (array?.length ?? 0);
  });
  const plain = { values: Float64Array.from(arrays.flatMap((array) => array ?? [])), starts, isSingle };
  return { ...plain, squares: sumSquares(plain, (record) => arrays[record] === null) };
}

describe('cosine', () => {
  test.each([
    [[3, 4], [4, 3], 0.96],
    [[1, 0], [-2, 0], -1],
    [[0, 0], [1, 2], -1],
    [[1, 2], null, Number.NaN],
    [[1, 2], [1, 2, 3], Number.NaN],
    [[], [], Number.NaN],
  ])('%j and %j: %d', (one, other, expected) => {
    const both = vectorsOf([one, other], false);
    expect(cosine(both, 0, both, 1)).toBe(expected);
  });

  test.each(['FLOAT', 'DOUBLE'] as const)('is DuckDB’s to the last bit for %s', async (type) => {
    await using db = await Database.open();
    const isSingle = type === 'FLOAT';
    const number = isSingle ? fc.float({ noNaN: true, min: -9, max: 9 }) : fc.double({ noNaN: true, min: -9, max: 9 });
    const arrays = fc.sample(fc.array(number, { minLength: 7, maxLength: 7 }), { numRuns: 4000, seed: 3 });
    const columns = Array.from({ length: 7 }, (_, i) => [`v${i}`, { type, values: arrays.map((array) => array[i]!) }] as const);
    await db.createTable('t', { n: { type: 'INTEGER', values: arrays.map((_, n) => n) }, ...Object.fromEntries(columns) });
    const array = (alias: string) => `array_value(${columns.map(([name]) => `${alias}.${name}`).join(', ')})`;
    const { c } = await db.columns<{ c: Float64Array }>(
      `select array_cosine_similarity(${array('a')}, ${array('b')})::double as c from t a join t b on b.n = a.n + 1 order by a.n`,
    );
    const all = vectorsOf(arrays, isSingle);
    expect(Array.from(c, (_, n) => cosine(all, n, all, n + 1))).toEqual([...c]);
  });
});
