import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { thousands } from '../../base/text.ts';
import type { ModelConfig, Rope } from '../../models/config.ts';
import { sizeOf } from '../../models/expand.ts';
import { openModel } from '../../models/folder.ts';
import { openTokenizer } from '../../models/open-tokenizer.ts';
import { openSafetensors } from '../../models/safetensors.ts';
import { inferenceBytes, loraBytes, loraParameters, type ModelOutline, storedBytes } from './memory.ts';

/** What is known of a model before a weight is read. */
export type ModelInfo = {
  readonly kind: 'model';
  readonly path: string;
  readonly family: ModelConfig['family'];
  readonly task: 'causal' | 'classification';
  readonly labels?: readonly string[];
  readonly parameters: { readonly total: number; readonly parts: readonly Part[] };
  readonly layers: { readonly count: number; readonly kinds: ModelConfig['layers']; readonly window?: number };
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly contextLength: number;
  readonly rope: Rope;
  readonly ropeLocal?: Rope;
  readonly tiedEmbeddings: boolean;
  readonly storage: readonly Storage[];
  readonly tokenizer: TokenizerInfo | { readonly missing: string };
  /** Estimates. */
  readonly memory: readonly MemoryNeed[];
  /** Numbers that LoRA of rank 16 trains on every linear layer; a classifier's head with them. */
  readonly loraParameters: number;
};

type Part = { readonly name: string; readonly count: number };
type Storage = { readonly type: string; readonly tensors: number; readonly bytes: number };
type TokenizerInfo = {
  readonly vocabulary: number;
  readonly bos?: string;
  readonly eos?: string;
  readonly pad?: string;
  readonly endOfTurn: readonly string[];
  readonly chatTemplate: boolean;
};
export type MemoryNeed = { readonly use: string; readonly bytes: number };

/** A PEFT folder: what it adapts, and how. */
export type AdapterInfo = {
  readonly kind: 'adapter';
  readonly path: string;
  readonly type: string;
  readonly task?: string;
  readonly base?: string;
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly dora: boolean;
  readonly rslora: boolean;
  readonly targets: string | readonly string[];
  readonly modules: number;
  readonly trainedWhole: readonly string[];
  readonly parameters: number;
  readonly storage: readonly Storage[];
};

/**
 * Describes a model folder, a GGUF file or a PEFT adapter folder from its headers and settings; no weight is read.
 *
 * @throws UserError as `openModel`; `adapter.unreadable`
 */
export async function modelInfo(path: string): Promise<ModelInfo | AdapterInfo> {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  if (isFolder && existsSync(join(path, 'adapter_config.json')) && !existsSync(join(path, 'config.json'))) return adapterInfo(path);
  const model = await openModel(path);
  const { config, tensors } = model;
  await model.close();
  const { window, labels, ropeLocal } = config;
  const total = [...tensors.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return {
    kind: 'model',
    path,
    family: config.family,
    task: labels ? 'classification' : 'causal',
    ...(labels && { labels }),
    parameters: { total, parts: partsOf(tensors) },
    layers: { count: config.layers.length, kinds: config.layers, ...(window !== undefined && { window }) },
    hiddenSize: config.hiddenSize,
    intermediateSize: config.intermediateSize,
    heads: config.heads,
    keyValueHeads: config.keyValueHeads,
    headDim: config.headDim,
    contextLength: config.contextLength,
    rope: config.rope,
    ...(ropeLocal && { ropeLocal }),
    tiedEmbeddings: config.tiedEmbeddings,
    storage: storageOf([...tensors.values()]),
    tokenizer: tokenizerInfo(path),
    memory: memoryNeeds({ config, tensors }),
    loraParameters: loraParameters(config, rank),
  };
}

const partNames: readonly (readonly [string, (name: string) => boolean])[] = [
  ['embedding', (name) => name.startsWith('model.embed_tokens')],
  ['attention', (name) => /self_attn\.\w+_proj/.test(name)],
  ['feed-forward', (name) => name.includes('.mlp.')],
  ['norms', (name) => /norm\.weight$/.test(name)],
  ['head', (name) => name.startsWith('lm_head') || name.startsWith('score')],
];

function partsOf(tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>): readonly Part[] {
  return partNames
    .map(([name, isPart]) => ({
      name,
      count: [...tensors].filter(([tensor]) => isPart(tensor)).reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0),
    }))
    .filter(({ count }) => count > 0);
}

function storageOf(tensors: readonly { readonly type: string; readonly shape: readonly number[] }[]): readonly Storage[] {
  const types = new Map<string, Storage>();
  for (const { type, shape } of tensors) {
    const name = type === 'U8' ? 'NF4' : type;
    const before = types.get(name) ?? { type: name, tensors: 0, bytes: 0 };
    types.set(name, { ...before, tensors: before.tensors + 1, bytes: before.bytes + storedBytes({ type, shape }) });
  }
  return [...types.values()].sort((a, b) => b.bytes - a.bytes);
}

/** A model without a tokenizer is still a model: the fault is said beside the rest. */
function tokenizerInfo(path: string): ModelInfo['tokenizer'] {
  try {
    const { vocabularySize, special, tokenOf, chatTemplate } = openTokenizer(path);
    const named = (key: 'bos' | 'eos' | 'pad') => {
      const token = special[key] === undefined ? undefined : tokenOf(special[key]);
      return token === undefined ? {} : { [key]: token };
    };
    return {
      vocabulary: vocabularySize,
      ...named('bos'),
      ...named('eos'),
      ...named('pad'),
      endOfTurn: special.endOfTurn.map((id) => tokenOf(id) ?? `#${id}`),
      chatTemplate: chatTemplate !== undefined,
    };
  } catch (cause) {
    if (cause instanceof UserError) return { missing: cause.message };
    throw cause;
  }
}

const rank = 16;

/** Common settings; longer texts than the model's context are not among them. */
function memoryNeeds(model: ModelOutline): readonly MemoryNeed[] {
  const context = model.config.contextLength;
  const lengths = [512, 2048].filter((tokens) => tokens <= context);
  const used = lengths.length === 0 ? [context] : lengths;
  const longest = used.at(-1)!;
  const projections = [...model.tensors].filter(([name]) => /_proj\.weight$/.test(name));
  const isPacked = projections.some(([, { type }]) => !['F32', 'F16', 'BF16'].includes(type));
  const lora = (tokens: number, policy: 'stored' | 'nf4'): MemoryNeed => ({
    use: `to train ${policy === 'nf4' ? 'QLoRA (nf4)' : 'LoRA'} of rank ${rank} on rows of ${thousands(tokens)} tokens, one at a time`,
    bytes: loraBytes(model, { rank, rows: 1, tokens, policy }),
  });
  return [
    { use: `to generate, ${thousands(longest)} tokens in all`, bytes: inferenceBytes(model, { tokens: longest }) },
    ...used.map((tokens) => lora(tokens, 'stored')),
    ...(isPacked ? [] : [lora(longest, 'nf4')]),
  ];
}

const adapterSchema = z.looseObject({
  peft_type: z.string(),
  task_type: z.string().nullish(),
  base_model_name_or_path: z.string().nullish(),
  r: z.int().positive(),
  lora_alpha: z.number(),
  lora_dropout: z.number().default(0),
  use_dora: z.boolean().default(false),
  use_rslora: z.boolean().default(false),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
  modules_to_save: z.array(z.string()).nullish(),
});

async function adapterInfo(path: string): Promise<AdapterInfo> {
  const place = join(path, 'adapter_config.json');
  const settings = readSettings(place);
  const weights = join(path, 'adapter_model.safetensors');
  if (!existsSync(weights)) {
    throw new UserError('adapter.unreadable', `adapter: no adapter_model.safetensors: ${path}; is the folder complete?`);
  }
  const file = await openSafetensors(weights);
  const tensors = [...file.tensors];
  await file.close();
  const base = settings.base_model_name_or_path;
  return {
    kind: 'adapter',
    path,
    type: settings.peft_type,
    ...(settings.task_type && { task: settings.task_type }),
    ...(base && { base }),
    rank: settings.r,
    alpha: settings.lora_alpha,
    dropout: settings.lora_dropout,
    dora: settings.use_dora,
    rslora: settings.use_rslora,
    targets: settings.target_modules ?? [],
    modules: tensors.filter(([name]) => /\.lora_A\./.test(name)).length,
    trainedWhole: settings.modules_to_save ?? [],
    parameters: tensors.reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0),
    storage: storageOf(tensors.map(([, entry]) => entry)),
  };
}

function readSettings(place: string): z.infer<typeof adapterSchema> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(place, 'utf8'));
  } catch (cause) {
    throw new UserError('adapter.unreadable', `adapter: not JSON: ${place}; copy it again`, { cause });
  }
  const parsed = adapterSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new UserError('adapter.unreadable', `adapter: ${issue.path.join('.')}: ${issue.message}; is ${place} of a LoRA adapter?`);
}
