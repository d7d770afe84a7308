// Adapter folders as PEFT has them: adapter_config.json says how the adapter is set up, adapter_model.safetensors holds its matrices under
// `base_model.model.` and the module's name. What we cannot compute is refused by name, never left out; only the layers of a vision part,
// which text never passes, are set aside and counted.
// Beside them lies clinfuse.json with what the format has no place for: names of the classes, and how the base was quantised.
// How they are written: write-peft.ts.
// Source: PEFT 0.21, its saving and loading of adapters (utils/save_and_load.py, tuners/lora/config.py).

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import * as z from 'zod';

import { UserError } from '../base/errors.ts';
import type { Adapter, AdapterModule, SavedTensor } from './adapter.ts';
import { type AdapterSettings, type DecoderPrefix, decoderPrefixes, targetModules, targetTest } from './adapter-settings.ts';
import type { ModelConfig } from './config.ts';
import { toFloat32 } from './expand.ts';
import { openSafetensors, readStored, type Safetensors } from './safetensors.ts';

export type AdapterNotes = {
  /** Names of the classes, in order. */
  readonly labels?: readonly string[];
  /** How the base's linear layers were quantised in training, where they were: `nf4`. */
  readonly trainedOn?: string;
};

export type AdapterFolder = AdapterNotes & {
  readonly adapter: Adapter;
  readonly settings: AdapterSettings;
  /** Adapted layers of a vision part, by their names in the file: text does not pass them. */
  readonly skipped: readonly string[];
};

export const adapterFiles = {
  config: 'adapter_config.json',
  weights: 'adapter_model.safetensors',
  notes: 'clinfuse.json',
  readme: 'README.md',
};
export const adapterRoot = 'base_model.model.';

/** Set to anything, these change what the adapter computes in ways the engine does not have. */
const unsupported = [
  ...['lora_bias', 'trainable_token_indices', 'layer_replication', 'target_parameters', 'use_qalora', 'use_bdlora'],
  ...['alora_invocation_tokens', 'arrow_config', 'kasa_config', 'monteclora_config', 'velora_config', 'megatron_config'],
];
/** These begin with a base weight of their own; the others only with other random numbers. */
const plainStarts = ['gaussian', 'eva', 'orthogonal'];

const list = z.union([z.string(), z.array(z.string())]).nullish();
const rates = z.record(z.string(), z.number().positive()).nullish();
const configSchema = z.looseObject({
  peft_type: z.string(),
  task_type: z.string().nullish(),
  r: z.int().positive().default(8),
  lora_alpha: z.number().positive().default(8),
  lora_dropout: z.number().min(0).lt(1).default(0),
  use_rslora: z.boolean().default(false),
  use_dora: z.boolean().default(false),
  target_modules: list,
  exclude_modules: list,
  rank_pattern: rates,
  alpha_pattern: rates,
  layers_to_transform: z.union([z.int(), z.array(z.int())]).nullish(),
  layers_pattern: list,
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
});
const notesSchema = z.object({ labels: z.array(z.string()).optional(), trainedOn: z.string().optional() });

/**
 * Reads an adapter for a base model.
 *
 * @throws UserError `adapter.not-found`, `adapter.invalid`, `adapter.unsupported`, `adapter.base` (made for another model), and those of safetensors
 */
export async function readAdapter(
  path: string,
  { base }: { readonly base: { readonly path: string; readonly config: ModelConfig } },
): Promise<AdapterFolder> {
  const config = readConfigFile(path);
  const file = await openSafetensors(findWeights(path));
  try {
    const found = [...file.tensors.keys()].map(placeOf);
    const prefix = found.find(({ prefix }) => prefix !== undefined)?.prefix ?? 'model';
    const settings = settingsOf(config, { prefix, hasHead: found.some(({ kind }) => kind === 'head') });
    const modules = await readModules(file, { found, settings, base });
    const saved = new Map<string, SavedTensor>();
    for (const { kind, key } of found) if (kind === 'head') saved.set('score.weight', await readHead(file, { key, base }));
    if (settings.task === 'SEQ_CLS' && saved.size === 0) {
      throw new UserError('adapter.invalid', `adapter: classification head missing: ${adapterRoot}score.weight; was it saved whole?`);
    }
    const skipped = found.filter(({ kind }) => kind === 'vision').map(({ key }) => key);
    return { adapter: { modules, saved }, settings, skipped, ...readNotes(path) };
  } finally {
    await file.close();
  }
}

function readConfigFile(path: string): z.infer<typeof configSchema> {
  const file = join(path, adapterFiles.config);
  if (!existsSync(file)) {
    const inside = existsSync(path) && statSync(path).isDirectory() ? readdirSync(path) : [];
    const deeper = inside.find((name) => existsSync(join(path, name, adapterFiles.config)));
    const hint = deeper === undefined ? 'name a folder written by PEFT or by training' : `name ${join(path, deeper)}`;
    throw new UserError('adapter.not-found', `adapter: no ${adapterFiles.config}: ${path}; ${hint}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new UserError('adapter.invalid', `adapter: ${adapterFiles.config} is not JSON: ${path}; save it again`, { cause });
  }
  const parsed = configSchema.safeParse(value);
  if (!parsed.success) {
    const { path: key, message } = parsed.error.issues[0]!;
    throw new UserError(
      'adapter.invalid',
      `adapter: ${adapterFiles.config}: ${key.join('.') || 'content'}: ${message.replace(/\s+/g, ' ')}; save it again`,
    );
  }
  refuseUnsupported(parsed.data);
  return parsed.data;
}

function refuseUnsupported(config: z.infer<typeof configSchema>): void {
  const refuse = (what: string) =>
    new UserError('adapter.unsupported', `adapter: not supported: ${what}; merge it into its base with PEFT and use the merged model`);
  if (config.peft_type.toUpperCase() !== 'LORA') throw refuse(`peft_type ${config.peft_type}`);
  const { task_type: task, init_lora_weights: start } = config;
  if (task != null && task !== 'CAUSAL_LM' && task !== 'SEQ_CLS') throw refuse(`task_type ${task}`);
  if (typeof start === 'string' && !plainStarts.includes(start.toLowerCase())) throw refuse(`init_lora_weights ${start}`);
  const found = unsupported.find((key) => isSet(config[key]));
  if (found !== undefined) throw refuse(found);
}

const isSet = (value: unknown): boolean =>
  value != null && value !== false && !(typeof value === 'object' && Object.keys(value as object).length === 0);

function findWeights(path: string): string {
  const file = join(path, adapterFiles.weights);
  if (existsSync(file)) return file;
  const hint = existsSync(join(path, 'adapter_model.bin')) ? 'its pickled weights must be saved as safetensors' : 'is the folder complete?';
  throw new UserError('adapter.not-found', `adapter: no ${adapterFiles.weights}: ${path}; ${hint}`);
}

function settingsOf(
  config: z.infer<typeof configSchema>,
  { prefix, hasHead }: { readonly prefix: DecoderPrefix; readonly hasHead: boolean },
): AdapterSettings {
  const asList = <T>(value: T | readonly T[]): readonly T[] => (Array.isArray(value) ? value : [value as T]);
  const { target_modules: targets, layers_to_transform: layers, layers_pattern: layersPattern } = config;
  if (targets == null) throw new UserError('adapter.invalid', `adapter: ${adapterFiles.config}: target_modules: missing; save it again`);
  return {
    task: config.task_type === 'SEQ_CLS' || hasHead ? 'SEQ_CLS' : 'CAUSAL_LM',
    targets,
    prefix,
    rank: config.r,
    alpha: config.lora_alpha,
    dropout: config.lora_dropout,
    rsLora: config.use_rslora,
    dora: config.use_dora,
    ...(config.exclude_modules != null && { exclude: config.exclude_modules }),
    ...(config.rank_pattern && { rankPattern: config.rank_pattern }),
    ...(config.alpha_pattern && { alphaPattern: config.alpha_pattern }),
    ...(layers != null && { layers: asList(layers) }),
    ...(layersPattern != null && { layersPattern: asList(layersPattern) }),
    ...(config.base_model_name_or_path != null && { base: config.base_model_name_or_path }),
    ...(config.revision != null && { revision: config.revision }),
  };
}

type Part = 'lora_A' | 'lora_B' | 'lora_magnitude_vector';
type Place = {
  readonly key: string;
  readonly kind: 'module' | 'head' | 'vision';
  readonly prefix?: DecoderPrefix;
  readonly module?: { readonly name: string; readonly outer: string; readonly part: Part };
};

/** What a tensor of the file is. */
function placeOf(key: string): Place {
  const name = key.startsWith(adapterRoot) ? key.slice(adapterRoot.length) : '';
  if (/(^|\.)(vision_tower|vision_model|multi_modal_projector)\./.test(name)) return { key, kind: 'vision' };
  if (name === 'score.weight') return { key, kind: 'head' };
  const [, before, rest, part] = /^(.+)(\.layers\.\d+\..+)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.weight)?$/.exec(name) ?? [];
  const prefix = decoderPrefixes.find((known) => known === before);
  if (prefix === undefined) {
    throw new UserError(
      'adapter.unsupported',
      `adapter: tensor not supported: ${key}; supported: LoRA on linear layers of the decoder, and a classification head called score`,
    );
  }
  return { key, kind: 'module', prefix, module: { name: `model${rest}`, outer: `${prefix}${rest}`, part: part as Part } };
}

type Base = { readonly path: string; readonly config: ModelConfig };

async function readModules(
  file: Safetensors,
  { found, settings, base }: { readonly found: readonly Place[]; readonly settings: AdapterSettings; readonly base: Base },
): Promise<ReadonlyMap<string, AdapterModule>> {
  const keys = new Map<string, Map<Part, string>>();
  const isTarget = targetTest(settings);
  for (const { key, module } of found) {
    if (!module) continue;
    if (!isTarget(module.outer)) {
      throw new UserError('adapter.invalid', `adapter: tensor of a module that target_modules does not name: ${key}; save it again`);
    }
    const parts = keys.get(module.name) ?? new Map<Part, string>();
    keys.set(module.name, parts.set(module.part, key));
  }
  const expected = new Map(targetModules(base.config, settings).map((module) => [module.name, module]));
  const stranger = [...keys.keys()].find((name) => !expected.has(name));
  if (stranger !== undefined) throw forAnotherBase(base, `the adapter has ${stranger}, the model has not`);
  const absent = [...expected.keys()].find((name) => !keys.has(name));
  if (absent !== undefined) throw forAnotherBase(base, `the adapter has nothing for ${absent}`);

  const modules = new Map<string, AdapterModule>();
  for (const [name, { shape, out, inner }] of expected) {
    const parts = keys.get(name)!;
    const read = (part: Part, want: readonly number[]) => readPart(file, { key: parts.get(part), part, name, want, base });
    const rank = parts.has('lora_A') ? file.tensors.get(parts.get('lora_A')!)!.shape[0] : shape.rank;
    if (rank !== shape.rank) {
      throw new UserError(
        'adapter.invalid',
        `adapter: rank is not that of ${adapterFiles.config}: ${rank} of ${name}, not ${shape.rank}; save it again`,
      );
    }
    modules.set(name, {
      shape,
      a: await read('lora_A', [rank, inner]),
      b: await read('lora_B', [out, rank]),
      ...(shape.dora && { magnitude: await read('lora_magnitude_vector', [out]) }),
    });
  }
  return modules;
}

async function readPart(
  file: Safetensors,
  { key, part, name, want, base }: { key: string | undefined; part: Part; name: string; want: readonly number[]; base: Base },
): Promise<Float32Array> {
  if (key === undefined) throw new UserError('adapter.invalid', `adapter: tensor missing: ${part} of ${name}; was it saved whole?`);
  const { shape } = file.tensors.get(key)!;
  if (shape.length !== want.length || shape.some((side, i) => side !== want[i])) {
    throw forAnotherBase(base, `${part} of ${name} is [${shape.join(', ')}] where [${want.join(', ')}] belongs`);
  }
  return toFloat32(await readStored(file, key));
}

async function readHead(file: Safetensors, { key, base }: { readonly key: string; readonly base: Base }): Promise<SavedTensor> {
  const { shape } = file.tensors.get(key)!;
  const { hiddenSize } = base.config;
  if (shape.length !== 2 || shape[1] !== hiddenSize) {
    throw forAnotherBase(base, `score.weight is [${shape.join(', ')}] where [labels, ${hiddenSize}] belongs`);
  }
  return { shape, data: toFloat32(await readStored(file, key)) };
}

const forAnotherBase = ({ path }: Base, fault: string) =>
  new UserError('adapter.base', `adapter: does not fit the model ${path}: ${fault}; use it with the model it was trained on`);

function readNotes(path: string): AdapterNotes {
  const file = join(path, adapterFiles.notes);
  if (!existsSync(file)) return {};
  try {
    const { labels, trainedOn } = notesSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    return { ...(labels && { labels }), ...(trainedOn !== undefined && { trainedOn }) };
  } catch (cause) {
    throw new UserError('adapter.invalid', `adapter: ${adapterFiles.notes} cannot be read: ${path}; save the adapter again`, { cause });
  }
}
