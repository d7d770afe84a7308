// Writes a model as a Hugging Face folder that transformers loads: config.json, weights a tensor at a time, and the tokenizer's files as
// they were. The folder appears whole or not at all.

import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { writeFolder, writeJson, writeText } from '../base/files.ts';
import { nf4Group } from './bitsandbytes.ts';
import type { ModelConfig } from './config.ts';
import { toFloat32 } from './expand.ts';
import { toBfloat16, toHalf } from './half.ts';
import { quantizeNf4 } from './nf4.ts';
import type { StoredTensor } from './stored-tensor.ts';
import { shardIndex, type TensorGroup, writeShards } from './write-safetensors.ts';

/** A weight on its way out: `read` is called once, when its turn comes; what it gives is brought into `format`. */
export type WeightToWrite = {
  /** The text model's name in transformers. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: 'f32' | 'f16' | 'bf16' | 'nf4';
  readonly read: () => Promise<StoredTensor> | StoredTensor;
};

export type FolderToWrite = {
  readonly config: ModelConfig;
  readonly weights: readonly WeightToWrite[];
  /** A model folder whose tokenizer and generation settings are copied. */
  readonly copyFrom?: string;
  /** More files, or others in place of the copied ones. */
  readonly files?: Readonly<Record<string, string>>;
  readonly maxShardBytes?: number;
};

/** What is copied from the folder of the base model. */
const copied = [
  ...['tokenizer.json', 'tokenizer.model', 'tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json', 'vocab.json'],
  ...['merges.txt', 'chat_template.jinja', 'chat_template.json', 'generation_config.json'],
];

/**
 * Writes a model folder.
 *
 * @throws UserError `output.*` as `writeFolder`
 */
export async function writeModelFolder(
  target: string,
  { config, weights, copyFrom, files = {}, maxShardBytes }: FolderToWrite,
): Promise<void> {
  const before = existsSync(target) ? readdirSync(target).filter((name) => /^model(-\d+-of-\d+)?\.safetensors$/.test(name)) : [];
  const names = ['config.json', shardIndex, 'model.safetensors', ...before, ...copied, ...Object.keys(files)];
  await writeFolder(target, { names, inputs: copyFrom === undefined ? [] : [copyFrom] }, async (folder) => {
    const dtype = dtypeOf(weights);
    await writeShards(
      folder,
      weights.map((weight) => groupOf(weight, dtype)),
      maxShardBytes === undefined ? {} : { maxShardBytes },
    );
    for (const name of copyFrom === undefined ? [] : copied) {
      if (!(name in files) && existsSync(join(copyFrom!, name))) copyFileSync(join(copyFrom!, name), join(folder, name));
    }
    for (const [name, text] of Object.entries(files)) await writeText(join(folder, name), text);
    await writeJson(join(folder, 'config.json'), writeConfig(config, { dtype, quantised: weights.some(({ format }) => format === 'nf4') }));
  });
}

/** Whether NF4 takes this weight: the projections, not embeddings, norms and heads. */
export const quantisable = (name: string): boolean => /_proj\.weight$/.test(name);

/**
 * The config.json of a text model: its source's keys, with what may have changed since set anew.
 *
 * @param dtype of the weights that are not quantised, in PyTorch's word
 */
export function writeConfig(
  config: ModelConfig,
  { dtype, quantised = false }: { dtype: string; quantised?: boolean },
): Record<string, unknown> {
  const { quantization_config: _, num_labels: __, id2label: ___, label2id: ____, torch_dtype: _____, ...kept } = config.source;
  const { labels } = config;
  const version4 = !('rope_parameters' in kept) && !('dtype' in kept);
  return {
    ...kept,
    architectures: [architectureOf(config)],
    model_type: config.family === 'llama' ? 'llama' : 'gemma3_text',
    vocab_size: config.vocabSize,
    tie_word_embeddings: config.tiedEmbeddings,
    ...(config.padTokenId !== undefined && { pad_token_id: config.padTokenId }),
    [version4 ? 'torch_dtype' : 'dtype']: dtype,
    ...(labels && {
      id2label: Object.fromEntries(labels.map((label, i) => [i, label])),
      label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    }),
    ...(quantised && { quantization_config: quantisationOf(config, dtype) }),
  };
}

function architectureOf({ family, labels }: ModelConfig): string {
  if (family === 'llama') return labels ? 'LlamaForSequenceClassification' : 'LlamaForCausalLM';
  return labels ? 'Gemma3TextForSequenceClassification' : 'Gemma3ForCausalLM';
}

const quantisationOf = ({ labels }: ModelConfig, dtype: string) => ({
  quant_method: 'bitsandbytes',
  load_in_4bit: true,
  load_in_8bit: false,
  bnb_4bit_quant_type: 'nf4',
  bnb_4bit_use_double_quant: false,
  bnb_4bit_compute_dtype: dtype,
  bnb_4bit_quant_storage: 'uint8',
  llm_int8_skip_modules: [labels ? 'score' : 'lm_head'],
});

const torchNames = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const;

/** That of the first weight kept in full: the embeddings. */
function dtypeOf(weights: readonly WeightToWrite[]): string {
  const format = weights.map((weight) => weight.format).find((name) => name !== 'nf4');
  return torchNames[format ?? 'f32'];
}

function groupOf({ name, shape, format, read }: WeightToWrite, dtype: string): TensorGroup {
  if (format === 'nf4') {
    const quantised = async () => {
      const stored = await read();
      return stored.format === 'nf4' && stored.blockSize === 64 ? stored : quantizeNf4(toFloat32(stored), { shape });
    };
    return nf4Group(name, { shape, dtype, read: quantised });
  }
  const type = ({ f32: 'F32', f16: 'F16', bf16: 'BF16' } as const)[format];
  return { entries: [{ name, type, shape }], read: async () => [bitsOf(await read(), format)] };
}

function bitsOf(stored: StoredTensor, format: 'f32' | 'f16' | 'bf16'): ArrayBufferView {
  if (stored.format === format) return stored.data;
  const values = toFloat32(stored);
  return format === 'f32' ? values : format === 'f16' ? toHalf(values) : toBfloat16(values);
}
