import { type ClassReport, classReport } from '../../evaluation/classes.ts';
import type { BatchList } from '../../training/collate.ts';
import { evaluateLoss } from '../../training/evaluate-loss.ts';
import type { Trainable } from '../../training/trainable.ts';

export type Evaluated = {
  /** `loss` and `perplexity` of the next token; of classes `loss`, `accuracy`, `precision`, `recall`, `f1`. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly classes?: ClassReport;
  /** Of each row, by its place in the examples: predicted class and the logits of all. */
  readonly predictions: ReadonlyMap<number, { readonly predicted: number; readonly logits: Float32Array }>;
};

/** Runs a model over held-out batches and measures it; `labels` where they are of classes. */
export async function measure(
  trainable: Pick<Trainable, 'evaluate'>,
  batches: BatchList,
  labels: readonly string[] | undefined,
): Promise<Evaluated> {
  const predictions = new Map<number, { readonly predicted: number; readonly logits: Float32Array }>();
  const predicted: number[] = [];
  const truth: number[] = [];
  const found = await evaluateLoss(trainable, batches, ({ index, batch, logits }) => {
    if (batch.kind !== 'class' || !logits) return;
    const width = logits.length / batch.rows;
    batches.examplesOf(index).forEach((example, row) => {
      const own = logits.subarray(row * width, (row + 1) * width);
      const best = own.indexOf(Math.max(...own));
      predictions.set(example, { predicted: best, logits: own });
      predicted.push(best);
      truth.push(batch.labels[row]!);
    });
  });
  if (!labels) return { metrics: found, predictions };
  const classes = classReport(Int32Array.from(predicted), Int32Array.from(truth), labels);
  const { accuracy, precision, recall, f1 } = classes;
  return { metrics: { loss: found.loss, accuracy, precision, recall, f1 }, classes, predictions };
}
