// Fine-tunes a language model to say of two histories whether they are one patient's: a classification head on the last token, adapters on
// all seven projections, the reference's settings unless told otherwise. The best step by F1 on the validation patients is kept.

import { join } from 'node:path';

import { UserError } from '../../../base/errors.ts';
import { writeJson } from '../../../base/files.ts';
import { fitPlatt } from '../../../evidence/calibrate.ts';
import { openTokenizer } from '../../../models/open-tokenizer.ts';
import { Database, literal } from '../../../sql/duckdb.ts';
import { type TrainingSettings, trainingSettings } from '../../../training/training-settings.ts';
import { type TrainModelOptions, type TrainReport, trainModel } from '../../llm/train.ts';
import { inferPairs } from './infer.ts';
import { datasetFingerprint, type PairRow, questionCutter, readPairRows, sampleRows } from './pair-rows.ts';
import { questionsOfRows } from './questions.ts';

/** The reference's, where they differ from those of `llm train`. */
export const pairTrainingDefaults = {
  ...{ rank: 16, alpha: 32, dropout: 0.05, targets: 'all-linear' },
  ...{ learningRate: 1e-4, schedule: 'cosine', warmup: 50, weightDecay: 0.01, maxGradientNorm: 1 },
  ...{ batchSize: 4, accumulation: 4, epochs: 6, maxLength: 2048, seed: 42, metric: 'f1', quantize: 'nf4' },
} as const satisfies Partial<TrainingSettings>;

/** As the reference: with a number of steps three evaluations on the way, else one after every epoch. */
export function pairTrainingSettings(said: Readonly<Record<string, unknown>>): TrainingSettings {
  const steps = typeof said['maxSteps'] === 'number' ? said['maxSteps'] : undefined;
  const every = steps === undefined ? 'epoch' : Math.max(1, Math.floor(steps / 3));
  return trainingSettings(pairTrainingDefaults, { evaluationEvery: every, checkpointEvery: every }, said);
}

export type TrainPairsOptions = Omit<TrainModelOptions, 'data' | 'task' | 'validationShare'> & {
  /** Folder of the data set. */
  readonly dataset: string;
  /** Most training questions, half of each class; 0: all. */
  readonly maxSamples: number;
  /** Most validation questions; 0: all. */
  readonly maxValidation: number;
};

/** training_metrics.json: the reference's keys first. */
export type PairTrainingMetrics = Readonly<Record<string, number | string | null>>;

/**
 * Trains and writes `adapter/` (PEFT, with calibration.json), `validation_predictions.parquet`, `training_metrics.json` and what every
 * fine-tuning run leaves.
 *
 * @throws UserError as `trainModel`; `pair-dataset.no-validation`
 */
export async function trainPairs(
  options: TrainPairsOptions,
): Promise<{ readonly report: TrainReport; readonly metrics: PairTrainingMetrics }> {
  const { dataset, model, settings, maxSamples, maxValidation, out, clock } = options;
  const cut = questionCutter(openTokenizer(model), settings.maxLength);
  const rows = async (split: 'train' | 'validation', count: number) =>
    sampleRows(await readPairRows(dataset, split), { count, seed: settings.seed }).map((row) => ({ ...row, input: cut(row.input) }));
  const validation = await rows('validation', maxValidation);
  if (validation.length === 0) {
    throw new UserError(
      'pair-dataset.no-validation',
      `pair dataset: no validation questions in ${dataset}; the best step is chosen by them`,
    );
  }
  const report = await trainModel({
    ...options,
    task: 'class',
    data: { name: dataset, train: await rows('train', maxSamples), validation },
  });
  if (report.ended !== 'interrupted') await calibrateOn(validation, { ...options, adapter: report.adapter });
  const best = report.best?.metrics ?? {};
  const metrics: PairTrainingMetrics = {
    timestamp: new Date(clock()).toISOString(),
    hf_repo: null,
    epochs: settings.epochs,
    batch_size: settings.batchSize,
    lr: settings.learningRate,
    eval_f1: best['f1'] ?? null,
    eval_precision: best['precision'] ?? null,
    eval_recall: best['recall'] ?? null,
    eval_accuracy: best['accuracy'] ?? null,
    eval_loss: best['loss'] ?? null,
    training_loss: report.meanLoss,
    global_steps: report.steps,
    best_step: report.best?.step ?? null,
    base_model: model,
    dataset: datasetFingerprint(dataset, 'validation') ?? null,
  };
  await writeJson(join(out, 'training_metrics.json'), metrics);
  return { report, metrics };
}

/**
 * Asks the finished model the validation questions once more, and fits how much its scores mean (Platt): what it says can then be added to
 * other evidence. The answers are kept, so that the promotion gate can compare two models question by question.
 */
async function calibrateOn(
  validation: readonly PairRow[],
  { model, adapter, out, settings, threads, progress, clock }: TrainPairsOptions & { readonly adapter: string },
): Promise<void> {
  await using db = await Database.open({ threads });
  const file = join(out, 'validation_predictions.parquet');
  const asked = { model, adapter, out: file, maxLength: settings.maxLength, batchSize: 16, threads, progress, clock };
  await inferPairs(db, await questionsOfRows(db, validation), asked);
  const { odds, label } = await db.columns<{ odds: Float64Array; label: Int32Array }>(
    `select logit_1 - logit_0 as odds, label from read_parquet(${literal(file)}) order by row`,
  );
  await writeJson(join(adapter, 'calibration.json'), fitPlatt({ scores: odds, labels: Uint8Array.from(label) }));
}
