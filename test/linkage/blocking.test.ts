import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Blocks, buildBlocks, countBlocks, guardBlocks, ruleCodes, wholeBlock } from '../../src/linkage/blocking.ts';
import { Encoder } from '../../src/linkage/encode.ts';
import type { KernelData } from '../../src/linkage/kernel.ts';
import { createPairSource, planTasks, taskWidth } from '../../src/linkage/pair-source.ts';
import type { LinkageSettings } from '../../src/linkage/settings.ts';
import { createPool } from '../../src/linkage/workers.ts';
import { Database } from '../../src/sql/duckdb.ts';

/** Lines records up by group, as buildBlocks does from a table. */
function blocksOf(groups: readonly number[]): Blocks {
  const count = Math.max(-1, ...groups) + 1;
  const members = Array.from({ length: count }, (_, group) => groups.flatMap((one, record) => (one === group ? [record] : [])));
  const starts = Int32Array.from([0, ...members.map((_, g) => members.slice(0, g + 1).flat().length)]);
  return { kind: 'groups', name: 'rule', groups: Int32Array.from(groups), order: Int32Array.from(members.flat()), starts };
}

/** Pairs that the kernel visits, with their rule. */
async function visited(
  rules: readonly Blocks[],
  options: { readonly pairsPerTask: number; readonly source?: Int32Array; readonly threads?: number },
) {
  const data: KernelData = {
    codes: [],
    dictionaryOf: [],
    dictionaries: [],
    numbers: [],
    lists: [],
    vectors: [],
    points: [],
    comparisons: [],
  };
  const source = createPairSource(rules, options.source ? { origin: options.source } : {}, options.pairsPerTask);
  const pool = createPool({ threads: options.threads ?? 1, pairsWorthThreads: 0 });
  const { left, right, rule } = await pool.run({ data, source, job: { kind: 'list' }, pairs: 1 });
  return Array.from(left, (a, p) => [a, right[p]!, rule[p]!]);
}

/** Each pair with the first rule that puts both in one group. */
function expected(rules: readonly (readonly number[])[], recordCount: number, source?: ArrayLike<number>) {
  const pairs: number[][] = [];
  for (let a = 0; a < recordCount; a++) {
    for (let b = a + 1; b < recordCount; b++) {
      if (source && source[a] === source[b]) continue;
      const first = rules.findIndex((groups) => groups[a]! >= 0 && groups[a] === groups[b]);
      if (first >= 0) pairs.push([a, b, first]);
    }
  }
  return pairs;
}

describe('blocking', () => {
  const tables = fc.integer({ min: 1, max: 24 }).chain((count) =>
    fc.record({
      rules: fc.array(fc.array(fc.integer({ min: -1, max: 4 }), { minLength: count, maxLength: count }), { minLength: 1, maxLength: 4 }),
      sources: fc.option(fc.array(fc.nat(2), { minLength: count, maxLength: count }), { nil: undefined }),
      pairsPerTask: fc.integer({ min: 1, max: 40 }),
    }),
  );

  test('each pair is visited once, under the first rule that finds it, never within one source, however the work is cut', async () => {
    await fc.assert(
      fc.asyncProperty(tables, async ({ rules, sources, pairsPerTask }) => {
        const count = rules[0]!.length;
        const source = sources && Int32Array.from(sources);
        const found = await visited(rules.map(blocksOf), { pairsPerTask, ...(source ? { source } : {}) });
        expect(found).toEqual(expected(rules, count, source));
      }),
      { numRuns: 150 },
    );
  });

  test('counts are exact', () => {
    fc.assert(
      fc.property(tables, ({ rules, sources }) => {
        const [groups] = rules;
        const source = sources && Int32Array.from(sources);
        expect(countBlocks(blocksOf(groups!), source).pairs).toBe(expected([groups!], groups!.length, source).length);
      }),
    );
  });

  test('one giant block is cut into shares of about the wanted size, and nothing is lost over two threads', async () => {
    const count = 2000;
    const blocks = wholeBlock(count);
    const tasks = planTasks([blocks], 10_000);
    const shares = Array.from({ length: tasks.length / taskWidth }, (_, task) => {
      const [from, until] = [tasks[task * taskWidth + 3]!, tasks[task * taskWidth + 4]!];
      let pairs = 0;
      for (let left = from; left < until; left++) pairs += count - 1 - left;
      return pairs;
    });
    expect(shares.reduce((sum, pairs) => sum + pairs, 0)).toBe((count * (count - 1)) / 2);
    expect(Math.max(...shares)).toBeLessThan(12_000);
    const found = await visited([blocks], { pairsPerTask: 10_000, threads: 2 });
    expect(found.length).toBe((count * (count - 1)) / 2);
    expect(new Set(found.map(([a, b]) => a! * count + b!)).size).toBe(found.length);
  });

  describe('from a table', () => {
    let db: Database;
    beforeAll(async () => void (db = await Database.open()));
    afterAll(() => db.close());

    test('missing agrees with nothing, not even with missing, in any part of a rule', async () => {
      await db.run(`create table people as select * from (values ('a', 'Bonn', null), ('b', 'Bonn', 'x'), ('c', null, 'x'), ('d', null, 'x'),
        ('e', 'Bonn', 'x'), ('f', 'Rome', null), ('g', 'Rome', null)) t(id, city, street)`);
      const settings = {
        linkType: 'dedupe_only',
        uniqueId: 'id',
        prior: 0.1,
        comparisons: [],
        blockingRules: [],
      } satisfies LinkageSettings;
      const encoder = await Encoder.open(db, 'people', settings);
      const city = buildBlocks(await ruleCodes(encoder, { on: ['city'] }));
      const both = buildBlocks(await ruleCodes(encoder, { on: ['city', 'street'] }));
      expect(await visited([both, city], { pairsPerTask: 10 })).toEqual([
        [0, 1, 1],
        [0, 4, 1],
        [1, 4, 0],
        [5, 6, 1],
      ]);
      await encoder.close();
    });

    test('a block that explodes is refused in one line that names its value and how many share it', async () => {
      await db.run(`create or replace table people as select i as id, if(i < 3000, 'unknown', 'city ' || i) as city from range(4000) t(i)`);
      const encoder = await Encoder.open(db, 'people', { linkType: 'dedupe_only', uniqueId: 'id', comparisons: [] });
      const rule = { on: ['city'] };
      const count = countBlocks(buildBlocks(await ruleCodes(encoder, rule)));
      await expect(guardBlocks(encoder, rule, count, 1e6)).rejects.toThrow(
        'linkage: blocking rule explodes: city: "unknown" is shared by 3,000 records, 4,498,500 pairs; add a column to the rule, clear the value, or raise maxBlockPairs (--max-block-pairs) from 1,000,000',
      );
      await expect(guardBlocks(encoder, rule, count, 1e7)).resolves.toBeUndefined();
      await encoder.close();
    });
  });
});
