// Classes of many texts. Texts of like length go together, and only the last token of each goes through the head.

import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import { softmax } from '../base/statistics.ts';
import { checkTexts } from './check-texts.ts';
import type { LanguageModel } from './language-model.ts';
import { lengthBatches } from './length-batches.ts';
import { lossHead } from './loss.ts';

/**
 * Probability of each class for each text, in the order of the texts: [labels] each.
 *
 * @param options.tokensAtOnce most tokens of a batch, padding counted; default 4096
 * @throws UserError `classify.head` for a model without a classification head, and those of the texts
 * @throws the signal's reason when it is aborted
 */
export async function classify(
  model: LanguageModel,
  texts: readonly (readonly number[])[],
  {
    tokensAtOnce = 4096,
    progress = silent,
    signal,
  }: { readonly tokensAtOnce?: number; readonly progress?: Progress; readonly signal?: AbortSignal } = {},
): Promise<readonly Float32Array[]> {
  if (!model.resident.score && !model.adapter.saved.has('score.weight')) {
    throw new UserError(
      'classify.head',
      'classify: model has no classification head; name a model or an adapter that was trained to classify',
    );
  }
  checkTexts(texts, { part: 'classify', config: model.config });
  const head = lossHead(model);
  const step = progress.step('classify', { total: texts.length, unit: 'texts' });
  const found: Float32Array[] = Array.from({ length: texts.length });
  try {
    for (const batch of lengthBatches(texts, tokensAtOnce)) {
      signal?.throwIfAborted();
      // The head wants a label for its loss, which is not looked at.
      const unlabelled = { ...batch, kind: 'class' as const, labels: new Int32Array(batch.rows) };
      const { logits } = await head.run(unlabelled, await model.hidden(unlabelled));
      const labels = logits!.length / batch.rows;
      for (const [row, place] of batch.places.entries())
        found[place] = Float32Array.from(softmax(logits!.subarray(row * labels, (row + 1) * labels)));
      step.advance(batch.rows);
    }
  } finally {
    await head.close();
    step.finish();
  }
  return found;
}
