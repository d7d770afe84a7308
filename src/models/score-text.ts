// How likely a model finds given continuations: the sum of the log-probabilities of their tokens, each after all that stands before it.
// With two answers, "yes" and "no", their difference is the model's log odds.

import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import { checkTexts } from './check-texts.ts';
import type { LanguageModel } from './language-model.ts';
import { lengthBatches } from './length-batches.ts';
import { lossHead } from './loss.ts';

/** A text in two parts, as tokens. */
export type Continuation = { readonly prompt: readonly number[]; readonly completion: readonly number[] };

/**
 * Log-probability (natural) of each completion given its prompt, in their order.
 *
 * @param options.tokensAtOnce most tokens of a batch, padding counted; default 4096
 * @throws UserError `score.empty` for a prompt or completion without tokens, and those of the texts
 * @throws the signal's reason when it is aborted
 */
export async function scoreContinuations(
  model: LanguageModel,
  continuations: readonly Continuation[],
  {
    tokensAtOnce = 4096,
    progress = silent,
    signal,
  }: { readonly tokensAtOnce?: number; readonly progress?: Progress; readonly signal?: AbortSignal } = {},
): Promise<readonly number[]> {
  for (const [i, { prompt, completion }] of continuations.entries()) {
    if (prompt.length > 0 && completion.length > 0) continue;
    const part = prompt.length === 0 ? 'prompt' : 'completion';
    throw new UserError('score.empty', `score: ${part} without tokens: number ${i + 1}; a prompt may be the model's first token alone`);
  }
  const texts = continuations.map(({ prompt, completion }) => [...prompt, ...completion]);
  checkTexts(texts, { part: 'score', config: model.config });
  const head = lossHead(model);
  const step = progress.step('score', { total: texts.length, unit: 'texts' });
  const found: number[] = Array.from({ length: texts.length }, () => 0);
  try {
    for (const batch of lengthBatches(texts, tokensAtOnce)) {
      signal?.throwIfAborted();
      const hidden = await model.hidden(batch);
      for (const [row, place] of batch.places.entries()) {
        const targets = new Int32Array(batch.ids.length).fill(-100);
        const { prompt, completion } = continuations[place]!;
        // The token before predicts each of them.
        targets.set(completion, row * batch.tokens + prompt.length - 1);
        const { lossSum } = await head.run({ ...batch, kind: 'causal', targets }, hidden);
        found[place] = -lossSum;
      }
      step.advance(batch.rows);
    }
  } finally {
    await head.close();
    step.finish();
  }
  return found;
}
