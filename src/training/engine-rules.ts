// What the rules of other programs share: both TRL and Axolotl hand most of a run to transformers' Trainer and to PEFT.

import { UserError } from '../base/errors.ts';
import { asNames, isAllLinear } from '../models/adapter-settings.ts';
import { linearNames } from '../models/decoder-layer.ts';
import { warmupSteps } from './schedule.ts';
import { isHigherBetter, type TrainingSettings } from './training-settings.ts';

export const engineNames = ['trl', 'axolotl'] as const;
export type EngineName = (typeof engineNames)[number];

/** A run as another program is to make it; paths as seen from the folder of its configuration. */
export type EngineRun = {
  readonly model: string;
  readonly settings: TrainingSettings;
  /** GPUs that share a step. */
  readonly processes: number;
  /** Steps of the whole run. */
  readonly totalSteps: number;
  readonly hasValidation: boolean;
  /** Checkpoint to go on from. */
  readonly resumeFrom?: string | undefined;
};

export type EngineKeys = Readonly<Record<string, unknown>>;
/** What one setting becomes in the other program's configuration, or a refusal of it, thrown. */
export type EngineRules = { readonly [Setting in keyof TrainingSettings]-?: (run: EngineRun) => EngineKeys };

/** Beside the configuration. */
export const engineFiles = { data: 'data', train: 'data/train.jsonl', validation: 'data/validation.jsonl', output: 'output' } as const;

/** Refuses a setting by its name. */
export function refuse(engine: EngineName, setting: keyof TrainingSettings, run: EngineRun, hint: string): never {
  const value = JSON.stringify(run.settings[setting]);
  throw new UserError('engine.setting', `engine: not to be had with ${engine}: ${setting} ${value}; ${hint}`);
}

/** Evaluations are made: there are rows for them, and they are wanted. */
export const evaluates = ({ settings, hasValidation }: EngineRun): boolean => hasValidation && settings.evaluationEvery !== 'never';

export const warmup = ({ settings, totalSteps }: EngineRun): number => warmupSteps(settings.warmup, totalSteps);

/** transformers' `constant` has no warm-up. */
export const scheduleName = ({ settings }: EngineRun): string =>
  settings.schedule === 'constant' ? 'constant_with_warmup' : settings.schedule;

function wholeAlpha(engine: EngineName, run: EngineRun): number {
  const { alpha } = run.settings;
  return Number.isInteger(alpha) ? alpha : refuse(engine, 'alpha', run, 'it takes whole numbers');
}

/** A step's batches, divided among the GPUs. */
function sharedAccumulation(engine: EngineName, run: EngineRun): number {
  const { settings, processes } = run;
  if (settings.accumulation % processes === 0) return settings.accumulation / processes;
  return refuse(engine, 'accumulation', run, `the batches of a step must divide evenly among ${processes} GPUs (--processes)`);
}

/** The loss is the one figure both evaluate; of it less is better. */
function lossOnly(engine: EngineName, run: EngineRun): EngineKeys {
  if (run.settings.metric === 'loss') return evaluates(run) ? { metric_for_best_model: 'loss' } : {};
  return refuse(engine, 'metric', run, 'it evaluates the loss alone');
}

function lessIsBetter(engine: EngineName, run: EngineRun): EngineKeys {
  if (isHigherBetter(run.settings)) return refuse(engine, 'higherIsBetter', run, 'it evaluates the loss alone, of which less is better');
  return evaluates(run) ? { greater_is_better: false } : {};
}

/** The best step is found among the checkpoints, so each evaluation needs one; and without any the run could not be read. */
export function checkpointInterval(engine: EngineName, run: EngineRun): number | 'epoch' {
  const { checkpointEvery, evaluationEvery } = run.settings;
  if (checkpointEvery === 'never') return refuse(engine, 'checkpointEvery', run, 'its results are read from its checkpoints');
  if (evaluates(run) && checkpointEvery !== evaluationEvery) {
    return refuse(engine, 'checkpointEvery', run, `the best step must be saved: set it as evaluationEvery, ${evaluationEvery}`);
  }
  return checkpointEvery;
}

/** The best is kept besides the newest. */
const keptCheckpoints = (run: EngineRun): number => run.settings.keep + (evaluates(run) ? 1 : 0);

/**
 * Targets as PEFT reads them: names, or one pattern for whole names. `all-linear` is spelt out, since PEFT's own would take heads of other
 * shapes along; a single name becomes a pattern, since a list of one is handed on as a pattern, which a bare name never fits.
 */
export function peftTargets({ settings }: EngineRun): readonly string[] | string {
  const names = isAllLinear(settings.targets) ? linearNames.map((name) => name.replace(/^.*\./, '')) : asNames(settings.targets);
  if (typeof names === 'string' || names.length > 1) return names;
  return `(.*\\.)?${names[0]!.replaceAll('.', '\\.')}`;
}

/** What both programs hand on under one name, or refuse for one reason. */
export const sharedRules = (engine: EngineName) =>
  ({
    rank: ({ settings }) => ({ lora_r: settings.rank }),
    alpha: (run) => ({ lora_alpha: wholeAlpha(engine, run) }),
    dropout: ({ settings }) => ({ lora_dropout: settings.dropout }),
    learningRate: ({ settings }) => ({ learning_rate: settings.learningRate }),
    weightDecay: ({ settings }) => ({ weight_decay: settings.weightDecay }),
    maxGradientNorm: ({ settings }) => ({ max_grad_norm: settings.maxGradientNorm }),
    accumulation: (run) => ({ gradient_accumulation_steps: sharedAccumulation(engine, run) }),
    maxSteps: ({ settings }) => (settings.maxSteps === undefined ? {} : { max_steps: settings.maxSteps }),
    classWeights: (run) =>
      run.settings.classWeights === undefined ? {} : refuse(engine, 'classWeights', run, 'it learns words, which have no classes'),
    seed: ({ settings }) => ({ seed: settings.seed }),
    metric: (run) => lossOnly(engine, run),
    higherIsBetter: (run) => lessIsBetter(engine, run),
    keep: (run) => ({ save_total_limit: keptCheckpoints(run) }),
    recompute: ({ settings }) => ({ gradient_checkpointing: settings.recompute !== 'none' }),
  }) as const satisfies Partial<EngineRules>;
