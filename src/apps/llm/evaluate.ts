import { UserError } from '../../base/errors.ts';
import { writeText } from '../../base/files.ts';
import { type Progress, silent } from '../../base/progress.ts';
import { softmax } from '../../base/statistics.ts';
import type { ClassReport } from '../../evaluation/classes.ts';
import { chatTemplateOf } from '../../models/chat-template.ts';
import { openModel } from '../../models/folder.ts';
import { languageModel } from '../../models/language-model.ts';
import { openTokenizer } from '../../models/open-tokenizer.ts';
import { readAdapter } from '../../models/peft.ts';
import { loadResident } from '../../models/resident.ts';
import { policyNamed, type StoragePolicy, storageOf } from '../../models/storage.ts';
import { collate } from '../../training/collate.ts';
import { readSplit, type Task } from '../../training/dataset.ts';
import type { Split } from '../../training/dataset-files.ts';
import { makeExamples } from '../../training/examples.ts';
import { fineTune } from '../../training/fine-tune.ts';
import { measure } from './metrics.ts';

export type EvaluateOptions = {
  readonly model: string;
  readonly adapter?: string | undefined;
  readonly data: string;
  /** Default: `test` where the data has one, else `validation`, else `train`. */
  readonly split?: Split | undefined;
  readonly task?: Task | undefined;
  /** Default: what the adapter was trained on, else float32. */
  readonly storage?: StoragePolicy | undefined;
  readonly maxLength?: number | undefined;
  readonly batchSize?: number | undefined;
  /** JSONL file: one line for each row, its class and the probability of every class. */
  readonly predictions?: string | undefined;
  readonly threads?: number | undefined;
  readonly progress?: Progress;
};

export type EvaluateReport = {
  readonly split: Split;
  readonly task: Task;
  readonly rows: number;
  readonly tokens: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly classes?: ClassReport;
};

/**
 * Measures a model, with or without an adapter, on rows it was not trained on.
 *
 * @throws UserError for bad input; `evaluate.no-head` for classes without a classification head
 */
export async function evaluateModel(options: EvaluateOptions): Promise<EvaluateReport> {
  const { model: path, adapter: adapterPath, data, threads, maxLength, batchSize = 8, progress = silent } = options;
  const folder = await openModel(path);
  try {
    const { config } = folder;
    const tokenizer = openTokenizer(path);
    const read = adapterPath === undefined ? undefined : await readAdapter(adapterPath, { base: folder });
    const labels = read?.labels ?? config.labels;
    const hasHead = folder.tensors.has('score.weight') || read?.adapter.saved.has('score.weight');
    const task = options.task ?? (hasHead ? 'class' : 'causal');
    if (task === 'class' && !(hasHead && labels)) {
      throw new UserError('evaluate.no-head', `evaluate: no classification head in ${path}; name an adapter that has one, or task causal`);
    }
    const { split, rows } = await rowsOf(data, { split: options.split, task });
    const template = tokenizer.chatTemplate === undefined ? undefined : chatTemplateOf(tokenizer);
    const contextLength = Math.min(maxLength ?? config.contextLength, config.contextLength);
    const { examples } = makeExamples(rows, { tokenizer, template, contextLength, truncate: true, labels });
    const batches = collate(examples, { batchSize, contextLength, seed: 0, padId: tokenizer.special.pad ?? config.padTokenId ?? 0 })(0);

    const storage = options.storage ?? policyNamed(read?.trainedOn) ?? 'f32';
    const resident = await loadResident(folder, { storage: storageOf(storage), progress });
    const model = languageModel(resident, { ...(read && { adapter: read.adapter }), session: { ...(threads && { threads }) } });
    const trainable = fineTune(model, { seed: 0 });
    const step = progress.step('evaluating', { total: batches.length, unit: 'batches' });
    const watched = {
      evaluate: async (batch: Parameters<typeof trainable.evaluate>[0]) => {
        const result = await trainable.evaluate(batch);
        step.advance(1);
        return result;
      },
    };
    const { metrics, classes, predictions } = await measure(watched, batches, task === 'class' ? labels : undefined);
    step.finish();
    if (options.predictions !== undefined && labels) await writeText(options.predictions, predictionLines(predictions, labels));
    await trainable.close();
    await model.close();
    const tokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
    return { split, task, rows: examples.length, tokens, metrics, ...(classes && { classes }) };
  } finally {
    await folder.close();
  }
}

/** The rows of the split that was asked for, or of the first there is. */
async function rowsOf(data: string, { split, task }: { readonly split: Split | undefined; readonly task: Task }) {
  for (const one of split ? [split] : (['test', 'validation', 'train'] as const)) {
    const rows = await readSplit(data, { split: one, task });
    if (rows.length > 0) return { split: one, rows };
  }
  throw new UserError('dataset.missing', `dataset: no ${split ?? ''} rows in ${data}; name a file or folder that has some`);
}

function predictionLines(
  predictions: ReadonlyMap<number, { readonly predicted: number; readonly logits: Float32Array }>,
  labels: readonly string[],
): string {
  const line = (row: number): string => {
    const { predicted, logits } = predictions.get(row)!;
    const shares = softmax(logits);
    const probabilities = Object.fromEntries(labels.map((label, k) => [label, shares[k]!]));
    return `${JSON.stringify({ row, label: labels[predicted], probabilities })}\n`;
  };
  return [...predictions.keys()]
    .sort((a, b) => a - b)
    .map(line)
    .join('');
}
