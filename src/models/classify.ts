// What a model makes of texts as a whole: scores of its classes, or of a few words that may come next. Texts of like length go together, and
// only the last token of each goes through the head.

import { UserError } from '../base/errors.ts';
import { checkTexts } from './check-texts.ts';
import { expandRows } from './expand.ts';
import type { LanguageModel } from './language-model.ts';
import { type LengthBatch, lengthBatches } from './length-batches.ts';
import { lossHead } from './loss.ts';

export type ScoreOptions = {
  /** Most tokens of a batch, padding counted; default 4096. */
  readonly tokensAtOnce?: number | undefined;
  /** Most texts of a batch. */
  readonly textsAtOnce?: number | undefined;
  /** Texts whose scores are known already: batches of nothing but them are left out, and the others stay as they would be. */
  readonly isDone?: ((place: number) => boolean) | undefined;
};

/** Scores (logits) of some of the texts, [places, labels], and which texts they are. */
export type TextScores = { readonly places: readonly number[]; readonly logits: Float32Array };

/**
 * Scores of each class for each text, batch by batch, the longest first.
 *
 * @throws UserError `classify.head` for a model without a classification head, and those of the texts
 */
export async function* classLogits(
  model: LanguageModel,
  texts: readonly (readonly number[])[],
  options: ScoreOptions = {},
): AsyncGenerator<TextScores> {
  if (!model.resident.score && !model.adapter.saved.has('score.weight')) {
    throw new UserError(
      'classify.head',
      'classify: model has no classification head; name a model or an adapter that was trained to classify',
    );
  }
  const head = lossHead(model);
  try {
    for (const batch of batchesOf(model, texts, options)) {
      // The head wants a label for its loss, which is not looked at.
      const unlabelled = { ...batch, kind: 'class' as const, labels: new Int32Array(batch.rows) };
      const { logits } = await head.run(unlabelled, await model.hidden(unlabelled));
      yield { places: batch.places, logits: logits! };
    }
  } finally {
    await head.close();
  }
}

/**
 * Scores of a few tokens as the next one of each text: what a model without a classification head says to a question that is answered in one
 * word. The final norm and the products are few enough to be done here: score of token t is norm(h) . W[t].
 *
 * @param answers token ids, in the order of the scores
 */
export async function* answerLogits(
  model: LanguageModel,
  texts: readonly (readonly number[])[],
  { answers, ...options }: ScoreOptions & { readonly answers: readonly number[] },
): AsyncGenerator<TextScores> {
  const { config, resident } = model;
  const width = config.hiddenSize;
  const rows = expandRows(resident.head, Int32Array.from(answers));
  const norm = resident.norm.data;
  for (const batch of batchesOf(model, texts, options)) {
    const hidden = (await model.hidden({ ...batch, kind: 'class' })).data as Float32Array;
    const logits = new Float32Array(batch.rows * answers.length);
    for (let row = 0; row < batch.rows; row++) {
      const last = hidden.subarray(row * width, (row + 1) * width);
      const scale = 1 / Math.sqrt(last.reduce((sum, value) => sum + value * value, 0) / width + config.normEpsilon);
      for (let answer = 0; answer < answers.length; answer++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += last[i]! * norm[i]! * rows[answer * width + i]!;
        logits[row * answers.length + answer] = scale * sum;
      }
    }
    yield { places: batch.places, logits };
  }
}

function* batchesOf(
  model: LanguageModel,
  texts: readonly (readonly number[])[],
  { tokensAtOnce = 4096, textsAtOnce, isDone = () => false }: ScoreOptions,
): Generator<LengthBatch> {
  checkTexts(texts, { part: 'classify', config: model.config });
  for (const batch of lengthBatches(texts, tokensAtOnce, textsAtOnce)) if (!batch.places.every(isDone)) yield batch;
}
