// From a Hugging Face config.json to what the engine needs. Two dialects are read: version 4 of transformers wrote `rope_theta`,
// `rope_scaling`, `rope_local_base_freq` and `sliding_window_pattern`, version 5 writes `rope_parameters` and `layer_types`. Files leave out
// what equals their class's default, so the defaults are here too. What the engine does not compute is refused, never passed over.
// Source: transformers 5.23, configuration_llama.py, configuration_gemma3.py, modeling_rope_utils.py.

import * as z from 'zod';

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import type { ModelConfig, Rope, RopeScaling } from './config.ts';
import { roundTo } from './half.ts';

export type Precision = 'f32' | 'f16' | 'bf16';

const size = z
  .int()
  .positive()
  .max(2 ** 31);
/** Things that are listed one by one: a damaged file must not fill the memory. */
const count = z.int().positive().max(100_000);
const positive = z.number().positive();
/** Old files say -1 where there is no such token. */
const id = z
  .int()
  .transform((value) => (value < 0 ? null : value))
  .nullish();
const ids = z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish();
const off = (what: string) => z.union([z.literal(false), z.null()], { error: `${what} is not supported` }).optional();

const ropeSchema = z
  .looseObject({
    rope_type: z.string(),
    type: z.string(),
    rope_theta: positive,
    factor: positive,
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: size,
    partial_rotary_factor: z.literal(1, { error: 'a partly rotated head is not supported' }),
  })
  .partial();

const common = {
  architectures: z.array(z.string()).nullish(),
  attention_bias: off('a bias in attention'),
  bos_token_id: id,
  eos_token_id: ids,
  pad_token_id: id,
  id2label: z.record(z.string(), z.string()).nullish(),
  num_labels: count.nullish(),
  partial_rotary_factor: z.literal(1, { error: 'a partly rotated head is not supported' }).nullish(),
  rope_theta: positive.nullish(),
  rope_scaling: ropeSchema.nullish(),
};

const llamaSchema = z.looseObject({
  ...common,
  vocab_size: size.default(32000),
  hidden_size: size.default(4096),
  intermediate_size: size.default(11008),
  num_hidden_layers: count.default(32),
  num_attention_heads: size.default(32),
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: z.literal(['silu', 'gelu_pytorch_tanh']).default('silu'),
  max_position_embeddings: size.default(2048),
  rms_norm_eps: positive.default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  mlp_bias: off('a bias in the feed-forward layers'),
  rope_parameters: ropeSchema.nullish(),
});

const gemmaSchema = z.looseObject({
  ...common,
  vocab_size: size.default(262_208),
  hidden_size: size.default(2304),
  intermediate_size: size.default(9216),
  num_hidden_layers: count.default(26),
  num_attention_heads: size.default(8),
  num_key_value_heads: size.default(4),
  head_dim: size.default(256),
  hidden_activation: z.literal(['silu', 'gelu_pytorch_tanh']).default('gelu_pytorch_tanh'),
  max_position_embeddings: size.default(131_072),
  rms_norm_eps: positive.default(1e-6),
  query_pre_attn_scalar: positive.default(256),
  sliding_window: size.nullish().default(4096),
  sliding_window_pattern: size.nullish(),
  layer_types: z.array(z.literal(['sliding_attention', 'full_attention'])).nullish(),
  tie_word_embeddings: z.boolean().default(true),
  attn_logit_softcapping: z.null({ error: 'capping of attention scores is not supported' }).optional(),
  final_logit_softcapping: z.null({ error: 'capping of logits is not supported' }).optional(),
  use_bidirectional_attention: off('attention in both directions'),
  rope_local_base_freq: positive.nullish(),
  rope_parameters: z.looseObject({ full_attention: ropeSchema.nullish(), sliding_attention: ropeSchema.nullish() }).nullish(),
});

/** The model classes of transformers that we read, by the name in `architectures`. */
const families: Readonly<Record<string, 'llama' | 'gemma3'>> = {
  LlamaForCausalLM: 'llama',
  LlamaForSequenceClassification: 'llama',
  Gemma3ForCausalLM: 'gemma3',
  Gemma3TextForSequenceClassification: 'gemma3',
  Gemma3ForConditionalGeneration: 'gemma3',
  Gemma3ForSequenceClassification: 'gemma3',
};

/**
 * Reads the text model's config out of a parsed config.json.
 *
 * @param options.precision the stored weights' own, to which Gemma's embedding factor is rounded
 * @param options.generation the folder's generation_config.json, whose stop tokens go before the config's
 * @throws UserError `config.architecture`, `config.invalid`
 */
export function readConfig(
  file: Readonly<Record<string, unknown>>,
  { precision = 'f32', generation = {} }: { readonly precision?: Precision; readonly generation?: Readonly<Record<string, unknown>> } = {},
): ModelConfig {
  const { family, classifies } = recognise(file);
  const source = textConfig(file);
  const config = family === 'llama' ? readLlama(source) : readGemma(source, precision);
  const { bosTokenId, padTokenId, eosTokenIds, ...rest } = config;
  const stops = parse(z.looseObject({ eos_token_id: ids }), generation).eos_token_id;
  const labels = classifies ? labelsOf(parse(z.looseObject(common), source)) : undefined;
  return {
    ...rest,
    ...(bosTokenId !== undefined && { bosTokenId }),
    ...(padTokenId !== undefined && { padTokenId }),
    eosTokenIds: stops == null ? eosTokenIds : listOf(stops),
    ...(labels && { labels }),
    ...(source !== file && { multimodal: true as const }),
    source,
  };
}

function recognise(file: Readonly<Record<string, unknown>>): { family: 'llama' | 'gemma3'; classifies: boolean } {
  const named = Array.isArray(file['architectures']) ? String(file['architectures'][0]) : undefined;
  if (named !== undefined && families[named]) {
    return { family: families[named], classifies: named.endsWith('ForSequenceClassification') };
  }
  const type = file['model_type'];
  if (named === undefined && type === 'llama') return { family: 'llama', classifies: false };
  if (named === undefined && (type === 'gemma3' || type === 'gemma3_text')) return { family: 'gemma3', classifies: false };
  throw new UserError(
    'config.architecture',
    `config: model not supported: ${printable(String(named ?? type ?? 'neither architectures nor model_type is given'))}; supported: ${Object.keys(families).join(', ')}`,
  );
}

/** A multimodal config holds the text model's under `text_config`; what belongs to the whole (labels, tokens, dtype) stays outside it. */
function textConfig(file: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const inner = file['text_config'];
  if (typeof inner !== 'object' || inner === null) return file;
  const shared = [
    'bos_token_id',
    'eos_token_id',
    'pad_token_id',
    'id2label',
    'label2id',
    'num_labels',
    'dtype',
    'torch_dtype',
    'tie_word_embeddings',
  ];
  return {
    ...inner,
    ...Object.fromEntries(shared.filter((key) => file[key] != null).map((key) => [key, file[key]])),
    ...(file['quantization_config'] !== undefined && { quantization_config: file['quantization_config'] }),
  };
}

function readLlama(source: Readonly<Record<string, unknown>>) {
  const c = parse(llamaSchema, source);
  const headDim = c.head_dim ?? c.hidden_size / c.num_attention_heads;
  const keyValueHeads = c.num_key_value_heads ?? c.num_attention_heads;
  checkHeads({ heads: c.num_attention_heads, keyValueHeads, headDim });
  const given = c.rope_scaling ?? c.rope_parameters ?? {};
  const layers = Array.from({ length: c.num_hidden_layers }, () => 'global' as const);
  return {
    family: 'llama' as const,
    ...tokensOf(c, { bos: 1, eos: 2, pad: undefined }),
    vocabSize: c.vocab_size,
    hiddenSize: c.hidden_size,
    intermediateSize: c.intermediate_size,
    heads: c.num_attention_heads,
    keyValueHeads,
    headDim,
    normEpsilon: c.rms_norm_eps,
    activation: activationOf(c.hidden_act),
    attentionScale: headDim ** -0.5,
    embeddingScale: 1,
    layers,
    rope: ropeOf(given, { base: c.rope_theta ?? 10_000, context: c.max_position_embeddings }),
    tiedEmbeddings: c.tie_word_embeddings,
    contextLength: c.max_position_embeddings,
  };
}

function readGemma(source: Readonly<Record<string, unknown>>, precision: Precision) {
  const c = parse(gemmaSchema, source);
  checkHeads({ heads: c.num_attention_heads, keyValueHeads: c.num_key_value_heads, headDim: c.head_dim });
  if (c.rope_parameters && !c.rope_parameters.full_attention && !c.rope_parameters.sliding_attention) {
    throw invalid('rope_parameters', 'neither full_attention nor sliding_attention is given');
  }
  const pattern = c.sliding_window_pattern ?? 6;
  const kinds =
    c.layer_types ?? Array.from({ length: c.num_hidden_layers }, (_, i) => ((i + 1) % pattern ? 'sliding_attention' : 'full_attention'));
  if (kinds.length !== c.num_hidden_layers) {
    throw invalid('layer_types', `${kinds.length} entries for ${c.num_hidden_layers} layers`);
  }
  const layers = kinds.map((kind) => (kind === 'sliding_attention' ? ('local' as const) : ('global' as const)));
  if (layers.includes('local') && c.sliding_window == null) throw invalid('sliding_window', 'missing, and layers need it');
  const context = c.max_position_embeddings;
  return {
    family: 'gemma3' as const,
    ...tokensOf(c, { bos: 2, eos: 1, pad: 0 }),
    vocabSize: c.vocab_size,
    hiddenSize: c.hidden_size,
    intermediateSize: c.intermediate_size,
    heads: c.num_attention_heads,
    keyValueHeads: c.num_key_value_heads,
    headDim: c.head_dim,
    normEpsilon: c.rms_norm_eps,
    activation: activationOf(c.hidden_activation),
    attentionScale: c.query_pre_attn_scalar ** -0.5,
    embeddingScale: roundTo(precision, c.hidden_size ** 0.5),
    layers,
    ...(c.sliding_window != null && { window: c.sliding_window }),
    rope: ropeOf({ ...c.rope_parameters?.full_attention, ...c.rope_scaling }, { base: c.rope_theta ?? 1_000_000, context }),
    ropeLocal: ropeOf(c.rope_parameters?.sliding_attention ?? {}, { base: c.rope_local_base_freq ?? 10_000, context }),
    tiedEmbeddings: c.tie_word_embeddings,
    contextLength: context,
  };
}

/** A key given as null means none, a key left out the class's own default. */
function tokensOf(
  c: z.infer<z.ZodObject<typeof common>>,
  defaults: { readonly bos: number; readonly eos: number; readonly pad: number | undefined },
) {
  const or = (given: number | null | undefined, fallback: number | undefined) => (given === undefined ? fallback : (given ?? undefined));
  const eos = c.eos_token_id === undefined ? defaults.eos : (c.eos_token_id ?? []);
  return { bosTokenId: or(c.bos_token_id, defaults.bos), padTokenId: or(c.pad_token_id, defaults.pad), eosTokenIds: listOf(eos) };
}

const listOf = (value: number | readonly number[]): readonly number[] => (typeof value === 'number' ? [value] : value);

const activationOf = (name: 'silu' | 'gelu_pytorch_tanh') => (name === 'silu' ? ('silu' as const) : ('gelu_tanh' as const));

function ropeOf(given: z.infer<typeof ropeSchema>, { base, context }: { readonly base: number; readonly context: number }): Rope {
  return { base: given.rope_theta ?? base, scaling: scalingOf(given, context) };
}

function scalingOf(given: z.infer<typeof ropeSchema>, context: number): RopeScaling {
  const kind = given.rope_type ?? given.type ?? 'default';
  const need = (key: 'factor' | 'low_freq_factor' | 'high_freq_factor'): number => {
    const value = given[key];
    if (value === undefined) throw invalid(`${key} of rope scaling ${kind}`, 'missing');
    return value;
  };
  switch (kind) {
    case 'default':
      return { kind: 'none' };
    case 'linear':
      return { kind: 'linear', factor: need('factor') };
    case 'llama3':
      return {
        kind: 'llama3',
        factor: need('factor'),
        lowFrequencyFactor: need('low_freq_factor'),
        highFrequencyFactor: need('high_freq_factor'),
        originalContext: given.original_max_position_embeddings ?? context,
      };
    default:
      throw invalid('rope scaling', `not supported: ${kind}; supported: default, linear, llama3`);
  }
}

function checkHeads({ heads, keyValueHeads, headDim }: { heads: number; keyValueHeads: number; headDim: number }): void {
  if (heads % keyValueHeads !== 0) throw invalid('num_attention_heads', `${heads} is not a multiple of ${keyValueHeads} key-value heads`);
  if (headDim % 2 !== 0) throw invalid('head_dim', `${headDim} is not even`);
}

/** As many as the head has; transformers leaves out the default pair. */
function labelsOf({ id2label, num_labels: number }: z.infer<z.ZodObject<typeof common>>): readonly string[] {
  if (!id2label) return Array.from({ length: number ?? 2 }, (_, i) => `LABEL_${i}`);
  return Array.from({ length: Object.keys(id2label).length }, (_, i) => {
    const label = id2label[String(i)];
    if (label === undefined) throw invalid('id2label', `no label ${i}`);
    return label;
  });
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw invalid(issue.path.join('.') || 'config', issue.message);
}

const invalid = (key: string, fault: string) =>
  new UserError('config.invalid', `config: ${printable(`${key}: ${fault}`)}; check the model's config.json`);
