// A model's weights as they stay in memory while it runs: every linear layer in its stored form, everything else as float32.

import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import type { ModelConfig } from './config.ts';
import { type LinearName, linearNames, normSizes } from './decoder-layer.ts';
import { dense, toFloat32 } from './expand.ts';
import type { ModelFolder } from './model-folder.ts';
import type { StoredTensor } from './stored-tensor.ts';
import { formOf, type WeightForm, weightTensors } from './weight.ts';

export type Resident = {
  readonly config: ModelConfig;
  /** Rows of the vocabulary, [vocabulary, hidden]. */
  readonly embedding: StoredTensor;
  readonly layers: readonly ResidentLayer[];
  /** Final norm, [hidden]. */
  readonly norm: Tensor<'float32'>;
  /** [vocabulary, hidden]; the embedding itself where they are tied. */
  readonly head: StoredTensor;
  /** Classification head of the base, [labels, hidden]. */
  readonly score?: { readonly shape: readonly number[]; readonly data: Float32Array };
};

export type ResidentLayer = {
  readonly forms: Readonly<Record<LinearName, WeightForm>>;
  readonly linears: Readonly<Record<LinearName, StoredTensor>>;
  /** Every input of the layer's graph that is a weight. */
  readonly tensors: Readonly<Record<string, Tensor>>;
};

/** How matrices are to be kept: as they are stored, or brought to another form on the way in. */
export type Storage = {
  /** The decoder's linear layers. */
  readonly linear?: (stored: StoredTensor) => StoredTensor;
  /** What gives the scores of the vocabulary; the embedding too, where they are tied. */
  readonly head?: (stored: StoredTensor) => StoredTensor;
};

/**
 * Reads a model into memory, tensor by tensor.
 *
 * @throws UserError for tensors that are missing or of another shape than the config says
 */
export async function loadResident(
  folder: ModelFolder,
  { storage = {}, progress = silent }: { readonly storage?: Storage; readonly progress?: Progress } = {},
): Promise<Resident> {
  const { config } = folder;
  const read = async (name: string): Promise<StoredTensor> => {
    if (!folder.tensors.has(name)) throw new UserError('model.tensor-missing', `model: tensor not found: ${name} in ${folder.path}`);
    return folder.read(name);
  };
  const norm = async (name: string): Promise<Tensor<'float32'>> => {
    const stored = await read(`${name}.weight`);
    // Gemma multiplies by 1 + weight.
    const data = config.family === 'gemma3' ? toFloat32(stored).map((value) => 1 + value) : toFloat32(stored);
    return tensor('float32', [data.length], data);
  };

  const step = progress.step('weights', { total: config.layers.length, unit: 'layers' });
  const layers: ResidentLayer[] = [];
  for (let i = 0; i < config.layers.length; i++) {
    const linears = {} as Record<LinearName, StoredTensor>;
    const tensors: Record<string, Tensor> = {};
    for (const name of linearNames) {
      const stored = await read(`model.layers.${i}.${name}.weight`);
      linears[name] = runnable(storage.linear?.(stored) ?? stored);
      Object.assign(tensors, weightTensors(name, linears[name]));
    }
    for (const name of Object.keys(normSizes(config))) tensors[name] = await norm(`model.layers.${i}.${name}`);
    const forms = Object.fromEntries(linearNames.map((name) => [name, formOf(linears[name])])) as Record<LinearName, WeightForm>;
    layers.push({ forms, linears, tensors });
    step.advance(1);
  }
  step.finish();
  const isTied = config.tiedEmbeddings || !folder.tensors.has('lm_head.weight');
  const stored = await read('model.embed_tokens.weight');
  const embedding = isTied ? (storage.head?.(stored) ?? stored) : stored;
  const head = isTied ? undefined : await read('lm_head.weight');
  const score = folder.tensors.has('score.weight') ? await read('score.weight') : undefined;
  return {
    config,
    embedding,
    layers,
    norm: await norm('model.norm'),
    head: isTied ? embedding : runnable(storage.head?.(head!) ?? head!),
    ...(score && { score: { shape: score.shape, data: toFloat32(score) } }),
  };
}

/** bfloat16 is not a type the runtime takes from outside. */
export const runnable = (stored: StoredTensor): StoredTensor => (stored.format === 'bf16' ? dense(stored) : stored);
