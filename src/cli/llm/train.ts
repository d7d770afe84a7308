import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { trainWithEngine, writeEngineRun } from '../../apps/llm/engine.ts';
import { type Prepared, prepare } from '../../apps/llm/prepare.ts';
import { type TrainReport, trainModel } from '../../apps/llm/train.ts';
import { thousands } from '../../base/text.ts';
import { engineDefaults } from '../../training/engine-config.ts';
import { memoryParts } from '../../training/memory-plan.ts';
import { readTrainingYaml, settingNames, settingsFromFlags, trainingSettings } from '../../training/training-settings.ts';
import { gitCommit } from '../git-commit.ts';
import { finishOnInterrupt } from '../interrupt.ts';
import { elsewhereOptions, elsewhereSchema, isElsewhere, runElsewhere } from '../job/elsewhere.ts';
import { followOptions } from '../mlflow-access.ts';
import { numberOption, threadsSchema } from '../option-schemas.ts';
import { threadsOption, type VerbOption, verb } from '../verb.ts';
import { version } from '../version.ts';
import { checkEngineOptions, engineOptions, engineSchemas, launcher, tellFolder } from './engine.ts';

const schema = z.looseObject({
  model: z.string().min(1),
  data: z.string().min(1),
  out: z.string().min(1),
  task: z.enum(['causal', 'class']).optional(),
  validationShare: numberOption.pipe(z.number().min(0).lt(1)).optional(),
  settings: z.string().min(1).optional(),
  resume: z.boolean().optional(),
  dryRun: z.boolean().optional(),
  experiment: z.string().min(1).optional(),
  runName: z.string().min(1).optional(),
  ...engineSchemas,
  threads: threadsSchema,
  ...elsewhereSchema,
});

/** One line of help for each setting; what a setting means in full stands in docs/training.md. */
const settingHelp: Readonly<Record<string, string>> = {
  rank: 'rank of the adapter',
  alpha: 'adapter output is multiplied by alpha / rank',
  dropout: 'share of adapter inputs dropped',
  rslora: 'scale by alpha / sqrt(rank)',
  dora: 'train the length of each weight row as well',
  targets: 'all-linear, names separated by commas, or one regular expression',
  learningRate: 'highest learning rate',
  schedule: 'linear, cosine or constant',
  warmup: 'steps of rising learning rate, or a share below 1',
  weightDecay: 'AdamW’s decay',
  maxGradientNorm: 'longest gradient used as it is; 0: any',
  batchSize: 'rows of a batch',
  accumulation: 'batches of a step',
  epochs: 'times through the data',
  maxSteps: 'steps, whatever the epochs',
  maxLength: 'longest row in tokens; longer ones are cut',
  labelSmoothing: 'share of the target spread over all classes',
  classWeights: 'weight of each class, separated by commas',
  seed: 'names every random draw',
  evaluationEvery: 'steps, epoch or never',
  metric: 'what decides which step is best',
  higherIsBetter: 'more of the metric is better',
  patience: 'stop after so many evaluations without a better one',
  checkpointEvery: 'steps, epoch or never',
  keep: 'newest checkpoints kept, besides the best',
  recompute: 'auto, none or all: activations computed again instead of kept',
  precision: 'exact, or fast: 8-bit products in the backward pass',
  quantize: 'none, nf4 (QLoRA) or int8: how the frozen weights are kept',
};

export const settingFlags: readonly VerbOption[] = settingNames.map((name) => ({
  flags: `--${name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)} ${isSwitch(name) ? '' : '<value>'}`.trim(),
  help: settingHelp[name]!,
}));

/** `clinfuse llm train`: fine-tunes a language model with a low-rank adapter. */
export function trainCommand(): Command {
  return verb({
    name: 'train',
    summary: 'fine-tunes a language model with a low-rank adapter (LoRA, QLoRA, DoRA)',
    example: 'clinfuse llm train --model SmolLM2-135M --data questions/ --out run --learning-rate 1e-4 --epochs 1',
    options: [
      { flags: '--model <path>', help: 'Hugging Face folder or GGUF file of the base model', required: true },
      { flags: '--data <path>', help: 'JSONL or Parquet file, or a Hugging Face data set folder', required: true },
      { flags: '--out <folder>', help: 'folder of the run: adapter, checkpoints, log, loss curve', required: true },
      { flags: '--task <task>', help: 'causal or class (default: class where the model has a classification head)' },
      { flags: '--validation-share <share>', help: 'share of rows to evaluate on where the data has no validation split' },
      { flags: '--settings <file>', help: 'YAML file of the settings below; flags overrule it' },
      { flags: '--resume', help: 'go on from the newest checkpoint' },
      { flags: '--experiment <name>', help: 'what the run is listed under (default: MLFLOW_EXPERIMENT_NAME, or Default)' },
      { flags: '--run-name <name>', help: 'its name in lists (default: that of the folder)' },
      { flags: '--dry-run', help: 'say what would be done and how much memory it takes; train nothing' },
      ...engineOptions,
      ...settingFlags,
      threadsOption,
      ...elsewhereOptions,
    ],
    schema,
    run: async ({ on, timeOut, cancel, ...typed }, context) => {
      checkEngineOptions(typed);
      const { progress, log } = context;
      const { model, data, out, task, validationShare, settings: file, resume, dryRun, threads, experiment, runName, ...others } = typed;
      const { engine, processes = 1, ...given } = others;
      const place = { on, timeOut, cancel };
      if (isElsewhere(place) && !dryRun) {
        const { out: _, ...options } = { ...typed, runName: runName ?? basename(resolve(out)) };
        const what = { stage: 'train', verb: ['llm', 'train'], options, inputs: ['model', 'data', 'settings'] } as const;
        return runElsewhere(place, { ...what, output: out, kind: 'folder', out: '', outputs: ['adapter/adapter_config.json'] }, context);
      }
      const said = { ...(file && readTrainingYaml(file)), ...settingsFromFlags(given) };
      const settings = trainingSettings(engine ? engineDefaults(said) : {}, said);
      const commit = gitCommit();
      const run = {
        experiment: experiment ?? (process.env['MLFLOW_EXPERIMENT_NAME'] || 'Default'),
        ...(runName && { runName }),
        tags: { 'clinfuse.version': version, ...(commit && { 'git.commit': commit }) },
        ...(resume && { resume }),
      };
      if (engine) {
        const signal = finishOnInterrupt(`stopping ${engine}`);
        const asked = {
          ...run,
          ...{ engine, processes, model, data, out, task, validationShare, settings, progress, signal, clock: Date.now },
        };
        if (dryRun) {
          const written = await writeEngineRun({ ...asked, launch: undefined });
          const next = `To train: ${written.folder}/run.sh, then this command with --resume in place of --dry-run`;
          return { text: `${tellFolder(written)}\n${next}`, json: written };
        }
        const report = await trainWithEngine({ ...asked, launch: launcher(engine, log), onWritten: (written) => log(tellFolder(written)) });
        return report === 'interrupted' ? interrupted : { text: tellReport(report, out), json: report };
      }
      const options = { model, data, task, validationShare, settings, memory: 0.95 * process.availableMemory() };
      if (dryRun) {
        const prepared = await prepare(options);
        await prepared.folder.close();
        return { text: tellPlan(prepared), json: planJson(prepared) };
      }
      const follow = followOptions(log);
      const report = await trainModel({
        ...{ ...options, out, progress, clock: Date.now, signal: finishOnInterrupt('finishing the step at hand and saving it') },
        ...run,
        ...(threads && { threads }),
        ...(follow && { follow }),
        onPlan: (prepared) => log(tellPlan(prepared)),
      });
      return { text: tellReport(report, out), json: report, ...(report.ended === 'interrupted' && { exitCode: 130 }) };
    },
  });
}

function isSwitch(name: string): boolean {
  return name === 'rslora' || name === 'dora' || name === 'higherIsBetter';
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;

export function tellPlan({ memory, parameters, rows, steps, storage, task, labels, adapter }: Prepared): string {
  const { train, validation, cut, left } = rows;
  const share = ((100 * parameters.trainable) / parameters.total).toFixed(2);
  const lines = [
    `Task          ${task === 'class' ? `one of ${labels!.length} classes: ${labels!.join(', ')}` : 'next token'}`,
    `Trainable     ${thousands(parameters.trainable)} of ${thousands(parameters.total)} parameters (${share} %), rank ${adapter.rank}`,
    `Rows          ${thousands(train.examples)} to train on${cut ? `, ${thousands(cut)} cut` : ''}${left ? `, ${thousands(left)} left out (nothing to learn after the cut)` : ''}${validation ? `; ${thousands(validation.examples)} to evaluate on` : '; none to evaluate on'}`,
    `Tokens        ${thousands(train.tokens)} an epoch, ${thousands(train.targets)} of them learned; padding ${(100 * train.paddingShare).toFixed(1)} %`,
    `Steps         ${thousands(steps)}`,
    `Weights       kept as ${storage}`,
    `Activations   kept in ${memory.keptLayers} layers, computed again in the others`,
    'Memory',
    ...memoryParts.map((part) => `  ${part.padEnd(22)}${gigabytes(memory.parts[part]).padStart(9)}`),
    `  ${'together'.padEnd(22)}${gigabytes(memory.total).padStart(9)}`,
  ];
  return lines.join('\n');
}

const planJson = ({ memory, parameters, rows, steps, storage, task, labels }: Prepared) => ({
  task,
  labels,
  parameters,
  rows,
  steps,
  storage,
  memory,
});

/** A run of another program was stopped: it has saved what it saves by itself. */
export const interrupted = { text: 'Interrupted (go on with --resume)', json: { ended: 'interrupted' }, exitCode: 130 };

export function tellReport({ ended, steps, firstLoss, lastLoss, before, best, adapter }: Omit<TrainReport, 'tokens'>, out: string): string {
  const figures = (metrics: Readonly<Record<string, number>>) =>
    Object.entries(metrics)
      .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
      .join(', ');
  const how = { finished: 'Finished', early: 'Stopped early', interrupted: 'Interrupted (go on with --resume)' }[ended];
  return [
    `${how} after ${thousands(steps)} steps; loss ${firstLoss.toFixed(4)} at the first, ${lastLoss.toFixed(4)} at the last`,
    ...(before ? [`Validation before: ${figures(before)}`] : []),
    ...(best ? [`Validation, step ${best.step}: ${figures(best.metrics)}`] : []),
    `Adapter: ${adapter}`,
    `Loss curve: ${out}/loss.svg`,
  ].join('\n');
}
