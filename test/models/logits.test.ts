import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { candidates, drawToken, penalizeRepetition, type Sampling } from '../../src/models/logits.ts';

type Case = {
  readonly settings: Partial<Sampling> & { readonly penalty?: number };
  readonly ids: readonly number[];
  readonly scores: readonly number[];
};
const file = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'generate', 'oracle.json');
const { processors } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly processors: { readonly scores: readonly number[]; readonly seen: readonly number[]; readonly cases: readonly Case[] };
};

const all: Sampling = { temperature: 1, topK: 0, topP: 1 };

describe('what is left of the scores', () => {
  test.each(processors.cases)('is what transformers leaves: $settings', ({ settings: { penalty = 1, ...sampling }, ids, scores }) => {
    const given = Float32Array.from(processors.scores);
    penalizeRepetition(given, { seen: new Set(processors.seen), penalty });
    const left = candidates(given, { ...all, ...sampling });
    expect([...left.ids]).toEqual(ids);
    for (const [i, score] of left.scores.entries()) expect(score).toBeCloseTo(scores[i]!, 5);
  });

  test('is two of the worked case', () => {
    expect([...candidates(Float32Array.of(2, 1, 0, -1), { temperature: 1, topK: 3, topP: 0.9 }).ids]).toEqual([0, 1]);
  });
});

test('tokens are drawn as often as their share', () => {
  const left = { ids: Int32Array.of(4, 9, 2), scores: Float32Array.of(Math.log(5), Math.log(3), Math.log(2)) };
  const stream = random(1, 'draws');
  const counts = new Map<number, number>();
  for (let i = 0; i < 10_000; i++) {
    const id = drawToken(left, stream.float());
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  expect([4, 9, 2].map((id) => Math.round(counts.get(id)! / 100) / 100)).toEqual([0.5, 0.3, 0.2].map((share) => expect.closeTo(share, 1)));
});
