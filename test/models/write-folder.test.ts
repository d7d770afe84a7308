import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { toFloat32 } from '../../src/models/expand.ts';
import { openModel } from '../../src/models/folder.ts';
import type { ModelFolder } from '../../src/models/model-folder.ts';
import { quantizeNf4 } from '../../src/models/nf4.ts';
import { quantisable, type WeightToWrite, writeConfig, writeModelFolder } from '../../src/models/write-folder.ts';

const oracle = join(import.meta.dirname, '../oracle/llm/formats');
const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-write-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const weightsOf = (model: ModelFolder, format: (name: string) => WeightToWrite['format']): WeightToWrite[] =>
  [...model.tensors].map(([name, { shape }]) => ({ name, shape, format: format(name), read: () => model.read(name) }));

const source = join(oracle, 'folders/gemma3');

describe('write model folder', () => {
  test('a folder in the same precision has the same tensors, bit by bit, and the same config', async () => {
    const model = await openModel(source);
    const target = join(scratch, 'same');
    await writeModelFolder(target, {
      config: model.config,
      weights: weightsOf(model, () => 'bf16'),
      copyFrom: source,
      maxShardBytes: 20_000,
    });
    const copy = await openModel(target);
    for (const name of model.tensors.keys()) expect(await copy.read(name)).toEqual(await model.read(name));
    expect([...copy.tensors]).toEqual([...model.tensors]);
    const { source: was, ...config } = model.config;
    expect(copy.config).toEqual({ ...config, source: { ...was } });
    expect(readdirSync(target).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ]);
    await Promise.all([model.close(), copy.close()]);
  });

  test('a GGUF model becomes a folder with the same values', async () => {
    const model = await openModel(join(oracle, 'gguf-llama.gguf'));
    const target = join(scratch, 'from-gguf');
    await writeModelFolder(target, { config: model.config, weights: weightsOf(model, () => 'f32'), files: { 'tokenizer.json': '{}' } });
    const copy = await openModel(target);
    for (const name of model.tensors.keys()) expect(toFloat32(await copy.read(name))).toEqual(toFloat32(await model.read(name)));
    expect({ ...copy.config, source: {} }).toEqual({ ...model.config, source: {} });
    expect(readFileSync(join(target, 'tokenizer.json'), 'utf8')).toBe('{}');
    await Promise.all([model.close(), copy.close()]);
  });

  test('projections written as NF4 are read as NF4', async () => {
    const model = await openModel(source);
    const target = join(scratch, 'nf4');
    await writeModelFolder(target, {
      config: model.config,
      weights: weightsOf(model, (name) => (quantisable(name) ? 'nf4' : 'bf16')),
    });
    const copy = await openModel(target);
    const name = 'model.layers.1.mlp.down_proj.weight';
    const { shape } = model.tensors.get(name)!;
    expect(await copy.read(name)).toEqual(quantizeNf4(toFloat32(await model.read(name)), { shape }));
    expect((await copy.read('model.embed_tokens.weight')).format).toBe('bf16');
    expect(copy.config.source['quantization_config']).toMatchObject({ quant_method: 'bitsandbytes', llm_int8_skip_modules: ['lm_head'] });
    await Promise.all([model.close(), copy.close()]);
  });

  test('a folder that holds something else is left alone, and the model folder read from is never the target', async () => {
    const model = await openModel(source);
    const target = join(scratch, 'same');
    const job = { config: model.config, weights: weightsOf(model, () => 'f16'), copyFrom: source };
    await writeModelFolder(target, job);
    expect(readdirSync(target).sort()).toEqual(['config.json', 'generation_config.json', 'model.safetensors']);
    writeFileSync(join(target, 'thesis.txt'), '');
    await expect(writeModelFolder(target, job)).rejects.toThrow('output: folder holds something not written by this command');
    await expect(writeModelFolder(source, job)).rejects.toThrow('output: overlaps the input');
    await model.close();
  });
});

describe('write config', () => {
  test('a multimodal source becomes a text model, its labels the ones it has now', async () => {
    const model = await openModel(join(oracle, 'folders/gemma3-images-classes'));
    const written = writeConfig({ ...model.config, labels: ['benign', 'malign'] }, { dtype: 'float32' });
    expect(written).toMatchObject({
      architectures: ['Gemma3TextForSequenceClassification'],
      model_type: 'gemma3_text',
      id2label: { 0: 'benign', 1: 'malign' },
      label2id: { benign: 0, malign: 1 },
      dtype: 'float32',
      layer_types: ['sliding_attention'],
    });
    const { labels: _, ...causal } = model.config;
    expect(writeConfig(causal, { dtype: 'float32' })).not.toHaveProperty('id2label');
    await model.close();
  });
});
