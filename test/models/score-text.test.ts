import { expect, test } from 'vitest';

import { scoreContinuations } from '../../src/models/score-text.ts';
import { runnable, tinyFolder, tinyOracle } from './tiny-models.ts';

/** log softmax(logits)[id]. */
const logProbability = (logits: readonly number[], id: number): number =>
  logits[id]! - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));

test.each(['llama', 'gemma3'] as const)('%s finds continuations as likely as transformers does, whatever else is asked', async (name) => {
  const { ids, logits } = tinyOracle(name);
  const text = ids[0]!;
  const cuts = [
    { from: 10, to: 19 },
    { from: 1, to: 5 },
    { from: 18, to: 19 },
  ];
  const expected = cuts.map(({ from, to }) =>
    text.slice(from, to).reduce((sum, id, i) => sum + logProbability(logits[from + i - 1]!, id), 0),
  );
  const asked = cuts.map(({ from, to }) => ({ prompt: text.slice(0, from), completion: text.slice(from, to) }));
  const model = await runnable(tinyFolder(name));
  for (const tokensAtOnce of [1, 4096]) {
    const found = await scoreContinuations(model, asked, { tokensAtOnce });
    for (const [i, score] of found.entries()) expect(score).toBeCloseTo(expected[i]!, 3);
  }
  await expect(scoreContinuations(model, [{ prompt: text, completion: [] }])).rejects.toThrow('score: completion without tokens: number 1');
  await model.close();
});
