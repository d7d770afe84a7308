import { UserError } from '../base/errors.ts';
import type { Batch } from '../models/batch.ts';
import type { Trainable } from './trainable.ts';
import type { EpochBatches } from './trainer.ts';

export type EvaluatedBatch = { readonly index: number; readonly batch: Batch; readonly logits: Float32Array | undefined };

/**
 * The mean loss over held-out batches, each target counting as much as any other, and e to it.
 *
 * @param receive gets every batch with its logits (of classes), for figures of one's own
 * @throws UserError `training.no-targets` where there is none
 */
export async function evaluateLoss(
  trainable: Pick<Trainable, 'evaluate'>,
  batches: EpochBatches,
  receive: (evaluated: EvaluatedBatch) => void = () => {},
): Promise<{ readonly loss: number; readonly perplexity: number }> {
  let lossSum = 0;
  let weightSum = 0;
  for (let index = 0; index < batches.length; index++) {
    const batch = batches.at(index)!;
    const result = await trainable.evaluate(batch);
    lossSum += result.lossSum;
    weightSum += result.weightSum;
    receive({ index, batch, logits: result.logits });
  }
  if (!(weightSum > 0)) {
    throw new UserError('training.no-targets', 'training: nothing to evaluate: no targets in the held-out data; check its rows');
  }
  const loss = lossSum / weightSum;
  return { loss, perplexity: Math.exp(loss) };
}
