import { expect, test } from 'vitest';

import { answerLogits, classLogits, type TextScores } from '../../src/models/classify.ts';
import { scoreContinuations } from '../../src/models/score-text.ts';
import { runnable, tinyFolder, tinyOracle } from './tiny-models.ts';

/** Scores of each text, in the order of the texts. */
async function inOrder(scores: AsyncGenerator<TextScores>): Promise<readonly Float32Array[]> {
  const found: Float32Array[] = [];
  for await (const { places, logits } of scores) {
    const labels = logits.length / places.length;
    for (const [row, place] of places.entries()) found[place] = logits.slice(row * labels, (row + 1) * labels);
  }
  return found;
}

test.each(['llama-class', 'gemma3-class'] as const)(
  '%s gives the scores of transformers, in the order of the texts, alone and in batches',
  async (name) => {
    const { ids, lengths, logits } = tinyOracle(name);
    const texts = ids.map((row, i) => row.slice(0, lengths[i]));
    const many = [texts[1]!, texts[0]!, texts[1]!, texts[1]!.slice(0, 3), texts[0]!];
    const model = await runnable(tinyFolder(name));
    const alone = await inOrder(classLogits(model, many, { tokensAtOnce: 1 }));
    for (const options of [{ tokensAtOnce: 40 }, {}, { textsAtOnce: 2 }]) {
      const found = await inOrder(classLogits(model, many, options));
      for (const [i, scores] of found.entries())
        for (const [label, score] of scores.entries()) expect(score).toBeCloseTo(alone[i]![label]!, 5);
    }
    for (const [i, of] of [1, 0, 1].entries()) logits[of]!.forEach((score, label) => void expect(alone[i]![label]).toBeCloseTo(score, 4));
    await model.close();
  },
);

test('a model without a classification head is refused', async () => {
  const model = await runnable(tinyFolder('llama'));
  await expect(inOrder(classLogits(model, [[1]]))).rejects.toThrow('classify: model has no classification head');
  await model.close();
});

test.each(['llama', 'gemma3'] as const)('%s scores possible next words as the whole head does', async (name) => {
  const texts = [
    [1, 5, 9, 4],
    [3, 2],
    [7, 8, 9, 10, 11],
  ];
  const model = await runnable(tinyFolder(name));
  const found = await inOrder(answerLogits(model, texts, { answers: [6, 12] }));
  const told = await scoreContinuations(
    model,
    texts.flatMap((prompt) => [6, 12].map((answer) => ({ prompt, completion: [answer] }))),
  );
  for (const [i, scores] of found.entries()) expect(scores[1]! - scores[0]!).toBeCloseTo(told[2 * i + 1]! - told[2 * i]!, 4);
  await model.close();
});
