import { spawnSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import { wholeBlock } from '../../src/linkage/blocking.ts';
import { type Chore, doChore } from '../../src/linkage/chores.ts';
import type { KernelData } from '../../src/linkage/kernel.ts';
import { createPairSource, type PairSource } from '../../src/linkage/pair-source.ts';
import type { KernelJob } from '../../src/linkage/score.ts';
import { createPool } from '../../src/linkage/workers.ts';

const shared = (values: readonly number[]) => Int32Array.from(values);

/** Records 0..count in one block, compared by equality modulo 7, whose rarity counts. */
function work(count: number): { readonly data: KernelData; readonly source: PairSource } {
  const codes = shared(Array.from({ length: count }, (_, record) => (record % 11 === 0 ? -1 : record % 7)));
  const data: KernelData = {
    codes: [codes],
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
        frequencies: [undefined, { column: 0, share: Float64Array.from({ length: 7 }, (_, code) => (code + 1) / 28) }, undefined],
      },
    ],
  };
  return { data, source: createPairSource([wholeBlock(count)], {}, 1000) };
}
const rarity = [[undefined, { log2U: -2, weight: 1, minimumU: 0 }, undefined]];
const score: KernelJob = { kind: 'score', weights: [Float64Array.of(0, 5, -5)], rarity, prior: 0, threshold: 0, undecided: [] };

describe('a pool of threads', () => {
  test.each([{ job: score }, { job: { kind: 'count', active: [0], rarity } as const }, { job: { kind: 'list' } as const }])(
    '$job.kind: one, two or three threads give the same',
    async ({ job }) => {
      const results = [];
      for (const threads of [1, 2, 3]) {
        const { data, source } = work(400);
        results.push(await createPool({ threads, pairsWorthThreads: 0 }).run({ data, source, job, pairs: 79_800 }));
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
      const [{ left, right, counts, shift }] = results as [(typeof results)[number]];
      const found = job.kind === 'count' ? counts.reduce((sum, count) => sum + count, shift.length) : left.length;
      // Equality scores +5, missing 0: of 79,800 pairs those stay.
      expect(found).toBe(job.kind === 'score' ? 23_328 : 79_800);
      expect(left.every((a, p) => p === 0 || a > left[p - 1]! || (a === left[p - 1]! && right[p]! > right[p - 1]!))).toBe(true);
    },
  );

  test('progress adds up to all pairs', async () => {
    let told = 0;
    const advance = (pairs: number) => {
      told += pairs;
    };
    await createPool({ threads: 1 }).run({ ...work(300), job: score, pairs: 44_850, advance });
    expect(told).toBe(44_850);
  });

  test.each([1, 2])(
    'stop in the middle ends the run and its workers, with %i threads; a stopped pool takes no more work',
    async (threads) => {
      const pool = createPool({ threads, pairsWorthThreads: 0 });
      // Some ten seconds of work, were it not stopped at its first sign of life.
      const { data, source } = work(100_000);
      let stopped: Promise<void> | undefined;
      const running = pool.run({
        data,
        source,
        job: { ...score, threshold: 1e9 } as KernelJob,
        pairs: 5e9,
        advance: () => void (stopped ??= pool.stop()),
      });
      await expect(running).rejects.toThrow('linkage: stopped before the end');
      await stopped;
      await expect(pool.run({ ...work(10), job: score, pairs: 45 })).rejects.toThrow('linkage: closed');
    },
  );

  const chores: readonly Chore[] = Array.from({ length: 6 }, (_, i) => ({
    name: `rule ${i}`,
    columns: [2, 3].map((by) => ({
      codes: shared(Array.from({ length: 500 }, (_, record) => (record % (by + i)) - 1)),
      valueCount: by + i,
    })),
    ...(i % 2 === 0 ? { origin: shared(Array.from({ length: 500 }, (_, record) => record % 2)) } : {}),
  }));

  test.each([1, 2, 3])('%i threads do the same chores, in whatever order they are wanted, also beside a run', async (threads) => {
    const pool = createPool({ threads, pairsWorthThreads: 0, isReady: true });
    const [early, ...late] = pool.begin(chores);
    const { data, source } = work(400);
    const [first, { left }] = await Promise.all([early!(), pool.run({ data, source, job: score, pairs: 79_800 })]);
    const others = await Promise.all(late.reverse().map((done) => done()));
    expect([first, ...others.reverse()]).toEqual(chores.map(doChore));
    expect(left.length).toBe(23_328);
    expect(await early!()).toBe(first);
    await pool.stop();
  });

  // Else the process would end in the middle, as one that has nothing left to wait for.
  test('stopping is waited for, though answers are on their way', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['test/linkage/stop-early.ts'], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'stopped', stderr: '' });
  });

  test('a chore that cannot be done is a fault of whoever wants it', async () => {
    const broken: Chore = { name: 'no column', columns: [] };
    for (const threads of [1, 2]) {
      const pool = createPool({ threads, isReady: true });
      const [done] = pool.begin([broken]);
      await expect(done!()).rejects.toThrow();
      await pool.stop();
    }
  });
});
