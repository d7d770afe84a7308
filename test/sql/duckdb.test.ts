import { expect, test } from 'vitest';

import { Database } from '../../src/sql/duckdb.ts';

test('what is appended comes back: every type, missing values, over many chunks', async () => {
  await using db = await Database.open();
  const count = 7000;
  const numbers = Int32Array.from({ length: count }, (_, row) => row * 3 - 9);
  const parts = Float64Array.from(numbers, (one) => one / 7);
  // Missing in the first chunk only, so that a chunk used again must forget it.
  await db.createTable('many', {
    n: { type: 'INTEGER', values: numbers },
    tiny: { type: 'TINYINT', values: Int8Array.from(numbers, (one) => one % 100) },
    part: { type: 'DOUBLE', values: parts, missing: (row) => row < 2048 && row % 2 === 0 },
    text: {
      type: 'VARCHAR',
      values: Array.from(numbers, (one) => (one % 5 === 0 ? null : `value ${one} that is long enough to lie elsewhere`)),
    },
    is: { type: 'BOOLEAN', values: Array.from(numbers, (one) => one % 2 === 0) },
  });
  const [wrong] = await db.rows<{ rows: number; part: number; text: number; tiny: number; flag: number }>(`
    select count(*) as rows, count(*) filter (part is distinct from (case when rowid < 2048 and rowid % 2 = 0 then null else n / 7.0::double end)) as part,
      count(*) filter (text is distinct from (case when n % 5 = 0 then null else printf('value %d that is long enough to lie elsewhere', n) end)) as text,
      count(*) filter (tiny <> n % 100) as tiny, count(*) filter ("is" <> (n % 2 = 0)) as flag
    from many where n = rowid * 3 - 9`);
  expect(wrong).toEqual({ rows: count, part: 0, text: 0, tiny: 0, flag: 0 });
});

test('a result is read whole by columns, and its names are there without rows', async () => {
  await using db = await Database.open();
  const read = await db.columns<{ n: Float64Array; t: string[] }>("select i::double as n, 't' || i as t from range(5000) r(i) order by i");
  expect([read.n.length, read.n[4999], read.t[4999]]).toEqual([5000, 4999, 't4999']);
  expect(await db.columns('select 1 as one, 2 as two where false')).toEqual({ one: [], two: [] });
});
