// Everything a fine-tuning run needs that is known before a weight is read: the rows as tokens, the batches, the adapter's size and
// where the memory will go. `--dry-run` shows it; `train` starts from it.

import { createHash } from 'node:crypto';
import { basename } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { type AdapterSettings, prefixFor, targetModules } from '../../models/adapter-settings.ts';
import { chatTemplateOf } from '../../models/chat-template.ts';
import { type LayerShape, type LinearName, linearNames } from '../../models/decoder-layer.ts';
import { openModel } from '../../models/folder.ts';
import type { AdapterShape } from '../../models/linear.ts';
import { countParameters } from '../../models/lora.ts';
import type { ModelFolder } from '../../models/model-folder.ts';
import { openTokenizer } from '../../models/open-tokenizer.ts';
import { formUnder, type StoragePolicy } from '../../models/storage.ts';
import type { Tokenizer } from '../../models/tokenizer.ts';
import { type BatchList, type CollateReport, collate, reportBatches } from '../../training/collate.ts';
import { type Row, readDataset, type Task } from '../../training/dataset.ts';
import { type Example, makeExamples } from '../../training/examples.ts';
import { type MemoryPlan, planMemory } from '../../training/memory-plan.ts';
import { planRun } from '../../training/trainer.ts';
import type { TrainingSettings } from '../../training/training-settings.ts';
import { vocabularyBytes } from './memory.ts';

/** Rows that are not read as they stand in a file, and what to call them. */
export type GivenRows = { readonly name: string; readonly train: readonly Row[]; readonly validation: readonly Row[] };

export type PrepareOptions = {
  /** Folder or GGUF file of the base model. */
  readonly model: string;
  /** File or folder of training rows, with validation rows beside them where there are some; or the rows themselves. */
  readonly data: string | GivenRows;
  readonly settings: TrainingSettings;
  /** Without it: `class` for a model with a classification head. */
  readonly task?: Task | undefined;
  /** Share of the training rows to evaluate on where the data has no validation split. */
  readonly validationShare?: number | undefined;
  /** Bytes the run may take. */
  readonly memory: number;
};

export type Prepared = {
  readonly folder: ModelFolder;
  readonly tokenizer: Tokenizer;
  readonly task: Task;
  readonly labels: readonly string[] | undefined;
  readonly adapter: AdapterSettings;
  readonly storage: StoragePolicy;
  readonly batches: (epoch: number) => BatchList;
  /** None where there is nothing to evaluate on. */
  readonly validation: BatchList | undefined;
  readonly memory: MemoryPlan;
  readonly parameters: { readonly trainable: number; readonly total: number };
  readonly rows: {
    readonly train: CollateReport;
    readonly validation: CollateReport | undefined;
    readonly cut: number;
    readonly left: number;
  };
  readonly steps: number;
  readonly identity: { readonly model: string; readonly data: string };
};

/**
 * The model's folder is left open for whoever goes on; a refusal closes it.
 *
 * @throws UserError for anything wrong with model, data or settings, and where the run would not fit into memory
 */
export async function prepare(options: PrepareOptions): Promise<Prepared> {
  const folder = await openModel(options.model);
  try {
    return await prepareWith(folder, options);
  } catch (cause) {
    await folder.close();
    throw cause;
  }
}

async function prepareWith(
  folder: ModelFolder,
  { model, data, settings, task: asked, validationShare = 0, memory: budget }: PrepareOptions,
): Promise<Prepared> {
  const { config } = folder;
  const tokenizer = openTokenizer(model);
  const task = asked ?? (config.labels ? 'class' : 'causal');
  const { seed } = settings;
  const read = typeof data === 'string' ? await readDataset(data, { task, seed, validationShare }) : data;
  const labels = task === 'class' ? (config.labels ?? labelsIn(read.train)) : undefined;
  const contextLength = Math.min(settings.maxLength, config.contextLength);
  const template = tokenizer.chatTemplate === undefined ? undefined : chatTemplateOf(tokenizer);
  const tokens = (rows: readonly Row[]) => makeExamples(rows, { tokenizer, template, contextLength, truncate: true, labels });
  const train = tokens(read.train);
  const held = tokens(read.validation);

  const padId = tokenizer.special.pad ?? config.padTokenId ?? 0;
  const batching = { batchSize: settings.batchSize, contextLength, seed, padId };
  const batches = collate(train.examples, batching);
  const validation = held.examples.length > 0 ? collate(held.examples, batching)(0) : undefined;
  const firstEpoch = batches(0);
  const largest = largestBatch(firstEpoch);
  const adapter = adapterSettings(settings, { task, folder });
  const parameters = countParameters(config, { settings: adapter, labels: labels?.length });
  const plan = (storage: StoragePolicy): MemoryPlan =>
    planMemory({
      config,
      layers: layerShapes(folder, { storage, adapter, task, ...largest }),
      vocabularyBytes: vocabularyBytes(folder, { storage, task }),
      trainedCount: parameters.trainable,
      task,
      precision: settings.precision,
      recompute: settings.recompute,
      budget,
    });
  const { storage, memory } = chooseStorage(settings.quantize, plan);
  return {
    ...{ folder, tokenizer, task, labels, adapter, storage, batches, validation, memory, parameters },
    rows: {
      train: reportBatches(train.examples, firstEpoch),
      validation: validation && reportBatches(held.examples, validation),
      cut: train.truncated,
      left: train.dropped,
    },
    steps: planRun({ batches, settings }).totalSteps,
    identity: { model: modelHash(folder), data: dataHash(train.examples) },
  };
}

/** Classes of data without a model that names them: names in order, or LABEL_0, LABEL_1... for numbers, as transformers has it. */
function labelsIn(rows: readonly Row[]): readonly string[] {
  const found = new Set(rows.map((row) => (row.kind === 'class' ? row.label : '')));
  if ([...found].every((label) => typeof label === 'number')) {
    return Array.from({ length: Math.max(...([...found] as number[])) + 1 }, (_, i) => `LABEL_${i}`);
  }
  return [...found].map(String).sort();
}

function adapterSettings(
  settings: TrainingSettings,
  { task, folder }: { readonly task: Task; readonly folder: ModelFolder },
): AdapterSettings {
  const { targets, rank, alpha, dropout, rslora, dora } = settings;
  return {
    task: task === 'class' ? 'SEQ_CLS' : 'CAUSAL_LM',
    targets,
    rank,
    alpha,
    dropout,
    rsLora: rslora,
    dora,
    prefix: prefixFor(folder.config),
    base: folder.path,
  };
}

/** Weights as float32 where that fits; else as the file has them. What the user asked for is not second-guessed. */
function chooseStorage(quantize: TrainingSettings['quantize'], plan: (storage: StoragePolicy) => MemoryPlan) {
  if (quantize !== 'none') return { storage: quantize, memory: plan(quantize) };
  try {
    return { storage: 'f32' as const, memory: plan('f32') };
  } catch (cause) {
    if (!(cause instanceof UserError) || cause.code !== 'training.memory') throw cause;
    return { storage: 'stored' as const, memory: plan('stored') };
  }
}

function layerShapes(
  folder: ModelFolder,
  {
    storage,
    adapter,
    task,
    rows,
    tokens,
  }: {
    readonly storage: StoragePolicy;
    readonly adapter: AdapterSettings;
    readonly task: Task;
    readonly rows: number;
    readonly tokens: number;
  },
): readonly LayerShape[] {
  const adapted = new Map<string, AdapterShape>(targetModules(folder.config, adapter).map(({ name, shape }) => [name, shape]));
  return folder.config.layers.map((_, i) => {
    const name = (linear: LinearName) => `model.layers.${i}.${linear}`;
    const typeOf = (linear: LinearName) => folder.tensors.get(`${name(linear)}.weight`)!.type;
    return {
      rows,
      tokens,
      ...(task === 'class' && i === folder.config.layers.length - 1 && { isLastOnly: true }),
      forms: Object.fromEntries(linearNames.map((linear) => [linear, formUnder(storage, typeOf(linear))])) as LayerShape['forms'],
      adapters: Object.fromEntries(
        linearNames.flatMap((linear) => (adapted.has(name(linear)) ? [[linear, adapted.get(name(linear))!]] : [])),
      ),
    };
  });
}

function largestBatch(batches: BatchList): { readonly rows: number; readonly tokens: number } {
  let largest = { rows: 1, tokens: 1 };
  for (let index = 0; index < batches.length; index++) {
    const { rows, tokens } = batches.at(index)!;
    if (rows * tokens > largest.rows * largest.tokens) largest = { rows, tokens };
  }
  return largest;
}

const sha256 = () => createHash('sha256');

/** Stands for the base: its config and the names, shapes and types of its tensors. */
function modelHash({ path, config, tensors }: ModelFolder): string {
  const described = [basename(path), config.source, [...tensors].map(([name, { shape, type }]) => [name, shape, type])];
  return sha256().update(JSON.stringify(described)).digest('hex').slice(0, 16);
}

function dataHash(examples: readonly Example[]): string {
  const hash = sha256();
  for (const example of examples) {
    hash.update(example.ids);
    hash.update(example.kind === 'class' ? String(example.label) : example.mask);
  }
  return hash.digest('hex').slice(0, 16);
}
