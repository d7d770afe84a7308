// What a model needs in memory, told from names, shapes and types alone. Weights stay as they are stored, but for bfloat16 layers, which
// the runtime takes only as float32; around them come what a position leaves behind (keys and values) and what a pass has in hand.
//
//   inference   weights + keys and values of every position (float32) + the largest matrix spelt out + one layer's activations
//   training    weights + 16 bytes per trained number (value, gradient, two moments) + the input of every layer (the rest is computed
//               again) + one layer's activations, forward and backward + the attention scores of one layer + 64 MB of logits
//
// Worked case: SmolLM2-135M in Q8_0, 128 million stored numbers at 1.125 bytes are 151 MB; 2,048 positions of 30 layers, 3 heads of 64
// for keys and as many for values, at 4 bytes are 94 MB. Estimates, good to a third; allocators and the runtime add their own.

import type { ModelConfig } from '../../models/config.ts';
import type { TensorEntry } from '../../models/model-folder.ts';

export type Model = { readonly config: ModelConfig; readonly tensors: ReadonlyMap<string, TensorEntry> };

/** Bytes of a number by the file's word for its type, scales included: in the file, and in memory. `U8` is what bitsandbytes packs NF4 in. */
const types: Readonly<Record<string, { readonly stored: number; readonly held: number }>> = {
  F32: { stored: 4, held: 4 },
  F16: { stored: 2, held: 2 },
  BF16: { stored: 2, held: 2 },
  U8: { stored: 0.5 + 4 / 64, held: 0.5 + 4 / 64 },
  Q4_0: { stored: 18 / 32, held: 0.75 },
  Q4_1: { stored: 20 / 32, held: 0.75 },
  Q4_K: { stored: 144 / 256, held: 0.75 },
  Q5_K: { stored: 176 / 256, held: 1.25 },
  Q6_K: { stored: 210 / 256, held: 1.25 },
  Q8_0: { stored: 34 / 32, held: 1.125 },
};
const nf4 = types['U8']!.held;

/** Bytes of a tensor in its file. */
export const storedBytes = ({ type, shape }: TensorEntry): number => Math.ceil(countOf(shape) * (types[type]?.stored ?? 4));

const heldBytes = (type: string): number => types[type]?.held ?? 4;

const countOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);

/** A linear layer of the decoder. */
export const isLinear = (name: string): boolean => /_proj\.weight$/.test(name);

/** Weights at rest. `nf4`: the linear layers quantised on the way in. */
function weightBytes({ tensors }: Model, isNf4: boolean): number {
  let bytes = 0;
  for (const [name, { shape, type }] of tensors) {
    const linear = isLinear(name);
    const spelt = linear ? type === 'BF16' : shape.length === 1;
    const each = linear && isNf4 ? nf4 : spelt ? 4 : heldBytes(type);
    bytes += countOf(shape) * each;
  }
  return bytes;
}

/** The largest matrix of a layer spelt out; none where the layers are float32 already. */
function spelledOut({ tensors }: Model, isNf4: boolean): number {
  let largest = 0;
  for (const [name, { shape, type }] of tensors) {
    if (isLinear(name) && (isNf4 || (type !== 'F32' && type !== 'BF16'))) largest = Math.max(largest, countOf(shape));
  }
  return 4 * largest;
}

/** One layer's values for a position: residual stream, norms, projections, the feed-forward halves. */
const valuesPerPosition = ({ hiddenSize, intermediateSize, heads, keyValueHeads, headDim }: ModelConfig): number =>
  6 * hiddenSize + 3 * intermediateSize + 2 * (heads + 2 * keyValueHeads) * headDim;

/** Bytes for generating with `rows` texts of `tokens` positions. */
export function inferenceBytes(model: Model, { rows = 1, tokens }: { readonly rows?: number; readonly tokens: number }): number {
  const { config } = model;
  const cache = 4 * 2 * config.layers.length * config.keyValueHeads * config.headDim * rows * tokens;
  const pass = 4 * rows * tokens * valuesPerPosition(config) + 4 * rows * config.heads * tokens * tokens;
  return weightBytes(model, false) + cache + spelledOut(model, false) + pass;
}

export type LoraSetting = { readonly rank: number; readonly rows: number; readonly tokens: number; readonly isNf4?: boolean };

/** Numbers that LoRA of this rank trains on every linear layer. */
export function loraParameters({ tensors }: Model, rank: number): number {
  let count = 0;
  for (const [name, { shape }] of tensors) if (isLinear(name)) count += rank * ((shape[0] ?? 0) + (shape[1] ?? 0));
  return count;
}

/** Bytes for training LoRA on every linear layer, activations computed again in the backward pass. */
export function loraBytes(model: Model, { rank, rows, tokens, isNf4 = false }: LoraSetting): number {
  const { config } = model;
  const positions = rows * tokens;
  const inputs = 4 * config.layers.length * positions * config.hiddenSize;
  const layer = 2 * 4 * positions * valuesPerPosition(config) + 3 * 4 * rows * config.heads * tokens * tokens;
  const logits = 64e6 + 4 * countOf(model.tensors.get('model.embed_tokens.weight')?.shape ?? [0]);
  return weightBytes(model, isNf4) + 16 * loraParameters(model, rank) + inputs + layer + 2 * spelledOut(model, isNf4) + logits;
}
