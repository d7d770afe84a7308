// Fine-tunes a language model to say of two histories whether they are one patient's: a classification head on the last token, adapters on
// all seven projections, the reference's settings unless told otherwise. The best step by F1 on the validation patients is kept.
// Other programs (TRL, Axolotl) train no such head: with them the model learns to answer in words, True or False, and `infer` asks it so.

import { join } from 'node:path';

import { UserError } from '../../../base/errors.ts';
import { writeJson } from '../../../base/files.ts';
import { fitPlatt } from '../../../evidence/calibrate.ts';
import { chatTemplateOf } from '../../../models/chat-template.ts';
import { openTokenizer } from '../../../models/open-tokenizer.ts';
import { Database, literal } from '../../../sql/duckdb.ts';
import type { Row } from '../../../training/dataset.ts';
import { engineDefaults } from '../../../training/engine-config.ts';
import type { EngineName } from '../../../training/engine-rules.ts';
import { makeExamples } from '../../../training/examples.ts';
import { type TrainingSettings, trainingSettings } from '../../../training/training-settings.ts';
import { type EngineOptions, type EngineReport, trainWithEngine } from '../../llm/engine.ts';
import { type TrainModelOptions, type TrainReport, trainModel } from '../../llm/train.ts';
import { answerTokens, type InferPairsReport, inferPairs } from './infer.ts';
import { datasetFingerprint, type PairRow, questionCutter, readPairRows, sampleRows } from './pair-rows.ts';
import { questionsOfRows } from './questions.ts';

/** The reference's, where they differ from those of `llm train`. */
export const pairTrainingDefaults = {
  ...{ rank: 16, alpha: 32, dropout: 0.05, targets: 'all-linear' },
  ...{ learningRate: 1e-4, schedule: 'cosine', warmup: 50, weightDecay: 0.01, maxGradientNorm: 1 },
  ...{ batchSize: 4, accumulation: 4, epochs: 6, maxLength: 2048, seed: 42, metric: 'f1', quantize: 'nf4' },
} as const satisfies Partial<TrainingSettings>;

/** As the reference: with a number of steps three evaluations on the way, else one after every epoch. */
export function pairTrainingSettings(said: Readonly<Record<string, unknown>>, engine?: EngineName): TrainingSettings {
  const steps = typeof said['maxSteps'] === 'number' ? said['maxSteps'] : undefined;
  const every = steps === undefined ? 'epoch' : Math.max(1, Math.floor(steps / 3));
  const others = engine ? engineDefaults(said, every) : {};
  return trainingSettings(pairTrainingDefaults, { evaluationEvery: every, checkpointEvery: every }, others, said);
}

type PairData = {
  /** Folder of the data set. */
  readonly dataset: string;
  /** Most training questions, half of each class; 0: all. */
  readonly maxSamples: number;
  /** Most validation questions; 0: all. */
  readonly maxValidation: number;
};

export type TrainPairsOptions = Omit<TrainModelOptions, 'data' | 'task' | 'validationShare'> & PairData;

/** Runs of different seeds are judged by the same questions, so that they can be compared. */
const validationSeed = 42;

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
  const { dataset, model, settings, out, clock } = options;
  const cut = questionCutter(openTokenizer(model), settings.maxLength);
  const { train, validation } = await questions(options, cut);
  const report = await trainModel({ ...options, task: 'class', data: { name: dataset, train, validation } });
  if (report.ended !== 'interrupted') await calibrateOn(validation, { ...options, adapter: report.adapter });
  const metrics = metricsOf(options, { report, measured: report.best?.metrics ?? {}, time: clock() });
  await writeJson(join(out, 'training_metrics.json'), metrics);
  return { report, metrics };
}

export type TrainPairsEngineOptions = Omit<EngineOptions, 'data' | 'task' | 'validationShare'> & PairData;

/**
 * Trains with another program, to answer in words. The loss is that program's own; the other figures come from asking the finished model the
 * validation questions, as `infer` does.
 *
 * @throws UserError as `trainWithEngine`; `pair-dataset.no-validation`; `infer.words`
 */
export async function trainPairsWithEngine(
  options: TrainPairsEngineOptions,
): Promise<{ readonly report: EngineReport; readonly metrics: PairTrainingMetrics } | 'interrupted'> {
  const { dataset, model, settings, out, clock, engine } = options;
  const inWords = wordsOf(model, settings.maxLength);
  const { train, validation } = await questions(options, inWords.cut);
  const data = { name: dataset, train: train.map(inWords.row), validation: validation.map(inWords.row) };
  const report = await trainWithEngine({ ...options, data });
  if (report === 'interrupted') return report;
  const answered = await calibrateOn(validation, { ...options, adapter: report.adapter });
  const measured = { ...answered.metrics, ...report.best?.metrics };
  const metrics = { ...metricsOf(options, { report, measured, time: clock() }), engine };
  await writeJson(join(out, 'training_metrics.json'), metrics);
  return { report, metrics };
}

/** Questions of both splits, each cut to what the model is to read. */
async function questions(
  { dataset, settings, maxSamples, maxValidation }: PairData & { readonly settings: TrainingSettings },
  cut: (question: string) => string,
): Promise<{ readonly train: readonly PairRow[]; readonly validation: readonly PairRow[] }> {
  const rows = async (split: 'train' | 'validation', draw: { readonly count: number; readonly seed: number }) =>
    sampleRows(await readPairRows(dataset, split), draw).map((row) => ({ ...row, input: cut(row.input) }));
  const validation = await rows('validation', { count: maxValidation, seed: validationSeed });
  if (validation.length === 0) {
    throw new UserError(
      'pair-dataset.no-validation',
      `pair dataset: no validation questions in ${dataset}; the best step is chosen by them`,
    );
  }
  return { train: await rows('train', { count: maxSamples, seed: settings.seed }), validation };
}

/** Questions with their answers as the model writes them: a chat where it knows chats, else the word after the text; as `infer` asks. */
function wordsOf(model: string, maxLength: number): { readonly cut: (question: string) => string; readonly row: (row: PairRow) => Row } {
  const tokenizer = openTokenizer(model);
  // Refused now rather than after the training.
  answerTokens(tokenizer);
  const template = tokenizer.chatTemplate === undefined ? undefined : chatTemplateOf(tokenizer);
  const row = ({ input, label, place }: PairRow): Row => {
    const answer = label === 1 ? 'True' : 'False';
    if (template === undefined) return { kind: 'pair', prompt: input, completion: ` ${answer}`, place };
    const messages = [
      { role: 'user', content: input },
      { role: 'assistant', content: answer },
    ];
    return { kind: 'chat', messages, from: 1, place };
  };
  const empty = row({ kind: 'class', input: '', label: 0, place: 'frame' });
  const frame = makeExamples([empty], { tokenizer, template, contextLength: maxLength }).examples[0]!.ids.length;
  return { cut: questionCutter(tokenizer, maxLength - frame), row };
}

function metricsOf(
  { model, dataset, maxValidation, settings }: PairData & { readonly model: string; readonly settings: TrainingSettings },
  { report, measured, time }: { readonly report: EngineReport; readonly measured: Readonly<Record<string, number>>; readonly time: number },
): PairTrainingMetrics {
  return {
    timestamp: new Date(time).toISOString(),
    hf_repo: null,
    epochs: settings.epochs,
    batch_size: settings.batchSize,
    lr: settings.learningRate,
    eval_f1: measured['f1'] ?? null,
    eval_precision: measured['precision'] ?? null,
    eval_recall: measured['recall'] ?? null,
    eval_accuracy: measured['accuracy'] ?? null,
    eval_loss: measured['loss'] ?? null,
    training_loss: report.meanLoss,
    global_steps: report.steps,
    best_step: report.best?.step ?? null,
    base_model: model,
    dataset: validationFingerprint(dataset, maxValidation),
  };
}

function validationFingerprint(dataset: string, count: number): string | null {
  const whole = datasetFingerprint(dataset, 'validation');
  if (whole === undefined) return null;
  return count === 0 ? whole : `${whole}/${count}`;
}

/**
 * Asks the finished model the validation questions once more, and fits how much its scores mean (Platt): what it says can then be added to
 * other evidence. The answers are kept, so that the promotion gate can compare two models question by question.
 */
async function calibrateOn(
  validation: readonly PairRow[],
  {
    model,
    adapter,
    out,
    settings,
    threads,
    progress,
    clock,
  }: Pick<TrainPairsOptions, 'model' | 'out' | 'settings' | 'threads' | 'progress' | 'clock'> & { readonly adapter: string },
): Promise<InferPairsReport> {
  await using db = await Database.open({ threads });
  const file = join(out, 'validation_predictions.parquet');
  const asked = { model, adapter, out: file, maxLength: settings.maxLength, batchSize: 16, threads, progress, clock };
  const report = await inferPairs(db, await questionsOfRows(db, validation), asked);
  const { odds, label } = await db.columns<{ odds: Float64Array; label: Int32Array }>(
    `select logit_1 - logit_0 as odds, label from read_parquet(${literal(file)}) order by row`,
  );
  await writeJson(join(adapter, 'calibration.json'), fitPlatt({ scores: odds, labels: Uint8Array.from(label) }));
  return report;
}
