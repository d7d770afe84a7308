// The training loop. A step takes `accumulation` batches: their gradients are divided by the weight of the whole group (targets
// counted), so that a step is the same however its rows are cut into batches. Then the gradient is clipped and AdamW moves the values;
// then, where they are due, evaluation and checkpoint, in this order, so that a checkpoint knows its own evaluation.
//
// The place in the data is an index: batch `batch` of epoch `epoch`. A resumed run asks for the same batches, names the same dropout
// masks and so repeats, bit for bit, what the unbroken run did.

import { setImmediate } from 'node:timers/promises';

import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import { thousands } from '../base/text.ts';
import type { Batch } from '../models/batch.ts';
import * as checkpoint from './checkpoint.ts';
import type { BatchList } from './collate.ts';
import { clipFactor, gradientNorm, startAdamW, stepAdamW } from './optimizer.ts';
import { learningRateShare, type Schedule, warmupSteps } from './schedule.ts';
import type { RunSink } from './tracking.ts';
import type { Trainable } from './trainable.ts';
import { isHigherBetter, type TrainingSettings } from './training-settings.ts';

/** The batches of one epoch, made when asked for; a plain array will do. */
export type EpochBatches = Pick<BatchList, 'length' | 'at'>;

/** The settings the loop itself goes by. */
export type LoopSettings = Pick<
  TrainingSettings,
  | 'learningRate'
  | 'schedule'
  | 'warmup'
  | 'weightDecay'
  | 'maxGradientNorm'
  | 'accumulation'
  | 'epochs'
  | 'maxSteps'
  | 'evaluationEvery'
  | 'metric'
  | 'higherIsBetter'
  | 'patience'
  | 'checkpointEvery'
  | 'keep'
>;

export type TrainOptions = {
  readonly trainable: Trainable;
  /** The batches of an epoch (from 0): always the same for the same number. */
  readonly batches: (epoch: number) => EpochBatches;
  readonly settings: LoopSettings;
  /** Figures of the model as it is, by name; `settings.metric` is one of them. */
  readonly evaluate?: () => Promise<Readonly<Record<string, number>>>;
  readonly checkpoints?: {
    readonly folder: string;
    readonly identity: checkpoint.RunIdentity;
    /** Go on from the newest checkpoint, if there is one. */
    readonly resume?: boolean;
    /** Laid into every checkpoint: name and text. */
    readonly extra?: Readonly<Record<string, string>>;
  };
  readonly sinks?: readonly Pick<RunSink, 'metrics' | 'rewind'>[];
  readonly progress?: Progress;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Once aborted, the step at hand is finished and saved, and the run ends. */
  readonly signal?: AbortSignal;
};

export type TrainResult = {
  /** `early`: the metric got no better for `patience` evaluations. */
  readonly ended: 'finished' | 'early' | 'interrupted';
  readonly state: checkpoint.TrainerState;
};

/** How many steps a run takes (`maxSteps`, or as many as its epochs give) and the course of its learning rate. */
export function planRun({ batches, settings }: Pick<TrainOptions, 'batches' | 'settings'>): Schedule {
  let totalSteps = settings.maxSteps ?? 0;
  for (let epoch = 0; settings.maxSteps === undefined && epoch < settings.epochs; epoch++) {
    totalSteps += Math.ceil(batches(epoch).length / settings.accumulation);
  }
  return { kind: settings.schedule, totalSteps, warmupSteps: warmupSteps(settings.warmup, totalSteps) };
}

/**
 * Trains until the planned steps are done, the metric gets no better, or the signal is given. Values are left as the last step made them;
 * those of the best step are in its checkpoint (`readParameters`).
 *
 * @throws UserError `training.diverged` with step and batch when a loss or gradient is not finite: values and checkpoints are those of before;
 * `training.no-data`, `training.no-targets`, `training.metric`, `training.folder-used`, those of `readCheckpoint`, `output.*`
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { settings, signal, clock, progress = silent } = options;
  const run = await begin(options);
  const { state } = run;
  const shown = progress.step('training', { total: run.plan.totalSteps - state.step, unit: 'steps' });
  try {
    while (!isDone(run) && !hasLostPatience(run)) {
      if (signal?.aborted) {
        await save(run);
        return { ended: 'interrupted', state };
      }
      const started = clock();
      const report = await takeStep(run);
      const tokensPerSecond = (1000 * report.tokens) / Math.max(1, clock() - started);
      await tell(run, {
        loss: report.loss,
        learning_rate: report.learningRate,
        grad_norm: report.norm,
        epoch: report.epoch,
        tokens_per_second: tokensPerSecond,
      });
      const isBest = isDue(run, settings.evaluationEvery) && (await evaluateNow(run));
      if (isBest || hasLostPatience(run) || isDue(run, settings.checkpointEvery) || isDone(run)) await save(run);
      shown.advance(1, describe(report, tokensPerSecond));
      // A model may never wait for anything; signals and progress bars come through the event loop.
      await setImmediate();
    }
    return { ended: hasLostPatience(run) ? 'early' : 'finished', state };
  } finally {
    shown.finish();
  }
}

type Run = {
  readonly options: TrainOptions;
  readonly plan: Schedule;
  readonly trained: checkpoint.Trained;
  readonly state: checkpoint.TrainerState;
  /** The epoch at hand. */
  list: { readonly epoch: number; readonly batches: EpochBatches };
  /** Step of the newest checkpoint. */
  savedAt: number;
};

/** A run at its start, evaluated once so that there is something to compare with, or where its newest checkpoint left it. */
async function begin(options: TrainOptions): Promise<Run> {
  const { trainable, batches, settings, evaluate, checkpoints, sinks = [] } = options;
  const plan = planRun(options);
  if (plan.totalSteps === 0)
    throw new UserError('training.no-data', 'training: no batches: the data is empty; check the data set and its filters');
  if (settings.patience !== undefined && !evaluate) {
    throw new UserError('training.metric', 'training: patience: nothing to evaluate on; name evaluation data or leave patience out');
  }
  for (const { gradient } of trainable.parameters) gradient.fill(0);
  const trained = { parameters: trainable.parameters, optimizer: startAdamW(trainable.parameters) };
  const resumed = checkpoints && (await resume(checkpoints, trained));
  const state = resumed ?? {
    ...{ step: 0, epoch: 0, batch: 0, batches: 0, tokens: 0 },
    ...{ losses: [], evaluations: [], best: null, withoutBetter: 0 },
  };
  for (const sink of sinks) await sink.rewind(resumed ? state.step : -1);
  const run = { options, plan, trained, state, list: { epoch: state.epoch, batches: batches(state.epoch) }, savedAt: state.step };
  if (!resumed && settings.evaluationEvery !== 'never') await evaluateNow(run);
  return run;
}

async function resume(
  { folder, identity, resume: isWanted = false }: NonNullable<TrainOptions['checkpoints']>,
  trained: checkpoint.Trained,
): Promise<checkpoint.TrainerState | undefined> {
  checkpoint.clearLeftovers(folder);
  if (!isWanted) checkpoint.refuseUsed(folder);
  const latest = checkpoint.latestCheckpoint(folder);
  return latest && checkpoint.readCheckpoint(latest.path, { trained, identity });
}

type StepReport = {
  readonly loss: number;
  readonly norm: number;
  readonly learningRate: number;
  readonly tokens: number;
  /** Epochs done, with their fraction. */
  readonly epoch: number;
};

/** Gradients of a group of batches, then one move of all values. Nothing is moved where a loss or the gradient is not finite. */
async function takeStep(run: Run): Promise<StepReport> {
  const { options, plan, trained, state } = run;
  const { trainable, settings } = options;
  const { first, length, group } = nextGroup(run);
  const where = (index: number) => `batch ${first + index + 1} of ${length} of epoch ${state.epoch + 1}`;

  const denominator = group.reduce((sum, batch) => sum + trainable.weightOf(batch), 0);
  if (!(denominator > 0)) {
    const which = `step ${state.step + 1}: ${where(0)}${group.length > 1 ? ` and the ${group.length - 1} after it` : ''}`;
    throw new UserError(
      'training.no-targets',
      `training: nothing to learn from in ${which}; look for rows whose answer is empty or cut off`,
    );
  }
  let lossSum = 0;
  let tokens = 0;
  for (const [index, batch] of group.entries()) {
    const loss = await trainable.accumulate(batch, { denominator, step: state.batches + index });
    if (!Number.isFinite(loss.lossSum)) throw diverged(run, `loss is ${loss.lossSum}`, where(index));
    lossSum += loss.lossSum;
    for (const rowLength of batch.lengths) tokens += rowLength;
  }
  const norm = gradientNorm(trained.parameters);
  if (!Number.isFinite(norm)) {
    const wrong = trained.parameters.find(({ gradient }) => gradient.some((value) => !Number.isFinite(value)));
    throw diverged(
      run,
      `gradient of ${wrong?.name} is not finite`,
      group.length > 1 ? `${where(0)} to ${where(group.length - 1)}` : where(0),
    );
  }
  const learningRate = settings.learningRate * learningRateShare(state.step, plan);
  const gradientFactor = clipFactor(norm, settings.maxGradientNorm);
  stepAdamW(trained.parameters, trained.optimizer, { learningRate, weightDecay: settings.weightDecay, gradientFactor });

  const loss = lossSum / denominator;
  const epoch = state.epoch + (first + group.length) / length;
  state.losses.push(loss);
  state.step += 1;
  state.batches += group.length;
  state.tokens += tokens;
  state.batch += group.length;
  if (state.batch >= length) Object.assign(state, { epoch: state.epoch + 1, batch: 0 });
  return { loss, norm, learningRate, tokens, epoch };
}

/** The batches of the next step; a step does not reach into the next epoch. */
function nextGroup(run: Run) {
  const { state, options } = run;
  if (run.list.epoch !== state.epoch) run.list = { epoch: state.epoch, batches: options.batches(state.epoch) };
  const { batches } = run.list;
  const group: Batch[] = [];
  const end = Math.min(batches.length, state.batch + options.settings.accumulation);
  for (let index = state.batch; index < end; index++) {
    const batch = batches.at(index);
    if (batch) group.push(batch);
  }
  if (group.length === 0) throw new UserError('training.no-data', `training: no batches in epoch ${state.epoch + 1}; check the data set`);
  return { first: state.batch, length: batches.length, group };
}

/**
 * Evaluates the model as it is, and takes the figures into the state.
 *
 * @returns whether it is the best so far; the model before its first step never is
 */
async function evaluateNow(run: Run): Promise<boolean> {
  const { options, state } = run;
  const { settings, evaluate } = options;
  if (!evaluate) return false;
  const metrics = await evaluate();
  const value = metrics[settings.metric];
  if (value === undefined) {
    const known = Object.keys(metrics).join(', ');
    throw new UserError('training.metric', `training: metric not found: ${settings.metric}; evaluation gives: ${known}`);
  }
  state.evaluations.push({ step: state.step, metrics: { ...metrics } });
  await tell(run, Object.fromEntries(Object.entries(metrics).map(([key, figure]) => [`eval_${key}`, figure])));
  if (state.step === 0) return false;
  const best = state.best?.value;
  const isBest = Number.isFinite(value) && (best === undefined || (isHigherBetter(settings) ? value > best : value < best));
  if (isBest) Object.assign(state, { best: { step: state.step, value }, withoutBetter: 0 });
  else state.withoutBetter += 1;
  return isBest;
}

async function tell({ options, state }: Run, figures: Readonly<Record<string, number>>): Promise<void> {
  const time = options.clock();
  const metrics = Object.entries(figures).map(([key, value]) => ({ step: state.step, key, value, time }));
  for (const sink of options.sinks ?? []) await sink.metrics(metrics);
}

async function save(run: Run): Promise<void> {
  const { options, trained, state } = run;
  if (!options.checkpoints || run.savedAt === state.step) return;
  const { folder, identity, extra = {} } = options.checkpoints;
  await checkpoint.writeCheckpoint(folder, { trained, state, identity, extra });
  run.savedAt = state.step;
  checkpoint.pruneCheckpoints(folder, { keep: options.settings.keep, best: state.best?.step });
}

const isDone = ({ plan, state }: Run): boolean => state.step >= plan.totalSteps;

const hasLostPatience = ({ options, state }: Run): boolean =>
  state.withoutBetter >= (options.settings.patience ?? Number.POSITIVE_INFINITY);

/** Whether something done at intervals is due after the step just taken; after the last step everything is. */
function isDue(run: Run, interval: number | 'epoch' | 'never'): boolean {
  if (interval === 'never') return false;
  return isDone(run) || (interval === 'epoch' ? run.state.batch === 0 : run.state.step % interval === 0);
}

function diverged({ options, state }: Run, fault: string, where: string): UserError {
  const latest = options.checkpoints && checkpoint.latestCheckpoint(options.checkpoints.folder);
  const kept = latest ? `; ${checkpoint.checkpointName(latest.step)} is kept` : '';
  const hint = `lower the learning rate (${options.settings.learningRate}) or look at that data`;
  return new UserError('training.diverged', `training: ${fault}: step ${state.step + 1}, ${where}; ${hint}${kept}`);
}

/** How training goes, in the few words that fit beside a progress bar. */
function describe({ loss, learningRate, norm }: StepReport, tokensPerSecond: number): string {
  const rate = tokensPerSecond < 10 ? tokensPerSecond.toFixed(1) : thousands(Math.round(tokensPerSecond));
  return `loss ${loss.toFixed(4)}, rate ${learningRate.toExponential(2)}, gradient ${norm.toPrecision(3)}, ${rate} tokens/s`;
}
