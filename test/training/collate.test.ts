import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { collate, reportBatches } from '../../src/training/collate.ts';
import type { Example } from '../../src/training/examples.ts';

/** An example whose every token is its number, so that rows can be told apart; `learned` tokens at its end count. */
const causal = (number: number, length: number, learned = length): Example => ({
  kind: 'causal',
  ids: new Int32Array(length).fill(number),
  mask: Uint8Array.from({ length }, (_, i) => Number(i >= length - learned)),
});
const ofLengths = (lengths: readonly number[]) => lengths.map((length, i) => causal(i + 1, length));
const all = (list: ReturnType<ReturnType<typeof collate>>) => Array.from({ length: list.length }, (_, i) => list.at(i)!);

describe('collate', () => {
  test('the worked case: like lengths together, padded to multiples', () => {
    const list = collate(ofLengths([3, 60, 31, 33]), { batchSize: 2, seed: 1 })(0);
    expect(
      all(list)
        .map(({ rows, tokens, lengths }) => ({ rows, tokens, lengths: [...lengths].sort((a, b) => a - b) }))
        .sort((a, b) => a.tokens - b.tokens),
    ).toEqual([
      { rows: 2, tokens: 32, lengths: [3, 31] },
      { rows: 2, tokens: 64, lengths: [33, 60] },
    ]);
  });

  test('targets are the next tokens that are learned; all else is -100 or padding', () => {
    const example: Example = { kind: 'causal', ids: Int32Array.of(5, 6, 7, 8), mask: Uint8Array.of(1, 0, 1, 1) };
    const batch = collate([example], { batchSize: 4, seed: 1, multiple: 6, padId: 9 })(0).at(0)!;
    expect(batch).toEqual({
      kind: 'causal',
      rows: 1,
      tokens: 6,
      ids: Int32Array.of(5, 6, 7, 8, 9, 9),
      lengths: Int32Array.of(4),
      targets: Int32Array.of(-100, 7, 8, -100, -100, -100),
    });
  });

  test('classes keep their labels beside their rows', () => {
    const examples = Array.from({ length: 7 }, (_, i): Example => ({ kind: 'class', ids: Int32Array.of(i, i), label: i * 10 }));
    for (const batch of all(collate(examples, { batchSize: 3, seed: 4 })(2))) {
      if (batch.kind !== 'class') throw new Error('not a class batch');
      expect([...batch.labels]).toEqual(Array.from({ length: batch.rows }, (_, row) => batch.ids[row * batch.tokens]! * 10));
    }
  });

  const lengths = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 60 });
  const options = fc.record({
    batchSize: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
    batchTokens: fc.integer({ min: 128, max: 600 }),
    multiple: fc.constantFrom(1, 8, 32),
    seed: fc.nat(99),
  });

  test('every example is in an epoch exactly once, whole, within the limits', () => {
    fc.assert(
      fc.property(lengths, options, fc.nat(5), (sizes, chosen, epoch) => {
        const list = collate(ofLengths(sizes), chosen)(epoch);
        const seen: number[] = [];
        all(list).forEach((batch, index) => {
          expect(batch.rows * batch.tokens).toBeLessThanOrEqual(chosen.batchTokens);
          expect(batch.rows).toBeLessThanOrEqual(chosen.batchSize ?? Number.POSITIVE_INFINITY);
          expect(batch.tokens % chosen.multiple).toBe(0);
          const rows = list.examplesOf(index);
          rows.forEach((example, row) => {
            const own = batch.ids.subarray(row * batch.tokens, row * batch.tokens + batch.lengths[row]!);
            expect([...own]).toEqual(new Array(sizes[example]).fill(example + 1));
          });
          seen.push(...rows);
        });
        expect(seen.sort((a, b) => a - b)).toEqual(sizes.map((_, i) => i));
      }),
    );
  });

  test('an epoch depends on seed and number alone, and its batches can be made in any order', () => {
    fc.assert(
      fc.property(lengths, options, fc.nat(5), (sizes, chosen, epoch) => {
        const batches = collate(ofLengths(sizes), chosen);
        batches(epoch + 1).at(0);
        const backward = all(batches(epoch))
          .map((_, i, { length }) => batches(epoch).at(length - 1 - i))
          .reverse();
        expect(backward).toEqual(all(collate(ofLengths(sizes), chosen)(epoch)));
      }),
      { numRuns: 40 },
    );
    const many = collate(ofLengths(Array.from({ length: 40 }, () => 20)), { batchSize: 4, seed: 1 });
    expect(all(many(0))).not.toEqual(all(many(1)));
  });

  test('there is a shape for each padded length, and at most one more', () => {
    fc.assert(
      fc.property(lengths, options, (sizes, chosen) => {
        const examples = ofLengths(sizes);
        const { shapes, paddingShare, tokens, targets } = reportBatches(examples, collate(examples, chosen)(0));
        const padded = new Set(sizes.map((size) => Math.ceil(size / chosen.multiple)));
        expect(shapes.length).toBeLessThanOrEqual(padded.size + 1);
        expect(paddingShare).toBeGreaterThanOrEqual(0);
        expect(tokens).toBe(sizes.reduce((a, b) => a + b, 0));
        expect(targets).toBe(tokens - sizes.length);
      }),
    );
  });

  test('padding goes no further than the context, and a limit below the longest example is refused', () => {
    expect(collate(ofLengths([40]), { batchSize: 1, seed: 1, contextLength: 50 })(0).at(0)!.tokens).toBe(50);
    expect(() => collate(ofLengths([40]), { batchTokens: 63, seed: 1 })).toThrow(
      /longest example does not fit a batch: 64 tokens, padded; batches hold 63/,
    );
  });

  test('nothing gives no batches', () => {
    const list = collate([], { batchSize: 2, seed: 1 })(0);
    expect([list.length, list.at(0)]).toEqual([0, undefined]);
    expect(reportBatches([], list)).toMatchObject({ examples: 0, paddingShare: 0 });
  });
});
