import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { noAdapter } from '../../src/models/adapter.ts';
import type { AdapterSettings } from '../../src/models/adapter-settings.ts';
import type { Batch } from '../../src/models/batch.ts';
import { openModel } from '../../src/models/folder.ts';
import { newAdapter } from '../../src/models/lora.ts';
import { type Merge, mergeModel } from '../../src/models/merge.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { storageOf } from '../../src/models/storage.ts';
import { writeModelFolder } from '../../src/models/write-folder.ts';
import { largestDifference, logitsOf, readAll, runnable, type TinyName, tinyBatch, tinyFolder, tinyNames } from './tiny-models.ts';

const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-merge-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Merges a tiny model's adapter, and says where and onto what. */
async function merge(name: TinyName, { from = tinyFolder(name), ...options }: Partial<Merge> & { readonly from?: string } = {}) {
  const base = await openModel(from);
  try {
    const { adapter } = await readAdapter(join(tinyFolder(name), 'adapter'), { base });
    const folder = mkdtempSync(join(scratch, `${name}-`));
    const onto = await mergeModel(folder, { base, adapter, format: 'f32', session: { threads: 1 }, ...options });
    return { folder, onto, adapter };
  } finally {
    await base.close();
  }
}

const configOf = (folder: string) => JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));

describe('a merged model', () => {
  // The worst seen is 6e-6.
  test.each(tinyNames)('%s gives what base and adapter give, to 1e-5', async (name) => {
    const { folder, adapter } = await merge(name);
    const [merged, apart] = [await runnable(folder), await runnable(tinyFolder(name), { adapter })];
    expect(largestDifference(await logitsOf(merged, tinyBatch(name)), await logitsOf(apart, tinyBatch(name)))).toBeLessThan(1e-5);
    await Promise.all([merged.close(), apart.close()]);
  });

  test.each(['llama', 'gemma3'] as const)('%s has the matrices that PEFT merges, in float32', async (name) => {
    const theirs = await readAll(resolve(import.meta.dirname, '..', 'oracle', 'llm', 'adapters', 'merged.safetensors'));
    const ours = await readAll(join((await merge(name)).folder, 'model.safetensors'));
    const compared = [...theirs].filter(([key]) => key.startsWith(`${name}.`));
    expect(compared).toHaveLength(2);
    for (const [key, values] of compared) expect(largestDifference(ours.get(key.slice(name.length + 1))!, values)).toBeLessThan(1e-6);
  });

  test('in bfloat16 is rounded once, so as near as PEFT, which rounds both summands first', async () => {
    const theirs = await readAll(resolve(import.meta.dirname, '..', 'oracle', 'llm', 'adapters', 'merged.safetensors'));
    const exact = await readAll(join((await merge('llama31')).folder, 'model.safetensors'));
    const rounded = await merge('llama31', { format: 'bf16' });
    const ours = await readAll(join(rounded.folder, 'model.safetensors'));
    const key = 'model.layers.1.self_attn.k_proj.weight';
    const error = (found: Float32Array) => found.reduce((sum, value, i) => sum + Math.abs(value - exact.get(key)![i]!), 0);
    expect(error(ours.get(key)!)).toBeLessThanOrEqual(error(theirs.get(`llama31.${key}`)!));
    expect(configOf(rounded.folder).dtype).toBe('bfloat16');
  });

  test('with a head of the adapter is a classifier with names for its classes', async () => {
    const { folder } = await merge('llama-class', { labels: ['refer', 'treat', 'wait'] });
    expect(configOf(folder)).toMatchObject({
      architectures: ['LlamaForSequenceClassification'],
      id2label: { 0: 'refer', 1: 'treat', 2: 'wait' },
      label2id: { refer: 0, treat: 1, wait: 2 },
    });
    const written = await openModel(folder);
    expect(written.tensors.get('score.weight')!.shape).toEqual([3, 16]);
    await written.close();
    await expect(merge('llama-class', { labels: ['yes', 'no'] })).rejects.toThrow(
      'merge: names of classes do not fit the head: 2 for 3 classes',
    );
  });

  test('keeps the tokenizer, and names no quantisation', async () => {
    const from = join(scratch, 'with-tokenizer');
    cpSync(tinyFolder('llama'), from, { recursive: true });
    writeFileSync(join(from, 'tokenizer.json'), '{"model":{}}');
    const { folder, onto } = await merge('llama', { from, format: 'f16' });
    expect(readFileSync(join(folder, 'tokenizer.json'), 'utf8')).toBe('{"model":{}}');
    expect(configOf(folder)).toMatchObject({ dtype: 'float16', architectures: ['LlamaForCausalLM'] });
    expect(existsSync(join(folder, 'adapter_config.json'))).toBe(false);
    expect(onto).toBe("the adapter was merged onto the base's own weights (F32)");
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain(`Which weights: ${onto}.`);
  });
});

describe('an adapter trained on quantised weights', () => {
  test('merges onto those, and then is the model that was trained', async () => {
    const { folder, onto, adapter } = await merge('llama', { storage: 'nf4' });
    expect(onto).toBe("the adapter was merged onto the base's linear layers as nf4, spelled out");
    const trained = await runnable(tinyFolder('llama'), { adapter, storage: storageOf('nf4') });
    const [merged, original] = [await runnable(folder), await runnable((await merge('llama')).folder)];
    const want = await logitsOf(trained, tinyBatch('llama'));
    expect(largestDifference(await logitsOf(merged, tinyBatch('llama')), want)).toBeLessThan(2e-5);
    expect(largestDifference(await logitsOf(original, tinyBatch('llama')), want)).toBeGreaterThan(0.1);
    await Promise.all([trained.close(), merged.close(), original.close()]);
  });

  test('merges onto a folder that is quantised itself', async () => {
    const plain = await openModel(tinyFolder('gemma3-class'));
    const from = join(scratch, 'nf4');
    await writeModelFolder(from, {
      config: plain.config,
      weights: [...plain.tensors].map(([name, { shape }]) => ({
        name,
        shape,
        format: name.endsWith('_proj.weight') ? ('nf4' as const) : ('f32' as const),
        read: () => plain.read(name),
      })),
    });
    await plain.close();
    const { folder, onto, adapter } = await merge('gemma3-class', { from });
    expect(onto).toBe("the adapter was merged onto the base's quantised weights (NF4), spelled out");
    expect(configOf(folder).quantization_config).toBeUndefined();
    const [merged, apart] = [await runnable(folder), await runnable(from, { adapter })];
    expect(
      largestDifference(await logitsOf(merged, tinyBatch('gemma3-class')), await logitsOf(apart, tinyBatch('gemma3-class'))),
    ).toBeLessThan(1e-5);
    await Promise.all([merged.close(), apart.close()]);
  });
});

describe('a GGUF base', () => {
  const gguf = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'formats', 'gguf-llama.gguf');

  test('becomes a folder, its blocks spelled out, with or without an adapter', async () => {
    const bare = await runnable(gguf);
    const settings: AdapterSettings = {
      ...{ task: 'CAUSAL_LM', targets: 'all-linear', prefix: 'model', rank: 2, alpha: 4, dropout: 0, rsLora: true, dora: true },
    };
    const fresh = newAdapter(bare.resident, { settings, seed: 2 });
    const modules = new Map(
      [...fresh.modules].map(([name, module]) => [name, { ...module, b: module.b.map((_, i) => ((i % 7) - 3) / 20) }]),
    );
    const batch: Batch = {
      kind: 'causal',
      rows: 1,
      tokens: 6,
      ids: Int32Array.of(1, 5, 3, 9, 2, 7),
      lengths: Int32Array.of(6),
      targets: new Int32Array(6),
    };
    const base = await openModel(gguf);
    for (const adapter of [noAdapter, { ...fresh, modules }]) {
      const folder = mkdtempSync(join(scratch, 'gguf-'));
      const files = { 'tokenizer.json': '{}' };
      const onto = await mergeModel(folder, { base, adapter, format: 'f32', files });
      expect(onto).toMatch(
        adapter === noAdapter
          ? /^the weights are the base's quantised weights \(/
          : /^the adapter was merged onto the base's quantised weights \(/,
      );
      const [merged, apart] = [await runnable(folder), await runnable(gguf, { adapter })];
      expect(largestDifference(await logitsOf(merged, batch), await logitsOf(apart, batch))).toBeLessThan(1e-5);
      expect(readFileSync(join(folder, 'tokenizer.json'), 'utf8')).toBe('{}');
      await Promise.all([merged.close(), apart.close()]);
    }
    await Promise.all([base.close(), bare.close()]);
  });
});

describe('a merge is refused', () => {
  test('where a value does not fit the type asked for, and leaves nothing behind', async () => {
    const base = await openModel(tinyFolder('llama'));
    const { adapter } = await readAdapter(join(tinyFolder('llama'), 'adapter'), { base });
    const spoiled = (value: number) => {
      const modules = new Map(adapter.modules);
      const module = modules.get('model.layers.1.self_attn.q_proj')!;
      modules.set('model.layers.1.self_attn.q_proj', { ...module, b: module.b.map(() => value) });
      return { ...adapter, modules };
    };
    const target = join(scratch, 'refused');
    const attempt = (value: number, format: Merge['format']) => mergeModel(target, { base, adapter: spoiled(value), format });
    await expect(attempt(1e9, 'f16')).rejects.toThrow(
      /^merge: value does not fit f16: \S+ in model.layers.1.self_attn.q_proj.weight; write bf16 or f32$/,
    );
    await expect(attempt(Number.NaN, 'f32')).rejects.toThrow(
      /NaN in model.layers.1.self_attn.q_proj.weight; the adapter or its base is damaged$/,
    );
    expect(existsSync(target)).toBe(false);
    await base.close();
  });
});
