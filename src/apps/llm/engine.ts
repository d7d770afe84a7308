// Fine-tuning by TRL or Axolotl, for more than one GPU. Our part is both ends: rows, settings and base become their configuration and their
// data (training/engine-config); what they trained becomes a run folder like any other.
//
//   engine/trl.yaml           their configuration                    engine/output/   checkpoints, as they write them
//   engine/data/*.jsonl       rows as tokens                         engine/log.txt   all they said
//   engine/run.sh             how they are started                   engine/run.json  what the run is of: a resumed one must be of the same
//   adapter/, log/, loss.svg  as `trainModel` leaves them
//
// They are started only where they are installed; elsewhere the folder is ready to be run by hand, here or on another machine, and the same
// command with `resume` takes the adapter back.

import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { writeJson, writeText } from '../../base/files.ts';
import { lossCurveChart } from '../../charts/loss-curve.ts';
import { renderSvg } from '../../charts/render.ts';
import { chatTemplateOf } from '../../models/chat-template.ts';
import { openModel } from '../../models/folder.ts';
import type { ModelFolder } from '../../models/model-folder.ts';
import { openTokenizer } from '../../models/open-tokenizer.ts';
import { readAdapter } from '../../models/peft.ts';
import { writeAdapter } from '../../models/write-peft.ts';
import { type Row, readDataset } from '../../training/dataset.ts';
import { engineScript, engineYaml, installCommand } from '../../training/engine-config.ts';
import { type EngineName, engineFiles } from '../../training/engine-rules.ts';
import { type Example, makeExamples } from '../../training/examples.ts';
import { openRunLog } from '../../training/run-log.ts';
import { lossCurveOf, readRun } from '../../training/tracking.ts';
import type { TrainingSettings } from '../../training/training-settings.ts';
import { type EngineResults, newestCheckpoint, readResults } from './engine-results.ts';
import type { TrainModelOptions, TrainReport } from './train.ts';

/** Starts the script of a folder; `code` as the program ended, nothing where it was stopped by the signal. */
export type Launch = (options: {
  readonly script: string;
  /** Told what the program says, in pieces. */
  readonly onOutput: (text: string) => void;
  /** Told of each bar it draws: that of its steps is known by their number. */
  readonly onStep: (bar: { readonly step: number; readonly of: number }) => void;
  readonly signal: AbortSignal | undefined;
}) => Promise<{ readonly code: number } | undefined>;

export type EngineOptions = Omit<TrainModelOptions, 'memory' | 'follow' | 'onPlan' | 'threads'> & {
  readonly engine: EngineName;
  /** GPUs. */
  readonly processes: number;
  /** Nothing where the program is not installed. */
  readonly launch: Launch | undefined;
  /** Told when the folder is written, before anything is started. */
  readonly onWritten?: (written: EngineFolder) => void;
};

/** A folder that is ready to be run. */
export type EngineFolder = {
  readonly folder: string;
  /** It goes on with what is there of this very run. */
  readonly isResumed: boolean;
  readonly steps: number;
  /** Rows to learn from and to evaluate on; of them, cut to the longest allowed; besides, left out with nothing to learn after the cut. */
  readonly rows: { readonly train: number; readonly validation: number; readonly cut: number; readonly left: number };
};

/** The tokens trained on are not counted by both programs, and so by neither. */
export type EngineReport = Omit<TrainReport, 'tokens'>;

/** Writes the folder `engine` and nothing else, and says how to go on. */
export async function writeEngineRun(options: EngineOptions): Promise<EngineFolder> {
  const { engine, out, processes, settings } = options;
  const folder = join(out, 'engine');
  const output = join(folder, engineFiles.output);
  if (!options.resume && existsSync(output)) {
    throw new UserError('training.folder-used', `training: holds a run already: ${folder}; go on with --resume, or name another folder`);
  }
  const { train, validation, contextLength, cut, left } = await tokensOf(options);
  const lines = { train: jsonLines(train), validation: jsonLines(validation) };
  const identity = identityOf(options, createHash('sha256').update(lines.train).update('\0').update(lines.validation).digest('hex'));
  const other = differences(folder, identity);
  if (options.resume === true && other.length > 0) {
    throw new UserError(
      'checkpoint.other-run',
      `engine: the run in ${folder} differs in ${other.join(', ')}; go on with the same, or name another folder`,
    );
  }
  const isResumed = options.resume !== false && options.resume !== undefined && other.length === 0;
  const totalSteps = settings.maxSteps ?? settings.epochs * Math.ceil(Math.ceil(train.length / settings.batchSize) / settings.accumulation);
  const config = engineYaml(engine, {
    ...{ processes, totalSteps },
    model: isAbsolute(options.model) ? options.model : relative(folder, options.model),
    settings: { ...settings, maxLength: contextLength },
    hasValidation: validation.length > 0,
    resumeFrom: isResumed ? checkpointIn(output) : undefined,
  });
  if (!isResumed) rmSync(output, { recursive: true, force: true });
  await writeText(join(folder, engineFiles.train), lines.train);
  if (validation.length > 0) await writeText(join(folder, engineFiles.validation), lines.validation);
  else rmSync(join(folder, engineFiles.validation), { force: true });
  await writeText(join(folder, `${engine}.yaml`), config);
  await writeText(join(folder, 'run.sh'), engineScript(engine, processes));
  chmodSync(join(folder, 'run.sh'), 0o755);
  await writeJson(join(folder, 'run.json'), identity);
  return { folder, isResumed, steps: totalSteps, rows: { train: train.length, validation: validation.length, cut, left } };
}

/**
 * Trains with another program and takes its adapter back.
 *
 * @throws UserError `engine.missing` where it is not installed (its folder is ready to be run), `engine.setting`, `engine.model`,
 * `engine.failed`, `engine.adapter`, `engine.results`, `engine.diverged`, `training.folder-used`, `checkpoint.other-run`
 */
export async function trainWithEngine(options: EngineOptions): Promise<EngineReport | 'interrupted'> {
  const { engine, launch, progress, signal } = options;
  const written = await writeEngineRun(options);
  options.onWritten?.(written);
  const { folder, steps, isResumed } = written;
  const output = join(folder, engineFiles.output);
  const script = join(folder, 'run.sh');
  if (!(isResumed && isFinished(output))) {
    if (!launch) {
      throw new UserError(
        'engine.missing',
        `engine: ${engine} is not installed; ${installCommand(engine)}, run ${script} (here or elsewhere), then this command again with --resume`,
      );
    }
    const log = join(folder, 'log.txt');
    const before = newestCheckpoint(output)?.step ?? 0;
    const shown = progress.step(engine, { total: steps - before, unit: 'steps' });
    let done = before;
    const ended = await launch({
      ...{ script, signal },
      onOutput: (text) => appendFileSync(log, text),
      onStep: ({ step, of }) => {
        if (of !== steps || step <= done) return;
        shown.advance(step - done);
        done = step;
      },
    });
    shown.finish();
    if (!ended) return 'interrupted';
    if (ended.code !== 0)
      throw new UserError('engine.failed', `engine: ${engine} ended with code ${ended.code}; what it said is in ${log}`);
  }
  return takeBack(options, { results: readResults(output), isResumed });
}

/** The last thing both write is the adapter of the whole run, beside the checkpoints. */
const isFinished = (output: string): boolean => existsSync(join(output, 'adapter_model.safetensors'));

const checkpointIn = (output: string): string | undefined => {
  const newest = newestCheckpoint(output);
  return newest && `${engineFiles.output}/${newest.name}`;
};

/** The rows as our own trainer would learn them. */
async function tokensOf({ engine, model: path, data, task, settings, validationShare = 0 }: EngineOptions) {
  const folder = await openModel(path);
  try {
    refuseModel(engine, folder, task);
    const tokenizer = openTokenizer(path);
    const template = tokenizer.chatTemplate === undefined ? undefined : chatTemplateOf(tokenizer);
    const read = typeof data === 'string' ? await readDataset(data, { task: 'causal', seed: settings.seed, validationShare }) : data;
    const contextLength = Math.min(settings.maxLength, folder.config.contextLength);
    const tokens = (rows: readonly Row[]) => makeExamples(rows, { tokenizer, template, contextLength, truncate: true });
    const [train, validation] = [tokens(read.train), tokens(read.validation)];
    if (train.examples.length === 0) {
      throw new UserError('training.no-data', 'training: no rows with anything to learn; check the data set');
    }
    return { train: train.examples, validation: validation.examples, contextLength, cut: train.truncated, left: train.dropped };
  } finally {
    await folder.close();
  }
}

function refuseModel(engine: EngineName, { path, config, tensors }: ModelFolder, task: TrainModelOptions['task']): void {
  const refused = (fault: string, hint: string) => {
    throw new UserError('engine.model', `engine: ${engine} ${fault}: ${path}; ${hint}`);
  };
  if (task === 'class' || config.labels || tensors.has('score.weight')) {
    refused('trains no classification head', 'name a model that writes text (er llm prepare-base --no-head), or leave --engine out');
  }
  if (path.endsWith('.gguf')) refused('reads no GGUF', 'name a Hugging Face folder (llm convert)');
  if (config.multimodal) refused('would train the vision part too', 'take the text part first: er llm prepare-base --no-head');
}

/** One row a line; what is not learned has the label -100, as in PyTorch. */
function jsonLines(examples: readonly Example[]): string {
  const rows = examples.flatMap((example) => {
    if (example.kind !== 'causal') return [];
    const ids = [...example.ids];
    const labels = ids.map((id, i) => (example.mask[i] === 1 ? id : -100));
    return [`${JSON.stringify({ input_ids: ids, attention_mask: ids.map(() => 1), labels })}\n`];
  });
  return rows.join('');
}

type Identity = Readonly<Record<string, unknown>>;
const identitySchema = z.record(z.string(), z.unknown());

function identityOf({ engine, processes, model, settings }: EngineOptions, data: string): Identity {
  return { engine, processes, model: basename(resolve(model)), data, ...settings };
}

/** What is not as it was when the run in this folder began; nothing of a folder without one. */
function differences(folder: string, identity: Identity): readonly string[] {
  const file = join(folder, 'run.json');
  if (!existsSync(file)) return [];
  const before = identitySchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  const now = identitySchema.parse(JSON.parse(JSON.stringify(identity)));
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
}

async function takeBack(
  options: EngineOptions,
  { results, isResumed }: { readonly results: EngineResults; readonly isResumed: boolean },
): Promise<EngineReport> {
  const { model, out, settings, clock, runName = basename(resolve(out)), experiment = 'Default' } = options;
  const base = await openModel(model);
  const place = join(out, 'adapter');
  try {
    const read = await readAdapter(results.adapter, { base });
    refuseStranger(read.settings, settings, results.adapter);
    await writeAdapter(place, {
      adapter: read.adapter,
      settings: { ...read.settings, base: base.path },
      ...(settings.quantize !== 'none' && { trainedOn: settings.quantize }),
    });
  } finally {
    await base.close();
  }
  const report = reportOf(results, place);
  const runFolder = join(out, 'log');
  const log = openRunLog(runFolder, { name: runName, experiment, clock, resume: isResumed });
  await log.params(paramsOf(options));
  await log.tags({ engine: options.engine, model: basename(resolve(model)), ...options.tags });
  await log.rewind(-1);
  await log.metrics(
    results.logged.flatMap(({ step, figures }) => Object.entries(figures).map(([key, value]) => ({ step, key, value, time: clock() }))),
  );
  await log.artifact(place);
  const picture = join(out, 'loss.svg');
  const curve = lossCurveOf(readRun(runFolder).metrics);
  await writeText(picture, await renderSvg(lossCurveChart({ curve, source: `${basename(model)} with ${options.engine}` })));
  await log.artifact(picture);
  await log.finish('finished', report);
  return report;
}

/** What comes back is what was asked for: another adapter in that place would be used as if it were this run's. */
function refuseStranger(
  read: { rank: number; alpha: number; dora: boolean; rsLora: boolean; task: string },
  settings: TrainingSettings,
  path: string,
): void {
  const { rank, alpha, dora, rslora } = settings;
  const wanted = { task: 'CAUSAL_LM', rank, alpha, dora, rsLora: rslora };
  const other = Object.entries(wanted).find(([key, value]) => read[key as keyof typeof wanted] !== value);
  if (!other) return;
  const [key, value] = other;
  throw new UserError(
    'engine.adapter',
    `engine: not the adapter of this run: ${path}: ${key} is ${read[key as keyof typeof wanted]}, not ${value}; train again`,
  );
}

function reportOf({ steps, isWhole, logged, best }: EngineResults, adapter: string): EngineReport {
  const losses = logged.flatMap(({ figures: { loss, eval_loss: isEvaluation } }) =>
    loss === undefined || isEvaluation !== undefined ? [] : [loss],
  );
  const before = logged.find(({ step, figures }) => step === 0 && figures['eval_loss'] !== undefined)?.figures['eval_loss'];
  return {
    ended: isWhole ? 'finished' : 'early',
    steps,
    firstLoss: losses[0] ?? Number.NaN,
    lastLoss: losses.at(-1) ?? Number.NaN,
    meanLoss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    before: before === undefined ? undefined : { loss: before },
    best,
    adapter,
  };
}

function paramsOf({ model, data, settings, engine, processes }: EngineOptions): Readonly<Record<string, string>> {
  const said = { model, data: typeof data === 'string' ? data : data.name, engine, processes, ...settings };
  return Object.fromEntries(Object.entries(said).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]));
}
