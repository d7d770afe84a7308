// What a fine-tuning run is told: one flat list, in YAML or as flags of the same names (`learningRate`, `--learning-rate`).
// Defaults are those of transformers' Trainer and PEFT's LoraConfig where those have one, so that a run without settings is the run people
// know; the exceptions are `targets` (every linear layer), `checkpointEvery` and `keep` (a run on a laptop is more often interrupted).

import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import { schedules } from './schedule.ts';

const count = z.int().min(1);
const amount = z.number().min(0);
/** Every so many steps, after each epoch, or not at all. */
const interval = z.union([count, z.enum(['epoch', 'never'])], { error: 'not a whole number from 1 up, epoch or never' });

const schema = z.strictObject({
  /** Rank of the adapter: columns of A, rows of B. */
  rank: count.default(8),
  /** The adapter's output is multiplied by alpha / rank (rsLoRA: alpha / sqrt(rank)). */
  alpha: z.number().gt(0).default(8),
  /** Share of the adapter's inputs that is dropped at random. */
  dropout: z.number().min(0).lt(1).default(0),
  rslora: z.boolean().default(false),
  dora: z.boolean().default(false),
  /** Layers that get an adapter: `all-linear` (all but the head and the vision part), names, or one regular expression over full names. */
  targets: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).default('all-linear'),

  learningRate: z.number().gt(0).default(5e-5),
  schedule: z.enum(schedules).default('linear'),
  /** Steps over which the learning rate rises; below 1: the share of all steps. */
  warmup: amount.default(0),
  weightDecay: amount.default(0),
  /** Longest gradient that is used as it is; 0: no limit. */
  maxGradientNorm: amount.default(1),

  /** Rows of one batch. */
  batchSize: count.default(8),
  /** Batches of one step. */
  accumulation: count.default(1),
  epochs: count.default(3),
  /** Steps to take, whatever `epochs` says. */
  maxSteps: count.optional(),
  /** Longest row in tokens; longer ones are cut. */
  maxLength: count.default(1024),
  labelSmoothing: z.number().min(0).lt(1).default(0),
  /** Weight of each class in the loss, in the order of the labels. */
  classWeights: z.array(z.number().gt(0)).min(2).optional(),
  seed: z.int().min(0).default(42),

  /** Besides, there is one evaluation before the first step and one after the last. */
  evaluationEvery: interval.default('epoch'),
  /** What decides which checkpoint is best: a figure of the evaluation, with or without `eval_` before it. */
  metric: z
    .string()
    .min(1)
    .transform((name) => name.replace(/^eval_/, ''))
    .default('loss'),
  /** Whether more of the metric is better; left out: not for names that hold `loss` or `perplexity`. */
  higherIsBetter: z.boolean().optional(),
  /** Evaluations without a better one after which the run stops; left out: it does not. */
  patience: count.optional(),
  /** Besides, the best, the last and the interrupted step are saved. */
  checkpointEvery: interval.default(50),
  /** Newest checkpoints that are kept, besides the best. */
  keep: count.default(2),

  /** Whether activations are computed again in the backward pass instead of kept; `auto`: as far as memory demands it. */
  recompute: z.enum(['auto', 'none', 'all']).default('auto'),
  /** `fast`: 8-bit products in the backward pass. */
  precision: z.enum(['exact', 'fast']).default('exact'),
  /** How the frozen weights are kept. */
  quantize: z.enum(['none', 'nf4', 'int8']).default('none'),
});

/** Settings of a run, every default filled in. */
export type TrainingSettings = z.infer<typeof schema>;

/** Those that change neither what is learned nor from what: a resumed run may have others. */
const free: readonly string[] = ['evaluationEvery', 'patience', 'checkpointEvery', 'keep', 'recompute'];

/**
 * Checks settings and fills in defaults. Later sources win over earlier ones; what is `undefined` in one is not said by it.
 *
 * @throws UserError `training.settings`: an unknown key (with the nearest known one) or a value out of range
 * @example trainingSettings({ rank: 16 }, { rank: 32, epochs: 1 }) // rank 32, one epoch, defaults otherwise
 */
export function trainingSettings(...sources: readonly Readonly<Record<string, unknown>>[]): TrainingSettings {
  const said = Object.assign({}, ...sources.map((source) => Object.fromEntries(Object.entries(source).filter(([, v]) => v !== undefined))));
  const parsed = schema.safeParse(said);
  if (!parsed.success) throw new UserError('training.settings', `training: settings: ${describe(parsed.error.issues[0]!)}`);
  const settings = parsed.data;
  if (settings.patience !== undefined && settings.evaluationEvery === 'never') {
    throw new UserError(
      'training.settings',
      'training: settings: patience: needs evaluations; set evaluationEvery to epoch or a number of steps',
    );
  }
  return settings;
}

/**
 * Reads settings from a YAML file, to be given to `trainingSettings`.
 *
 * @throws UserError `training.settings` for a missing file, bad YAML, or one that is not a list of keys and values
 */
export function readTrainingYaml(path: string): Readonly<Record<string, unknown>> {
  if (!existsSync(path))
    throw new UserError('training.settings', `training: settings: file not found: ${path}; name an existing YAML file`);
  try {
    const raw: unknown = parse(readFileSync(path, 'utf8')) ?? {};
    if (typeof raw === 'object' && !Array.isArray(raw)) return raw as Record<string, unknown>;
  } catch (cause) {
    throw new UserError('training.settings', `training: settings: not valid YAML: ${path}: ${(cause as Error).message.split('\n')[0]}`, {
      cause,
    });
  }
  throw new UserError('training.settings', `training: settings: no keys and values: ${path}; write lines like learningRate: 1e-4`);
}

/** Settings as the command line gives them, all text: each is read as YAML would (`1e-4`, `true`), lists also as `a,b`. */
export function settingsFromFlags(flags: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const read = (text: string, key: string): unknown => {
    if ((key === 'targets' || key === 'classWeights') && text.includes(',') && !text.trim().startsWith('[')) return parse(`[${text}]`);
    return key === 'targets' && !text.trim().startsWith('[') ? text : parse(text);
  };
  return Object.fromEntries(Object.entries(flags).map(([key, value]) => [key, typeof value === 'string' ? read(value, key) : value]));
}

/** Names of all settings, in the order they are documented in. */
export const settingNames = Object.keys(schema.shape) as readonly (keyof TrainingSettings)[];

/** Whether a higher value of the chosen metric is the better one. */
export function isHigherBetter({ metric, higherIsBetter }: Pick<TrainingSettings, 'metric' | 'higherIsBetter'>): boolean {
  return higherIsBetter ?? !/loss|perplexity/i.test(metric);
}

/** What makes a run the same run: a checkpoint is resumed only where all of it is equal. Model and data come as hashes. */
export function runIdentity({
  model,
  data,
  settings,
}: {
  readonly model: string;
  readonly data: string;
  readonly settings: TrainingSettings;
}): Readonly<Record<string, string>> {
  const bound = settingNames.filter((name) => !free.includes(name));
  const said = bound.map((name) => [name, JSON.stringify(settings[name] ?? null)]);
  return { model, data, ...(Object.fromEntries(said) as Record<string, string>) };
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return `${issue.path.map(String).join('.')}: ${issue.message.replace(/^Invalid input: /, '')}`;
  const [key] = issue.keys;
  const near = nearest(camelCase(key!), settingNames);
  return `unknown key: ${key}; ${near ? `did you mean ${near}?` : `known: ${settingNames.join(', ')}`}`;
}

/** `learning_rate`, `learning-rate` -> `learningRate`: how other programs write the names. */
const camelCase = (key: string) => key.replace(/[-_]+(\w)/g, (_, letter: string) => letter.toUpperCase());
