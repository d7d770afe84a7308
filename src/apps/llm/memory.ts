// What a model needs in memory, from names, shapes and types alone. Training is told by the plan of training/memory-plan, at its most
// frugal: one row, activations computed again. Generating holds the weights as they are stored; small models once more, packed (parts of it
// several times while the runtime lays them out), larger ones their largest matrix spelt out; keys and values of every position in float32;
// and one layer's values for as much of the prompt as goes through at once.
//
// Worked case: SmolLM2-135M in Q4_1: 135 million numbers at 0.75 to 1.125 bytes are 112 MB; packed 193 MB, its layers as four-bit blocks and
// its head in float32, and four times the head of 113 MB on the way; 2,048 positions of 30 layers, 3 heads of 64 for keys and as many for
// values, at 4 bytes are 94 MB; with Node and the runtime 1.1 GB. Measured for a short text: 1.1 GB. Estimates: allocators add their own.

import type { ModelConfig } from '../../models/config.ts';
import { packedBytes } from '../../models/decoder.ts';
import { type LinearName, linearNames, linearSizes } from '../../models/decoder-layer.ts';
import { sizeOf } from '../../models/expand.ts';
import { countParameters } from '../../models/lora.ts';
import type { TensorEntry } from '../../models/model-folder.ts';
import { bytesPerWeight, formUnder, type StoragePolicy } from '../../models/storage.ts';
import type { WeightForm } from '../../models/weight.ts';
import type { Task } from '../../training/dataset.ts';
import { planMemory } from '../../training/memory-plan.ts';

/** What of a model can be known without its weights. */
export type ModelOutline = { readonly config: ModelConfig; readonly tensors: ReadonlyMap<string, TensorEntry> };

/** Bytes of a number in its file, scales included. `U8` is what bitsandbytes packs NF4 in. */
const stored: Readonly<Record<string, number>> = {
  ...{ F64: 8, F32: 4, F16: 2, BF16: 2, U8: 0.5 + 4 / 64, Q8_0: 34 / 32 },
  ...{ Q4_0: 18 / 32, Q4_1: 20 / 32, Q4_K: 144 / 256, Q5_K: 176 / 256, Q6_K: 210 / 256 },
};

/** Bytes of a tensor in its file. */
export const storedBytes = ({ type, shape }: TensorEntry): number => Math.ceil(sizeOf(shape) * (stored[type] ?? 4));

/**
 * Embedding and head in memory. An embedding of its own stays as the file has it, a head of its own becomes float32 where the runtime does not
 * take its type (bfloat16); where they are one, it is kept once and spelt out once more to give scores of words (`task` causal).
 */
export function vocabularyBytes(
  { config, tensors }: ModelOutline,
  { storage, task }: { readonly storage: StoragePolicy; readonly task: Task },
): number {
  const bytes = (entry: TensorEntry, policy: StoragePolicy): number => {
    const each = policy !== 'f32' && entry.type === 'BF16' ? 2 : bytesPerWeight(formUnder(policy === 'f32' ? 'f32' : 'stored', entry.type));
    return sizeOf(entry.shape) * each;
  };
  const embedding = tensors.get('model.embed_tokens.weight');
  if (embedding === undefined) return 0;
  const head = config.tiedEmbeddings ? undefined : tensors.get('lm_head.weight');
  if (head === undefined) {
    const isSpeltOut = task === 'causal' && storage !== 'f32' && embedding.type === 'BF16';
    return bytes(embedding, storage) + (isSpeltOut ? 4 * sizeOf(embedding.shape) : 0);
  }
  return bytes(embedding, 'stored') + bytes(head, head.type === 'BF16' ? 'f32' : storage);
}

/** Node and the runtime. */
const programBytes = 200e6;

type Forms = Readonly<Record<LinearName, WeightForm>>;

function layerForms({ config, tensors }: ModelOutline, policy: StoragePolicy): readonly Forms[] {
  const formOf = (i: number, name: LinearName) => formUnder(policy, tensors.get(`model.layers.${i}.${name}.weight`)?.type ?? 'F32');
  return config.layers.map((_, i) => Object.fromEntries(linearNames.map((name) => [name, formOf(i, name)])) as Forms);
}

/** Tokens of a prompt that go through the model at once. */
const promptTokens = 512;

/** Bytes for generating `rows` texts of `tokens` positions in all. */
export function inferenceBytes(model: ModelOutline, { rows = 1, tokens }: { readonly rows?: number; readonly tokens: number }): number {
  const { config } = model;
  const { hiddenSize, intermediateSize, heads, keyValueHeads, headDim } = config;
  const sizes = linearSizes(config);
  const layers = layerForms(model, 'stored');
  const packed = packedBytes(config, layers);
  let weights = 0;
  let spelt = 0;
  for (const forms of layers) {
    for (const name of linearNames) {
      const count = sizeOf(sizes[name]);
      weights += count * bytesPerWeight(forms[name]);
      if (packed === 0 && forms[name].kind !== 'f32') spelt = Math.max(spelt, 4 * count);
    }
  }
  const cache = 4 * 2 * config.layers.length * keyValueHeads * headDim * rows * tokens;
  const fresh = Math.min(tokens, promptTokens);
  const layer = 4 * rows * fresh * (4 * hiddenSize + 3 * intermediateSize + 2 * heads * headDim) + 4 * 2 * rows * heads * fresh * tokens;
  return programBytes + weights + vocabularyBytes(model, { storage: 'stored', task: 'causal' }) + packed + cache + layer + spelt;
}

export type LoraSetting = {
  readonly rank: number;
  readonly rows: number;
  readonly tokens: number;
  /** `nf4`: QLoRA on weights that are not packed yet. */
  readonly policy: StoragePolicy;
};

/** Numbers that LoRA of this rank trains on every linear layer; a classifier's head with them. */
export function loraParameters(config: ModelConfig, rank: number): number {
  const lora = { targets: 'all-linear', rank, alpha: rank, dropout: 0, rsLora: false, dora: false, prefix: 'model' } as const;
  return countParameters(config, { settings: { ...lora, task: config.labels ? 'SEQ_CLS' : 'CAUSAL_LM' } }).trainable;
}

/** Bytes for training LoRA on every linear layer, activations computed again in the backward pass. */
export function loraBytes(model: ModelOutline, { rank, rows, tokens, policy }: LoraSetting): number {
  const { config } = model;
  const task = config.labels ? 'class' : 'causal';
  const shape = { rank, scale: 1, dropout: 0, dora: false };
  const adapters = Object.fromEntries(linearNames.map((name) => [name, shape]));
  return planMemory({
    config,
    layers: layerForms(model, policy).map((forms) => ({ rows, tokens, forms, adapters })),
    vocabularyBytes: vocabularyBytes(model, { storage: policy, task }),
    trainedCount: loraParameters(config, rank),
    task,
    precision: 'exact',
    recompute: 'all',
    budget: Number.POSITIVE_INFINITY,
  }).total;
}
