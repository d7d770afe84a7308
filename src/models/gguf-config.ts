// A model config from GGUF metadata. The keys are put into the words of config.json first and read as such, so that one place knows what
// they mean and a GGUF model can be written as a Hugging Face folder.
// Two things llama.cpp keeps elsewhere: Llama 3.1's stretched frequencies are a tensor of divisors (`rope_freqs.weight`), and Gemma 3's
// pattern of layers (every sixth global) and the attention scale of its 27B model (62 layers) are known to the program, not the file.
// Source: llama.cpp, convert_hf_to_gguf.py (LlamaModel, Gemma3Model) and its loading of both architectures.

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import type { ModelConfig, RopeScaling } from './config.ts';
import type { GgufMetadata } from './gguf.ts';
import { readConfig } from './read-config.ts';

export type GgufModel = {
  readonly metadata: GgufMetadata;
  /** Whether the file holds a head of its own. */
  readonly hasHead: boolean;
  /** Rows of the embedding matrix. */
  readonly vocabSize: number;
  /** Divisors of the rotary frequencies, one for each, where the file holds them. */
  readonly frequencyDivisors?: Float32Array;
};

/**
 * Reads what decides a model's shape from GGUF metadata.
 *
 * @throws UserError `config.architecture`, `config.invalid`
 */
export function ggufConfig({ metadata, hasHead, vocabSize, frequencyDivisors }: GgufModel): ModelConfig {
  const family = metadata['general.architecture'];
  if (family !== 'llama' && family !== 'gemma3') {
    throw new UserError(
      'config.architecture',
      `gguf: architecture not supported: ${printable(String(family ?? 'none given'))}; supported: llama, gemma3`,
    );
  }
  const at = (key: string) => metadata[`${family}.${key}`];
  if (Number(at('expert_count') ?? 0) > 0) {
    throw new UserError('config.architecture', 'gguf: architecture not supported: a mixture of experts; supported: llama, gemma3');
  }
  const hiddenSize = need(at('embedding_length'), 'embedding_length');
  const heads = need(at('attention.head_count'), 'attention.head_count');
  const headDim = at('attention.key_length') ?? at('rope.dimension_count');
  const token = (name: string) => metadata[`tokenizer.ggml.${name}_token_id`] ?? null;
  const shared = {
    vocab_size: vocabSize,
    hidden_size: hiddenSize,
    intermediate_size: need(at('feed_forward_length'), 'feed_forward_length'),
    num_hidden_layers: need(at('block_count'), 'block_count'),
    num_attention_heads: heads,
    num_key_value_heads: at('attention.head_count_kv') ?? heads,
    rms_norm_eps: need(at('attention.layer_norm_rms_epsilon'), 'attention.layer_norm_rms_epsilon'),
    max_position_embeddings: need(at('context_length'), 'context_length'),
    tie_word_embeddings: !hasHead,
    bos_token_id: token('bos'),
    eos_token_id: stopTokens(metadata),
    pad_token_id: token('padding'),
    torch_dtype: 'float32',
    ...(headDim !== undefined && { head_dim: headDim }),
  };
  const scaling = scalingOf(at('rope.scaling.type'), at('rope.scaling.factor'));
  if (family === 'gemma3') {
    const wide = shared.num_hidden_layers === 62;
    return readConfig({
      ...{ architectures: ['Gemma3ForCausalLM'], model_type: 'gemma3_text', ...shared },
      ...{ query_pre_attn_scalar: wide ? hiddenSize / heads : headDim, hidden_activation: 'gelu_pytorch_tanh' },
      ...{ sliding_window: need(at('attention.sliding_window'), 'attention.sliding_window'), sliding_window_pattern: 6 },
      rope_theta: at('rope.freq_base') ?? 1_000_000,
      rope_local_base_freq: at('rope.freq_base_swa') ?? 10_000,
      ...(scaling && { rope_scaling: scaling }),
    });
  }
  const base = Number(at('rope.freq_base') ?? 10_000);
  const divided = frequencyDivisors && llama3Scaling(frequencyDivisors, base);
  return readConfig({
    ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', ...shared, hidden_act: 'silu', rope_theta: base },
    ...((divided ?? scaling) && { rope_scaling: divided ?? scaling }),
  });
}

const endings = ['<|eot_id|>', '<|end_of_text|>', '<|im_end|>', '<end_of_turn>'];

/** The file names one or two stop tokens; the ends of turns and texts that go by these names stop as well, as in llama.cpp. */
function stopTokens(metadata: GgufMetadata): readonly number[] {
  const named = ['eos', 'eot'].map((name) => metadata[`tokenizer.ggml.${name}_token_id`]);
  const tokens = metadata['tokenizer.ggml.tokens'];
  const found = Array.isArray(tokens) ? endings.map((ending) => tokens.indexOf(ending)) : [];
  return [...new Set([...named, ...found].filter((token) => typeof token === 'number' && token >= 0))] as number[];
}

function scalingOf(kind: unknown, factor: unknown): Record<string, unknown> | undefined {
  if (kind === undefined || kind === 'none') return undefined;
  return { rope_type: kind, factor };
}

/** The only parameters Meta published for these models; `factor` differs (8, or 32 in the small ones). */
const published = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };

/** Finds the Llama 3.1 scaling whose divisors these are: `factor` is the largest of them, the rest must follow. */
function llama3Scaling(divisors: Float32Array, base: number): Record<string, unknown> | undefined {
  const factor = divisors.reduce((a, b) => Math.max(a, b), 1);
  if (factor === 1) return undefined;
  const expected = llama3Divisors({ count: divisors.length, base, factor });
  const wrong = divisors.findIndex((divisor, i) => !(Math.abs(divisor - expected[i]!) <= 1e-3 * divisor));
  if (wrong >= 0) {
    throw new UserError(
      'config.invalid',
      `gguf: rope_freqs.weight: not the scaling of Llama 3.1: entry ${wrong} is ${divisors[wrong]}; use the Hugging Face folder of this model`,
    );
  }
  return { rope_type: 'llama3' satisfies RopeScaling['kind'], factor, ...published };
}

/** What each frequency is divided by: 1 for short waves, `factor` for long ones, between them a blend of the two frequencies. */
function llama3Divisors({ count, base, factor }: { readonly count: number; readonly base: number; readonly factor: number }): number[] {
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: context } = published;
  return Array.from({ length: count }, (_, i) => {
    const wavelength = 2 * Math.PI * base ** (i / count);
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    const smooth = (context / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

function need(value: unknown, key: string): number {
  if (typeof value === 'number') return value;
  throw new UserError('config.invalid', `gguf: ${key}: ${value === undefined ? 'missing' : 'not one number'}; download the file again`);
}
