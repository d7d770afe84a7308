import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { readConfig } from '../../src/models/read-config.ts';

type RopeParameters = { rope_type: string; rope_theta: number; factor?: number; [key: string]: unknown };
type Oracle = { given: Record<string, unknown>; read: Record<string, unknown> & { rope_parameters: Record<string, unknown> } };

// Configs of both dialects, and what transformers reads out of them, defaults filled in (recipe.py).
const oracles: Readonly<Record<string, Oracle>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../oracle/llm/formats/configs.json'), 'utf8'),
);
const llama = oracles['smollm2']!.given;
const gemma = oracles['gemma3-1b-version4']!.given;

describe('read config', () => {
  test.each(Object.entries(oracles))('%s means what transformers takes it to mean', (_, { given, read }) => {
    const config = readConfig(given);
    expect({
      vocab_size: config.vocabSize,
      hidden_size: config.hiddenSize,
      intermediate_size: config.intermediateSize,
      num_hidden_layers: config.layers.length,
      num_attention_heads: config.heads,
      num_key_value_heads: config.keyValueHeads,
      head_dim: config.headDim,
      rms_norm_eps: config.normEpsilon,
      tie_word_embeddings: config.tiedEmbeddings,
      max_position_embeddings: config.contextLength,
      bos_token_id: config.bosTokenId ?? null,
      pad_token_id: config.padTokenId ?? null,
      eos_token_id: config.eosTokenIds,
      sliding_window: config.window ?? null,
      layer_types: config.layers.map((kind) => (kind === 'local' ? 'sliding_attention' : 'full_attention')),
      scale: config.attentionScale,
    }).toEqual({
      ...Object.fromEntries(plainKeys.map((key) => [key, read[key]])),
      eos_token_id: [read['eos_token_id']].flat(),
      layer_types: read['layer_types'] ?? config.layers.map(() => 'full_attention'),
      scale: Number(read['query_pre_attn_scalar'] ?? read['head_dim']) ** -0.5,
    });
    const { full_attention: full = read.rope_parameters, sliding_attention: local } = read.rope_parameters;
    expect(config.rope).toEqual(ropeOf(full as RopeParameters));
    expect(config.ropeLocal).toEqual(local && ropeOf(local as RopeParameters));
  });

  test('labels come in the order of their numbers, and from nowhere but a model with a head for them', () => {
    const named = { ...llama, architectures: ['LlamaForSequenceClassification'], id2label: { 1: 'yes', 0: 'no' } };
    expect(readConfig(named).labels).toEqual(['no', 'yes']);
    expect(readConfig({ ...named, id2label: undefined }).labels).toEqual(['LABEL_0', 'LABEL_1']);
    expect(readConfig({ ...llama, id2label: { 0: 'no' } }).labels).toBeUndefined();
  });

  test("Gemma's embedding factor is rounded to the weights' precision", () => {
    const four = oracles['gemma3-4b-version4']!.given;
    expect(readConfig(four, { precision: 'bf16' }).embeddingScale).toBe(50.5);
    expect(readConfig(four).embeddingScale).toBe(Math.fround(Math.sqrt(2560)));
    expect(readConfig(llama, { precision: 'bf16' }).embeddingScale).toBe(1);
  });

  test('stop tokens of the generation settings go before those of the config', () => {
    expect(readConfig(gemma, { generation: { eos_token_id: [1, 106, 7] } }).eosTokenIds).toEqual([1, 106, 7]);
  });

  test.each([
    {
      fault: 'another family',
      config: { architectures: ['Qwen3ForCausalLM'] },
      says: 'config: model not supported: Qwen3ForCausalLM; supported: Llama',
    },
    { fault: 'no family', config: {}, says: 'neither architectures nor model_type is given' },
    {
      fault: 'a number that is a word',
      config: { ...llama, hidden_size: 'big' },
      says: 'config: hidden_size: Invalid input: expected number',
    },
    { fault: 'a bias', config: { ...llama, attention_bias: true }, says: 'config: attention_bias: a bias in attention is not supported' },
    {
      fault: 'an activation',
      config: { ...llama, hidden_act: 'relu' },
      says: 'config: hidden_act: Invalid option: expected one of "silu"',
    },
    {
      fault: 'a rope kind',
      config: { ...llama, rope_scaling: { rope_type: 'yarn', factor: 4 } },
      says: 'config: rope scaling: not supported: yarn; supported: default, linear, llama3',
    },
    {
      fault: 'scaling without its factor',
      config: { ...llama, rope_scaling: { rope_type: 'linear' } },
      says: 'config: factor of rope scaling linear: missing',
    },
    { fault: 'heads that do not divide', config: { ...llama, num_key_value_heads: 2 }, says: '9 is not a multiple of 2 key-value heads' },
    {
      fault: 'layers unnamed',
      config: { ...gemma, layer_types: ['full_attention'] },
      says: 'config: layer_types: 1 entries for 26 layers',
    },
    { fault: 'no window', config: { ...gemma, sliding_window: null }, says: 'config: sliding_window: missing, and layers need it' },
    {
      fault: 'both directions',
      config: { ...gemma, use_bidirectional_attention: true },
      says: 'attention in both directions is not supported',
    },
    { fault: 'soft-capping', config: { ...gemma, final_logit_softcapping: 30 }, says: 'capping of logits is not supported' },
    {
      fault: 'a label left out',
      config: { ...llama, architectures: ['LlamaForSequenceClassification'], id2label: { 0: 'a', 2: 'c' } },
      says: 'config: id2label: no label 1',
    },
  ])('$fault is refused', ({ config, says }) => {
    expect(() => readConfig(config)).toThrow(says);
  });
});

const plainKeys = [
  ...['vocab_size', 'hidden_size', 'intermediate_size', 'num_hidden_layers', 'num_attention_heads', 'num_key_value_heads', 'head_dim'],
  ...['rms_norm_eps', 'tie_word_embeddings', 'max_position_embeddings', 'bos_token_id', 'pad_token_id', 'sliding_window'],
];

function ropeOf({ rope_type: kind, rope_theta: base, ...given }: RopeParameters) {
  if (kind === 'default') return { base, scaling: { kind: 'none' } };
  if (kind === 'linear') return { base, scaling: { kind, factor: given.factor } };
  return {
    base,
    scaling: {
      kind,
      factor: given.factor,
      lowFrequencyFactor: given['low_freq_factor'],
      highFrequencyFactor: given['high_freq_factor'],
      originalContext: given['original_max_position_embeddings'],
    },
  };
}
