import type { ModelConfig } from './config.ts';
import type { Precision } from './read-config.ts';
import type { StoredTensor } from './stored-tensor.ts';

/**
 * An opened model: a Hugging Face folder or a GGUF file. Tensors go by the text model's names in transformers
 * (`model.embed_tokens.weight`, `model.layers.0.self_attn.q_proj.weight`, `lm_head.weight`, `score.weight`), whatever the file calls them.
 */
export type ModelFolder = {
  /** As the user named it. */
  readonly path: string;
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Reads one tensor; never more than it from disk. */
  readonly read: (name: string) => Promise<StoredTensor>;
  readonly close: () => Promise<void>;
};

export type TensorEntry = {
  readonly shape: readonly number[];
  /** The file's own word for it: `BF16`, `F32`, `U8` (NF4), `Q4_1`. */
  readonly type: string;
};

/** The precision that a tensor is kept in where it is written again: its type's own, float32 for what is none of the three. */
export const precisionOfType = (type: string | undefined): Precision => (type === 'BF16' ? 'bf16' : type === 'F16' ? 'f16' : 'f32');
