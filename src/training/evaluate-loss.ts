import { UserError } from '../base/errors.ts';
import type { Trainable } from './trainable.ts';
import type { EpochBatches } from './trainer.ts';

/**
 * The mean loss over held-out batches, each target counting as much as any other, and e to it.
 *
 * @throws UserError `training.no-targets` where there is none
 * @returns `loss` and `perplexity`; for batches of classes also `accuracy`
 */
export async function evaluateLoss(trainable: Trainable, batches: EpochBatches): Promise<Readonly<Record<string, number>>> {
  let lossSum = 0;
  let weightSum = 0;
  let rows = 0;
  let right = 0;
  for (let index = 0; index < batches.length; index++) {
    const batch = batches.at(index)!;
    const result = await trainable.evaluate(batch);
    lossSum += result.lossSum;
    weightSum += result.weightSum;
    if (batch.kind !== 'class' || !result.logits) continue;
    rows += batch.rows;
    right += countRight(result.logits, batch.labels);
  }
  if (!(weightSum > 0)) {
    throw new UserError('training.no-targets', 'training: nothing to evaluate: no targets in the held-out data; check its rows');
  }
  const loss = lossSum / weightSum;
  return { loss, perplexity: Math.exp(loss), ...(rows > 0 ? { accuracy: right / rows } : {}) };
}

/** Rows whose highest logit is their label's; of equal ones the first counts. */
function countRight(logits: Float32Array, labels: Int32Array): number {
  const classes = logits.length / labels.length;
  return labels.reduce((count, label, row) => {
    const own = logits.subarray(row * classes, (row + 1) * classes);
    return count + (own.indexOf(Math.max(...own)) === label ? 1 : 0);
  }, 0);
}
