import { expect, test } from 'vitest';

import { classify } from '../../src/models/classify.ts';
import { runnable, tinyFolder, tinyOracle } from './tiny-models.ts';

const softmax = (logits: readonly number[]): number[] => {
  const shares = logits.map(Math.exp);
  return shares.map((share) => share / shares.reduce((sum, other) => sum + other, 0));
};

test.each(['llama-class', 'gemma3-class'] as const)(
  '%s gives the probabilities of transformers, in the order of the texts, alone and in batches',
  async (name) => {
    const { ids, lengths, logits } = tinyOracle(name);
    const texts = ids.map((row, i) => row.slice(0, lengths[i]));
    const many = [texts[1]!, texts[0]!, texts[1]!, texts[1]!.slice(0, 3), texts[0]!];
    const model = await runnable(tinyFolder(name));
    const alone = await classify(model, many, { tokensAtOnce: 1 });
    for (const tokensAtOnce of [40, 4096]) {
      const found = await classify(model, many, { tokensAtOnce });
      for (const [i, shares] of found.entries())
        for (const [label, share] of shares.entries()) expect(share).toBeCloseTo(alone[i]![label]!, 5);
    }
    for (const [i, of] of [1, 0, 1].entries())
      softmax(logits[of]!).forEach((share, label) => void expect(alone[i]![label]).toBeCloseTo(share, 5));
    await model.close();
  },
);

test('a model without a classification head is refused', async () => {
  const model = await runnable(tinyFolder('llama'));
  await expect(classify(model, [[1]])).rejects.toThrow('classify: model has no classification head');
  await model.close();
});
