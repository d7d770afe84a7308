import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import type { Adapter } from '../../src/models/adapter.ts';
import type { Batch } from '../../src/models/batch.ts';
import { openDecoder } from '../../src/models/decoder.ts';
import { dropoutMask } from '../../src/models/dropout.ts';
import { keyValueCache } from '../../src/models/key-value-cache.ts';
import type { LanguageModel } from '../../src/models/language-model.ts';
import { lossHead } from '../../src/models/loss.ts';
import { passMemory } from '../../src/models/pass-memory.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { backwardPass, forwardPass } from '../../src/models/training-pass.ts';
import {
  largestDifference,
  logitsOf,
  readAll,
  relativeL2,
  runnable,
  type TinyName,
  tinyBatch,
  tinyFolder,
  tinyNames,
  tinyOracle,
} from './tiny-models.ts';

const adapterOf = async (name: TinyName) => {
  const base = await runnable(tinyFolder(name));
  return (await readAdapter(join(tinyFolder(name), 'adapter'), { base: { path: name, config: base.config } })).adapter;
};

type Asked = { readonly batch: Batch; readonly keptLayers: number; readonly key?: number };

/** Loss and gradients of a batch. */
async function gradientsOf(model: LanguageModel, { batch, keptLayers, key = 1 }: Asked) {
  const head = lossHead(model);
  const denominator = head.weightOf(batch);
  const options = { dropoutKeys: [key], keptLayers, memory: passMemory() };
  const trace = await forwardPass(model, batch, options);
  const { lossSum, gradient, scoreGradient } = await head.run(batch, trace.hidden, denominator);
  const gradients = new Map<string, Float32Array>();
  await backwardPass(model, { batch, trace, gradient: gradient!, options, receive: (of, found) => gradients.set(of, found.slice()) });
  if (scoreGradient) gradients.set('score', scoreGradient);
  await head.close();
  return { loss: lossSum / denominator, gradients };
}

describe.each(tinyNames)('the tiny model %s', (name) => {
  const { logits, adapter: oracle } = tinyOracle(name);

  // The worst seen is 8e-6, of logits up to 9.
  test('has the logits of transformers to 1e-4', async () => {
    const model = await runnable(tinyFolder(name));
    expect(largestDifference(await logitsOf(model, tinyBatch(name)), logits.flat())).toBeLessThan(1e-4);
    await model.close();
  });

  test('has the logits of PEFT to 1e-4 with an adapter that PEFT wrote', async () => {
    const model = await runnable(tinyFolder(name), { adapter: await adapterOf(name) });
    expect(largestDifference(await logitsOf(model, tinyBatch(name)), oracle.logits.flat())).toBeLessThan(1e-4);
    await model.close();
  });

  // Seen: medians up to 2e-6, worst 5e-6.
  test('has the loss and gradients of PEFT, and the same ones to the bit when activations are computed again', async () => {
    const model = await runnable(tinyFolder(name), { adapter: await adapterOf(name) });
    const kept = await gradientsOf(model, { batch: tinyBatch(name), keptLayers: Number.POSITIVE_INFINITY });
    const again = await gradientsOf(model, { batch: tinyBatch(name), keptLayers: 0 });
    await model.close();
    expect(kept.loss).toBeCloseTo(oracle.loss, 5);
    expect(again).toEqual(kept);
    const theirs = await readAll(join(tinyFolder(name), 'gradients.safetensors'));
    const ours = (key: string) => kept.gradients.get(key.replace('base_model.model.', '').replace(/\.weight$/, ''))!;
    const errors = [...theirs].map(([key, values]) => relativeL2(ours(key), values)).sort((a, b) => a - b);
    expect(errors).toHaveLength(kept.gradients.size);
    expect(errors[errors.length >> 1]).toBeLessThan(1e-4);
    expect(errors.at(-1)).toBeLessThan(1e-3);
  });
});

// Queries are looked at in blocks from 256 tokens on: of 300 the first has 172, the second 128. 200 tokens are one block.
describe('a text of several blocks', () => {
  const ids = Int32Array.from({ length: 300 }, (_, i) => (i * 7919 + 13) % 50);
  const first = (tokens: number, targets: Int32Array): Batch => {
    const shared = { rows: 1, tokens, ids: ids.subarray(0, tokens), lengths: Int32Array.of(tokens) };
    return { kind: 'causal', ...shared, targets };
  };

  test('has the hidden states of the attention that generates, another operator', async () => {
    const model = await runnable(tinyFolder('gemma3'), { adapter: await adapterOf('gemma3') });
    const decoder = openDecoder(model);
    const cache = keyValueCache(model.config, { rows: 1, places: 300 });
    const theirs = await decoder.run({ cache, rows: { from: 0, to: 1 }, ids, past: [0], fresh: [300] });
    const ours = (await model.hidden(first(300, ids))).data as Float32Array;
    expect(relativeL2(ours, theirs)).toBeLessThan(1e-5);
    await decoder.close();
    await model.close();
  });

  test.each(['llama', 'gemma3'] as const)(
    'has the loss and gradients of its beginning alone, if nothing else is learned: %s',
    async (name) => {
      const model = await runnable(tinyFolder(name), { adapter: await adapterOf(name) });
      const learned = ids.map((_, i) => (i < 199 ? ids[i + 1]! : -100));
      const alone = await gradientsOf(model, { batch: first(200, learned.subarray(0, 200)), keptLayers: 9 });
      const within = await gradientsOf(model, { batch: first(300, learned), keptLayers: 9 });
      await model.close();
      expect(within.loss).toBeCloseTo(alone.loss, 5);
      for (const [key, values] of alone.gradients) expect(relativeL2(within.gradients.get(key)!, values), key).toBeLessThan(1e-4);
    },
  );
});

describe('dropout of an adapter', () => {
  const withDropout = async (dropout: number, name: TinyName = 'llama'): Promise<Adapter> => {
    const adapter = await adapterOf(name);
    return {
      ...adapter,
      modules: new Map([...adapter.modules].map(([name, module]) => [name, { ...module, shape: { ...module.shape, dropout } }])),
    };
  };

  test('drops the same places for the same keys, others for others', async () => {
    const model = await runnable(tinyFolder('llama'), { adapter: await withDropout(0.3) });
    const first = await gradientsOf(model, { batch: tinyBatch('llama'), keptLayers: 0 });
    const again = await gradientsOf(model, { batch: tinyBatch('llama'), keptLayers: 9 });
    const other = await gradientsOf(model, { batch: tinyBatch('llama'), keptLayers: 0, key: 2 });
    await model.close();
    expect(again).toEqual(first);
    expect(other.loss).not.toBe(first.loss);
  });

  test('is not there in evaluation', async () => {
    const dropping = await runnable(tinyFolder('llama'), { adapter: await withDropout(0.3) });
    const { adapter } = tinyOracle('llama');
    expect(largestDifference(await logitsOf(dropping, tinyBatch('llama')), adapter.logits.flat())).toBeLessThan(1e-4);
    await dropping.close();
  });

  test.each([0.05, 0.3, 0.5])('drops a share of %d', (share) => {
    const mask = dropoutMask(200_001, { share, keys: [7, 'model.layers.0.self_attn.q_proj'] });
    const kept = mask.reduce((sum, value) => sum + value, 0) / mask.length;
    expect(mask).toHaveLength(200_001);
    expect(Math.abs(kept - (1 - share))).toBeLessThan(0.005);
  });

  // Both ways of dropping: LoRA's before A, and DoRA's, which leaves the plain product whole.
  test.each(['llama', 'gemma3'] as const)('gives %s the loss and gradients of PEFT under the same masks', async (name) => {
    const folder = join(import.meta.dirname, '..', 'oracle', 'llm', 'adapters');
    const model = await runnable(tinyFolder(name), { adapter: await withDropout(0.3, name) });
    const { loss, gradients } = await gradientsOf(model, { batch: tinyBatch(name), keptLayers: 9 });
    await model.close();
    expect(loss).toBeCloseTo(JSON.parse(readFileSync(join(folder, 'dropout.json'), 'utf8'))[name], 5);
    const theirs = [...(await readAll(join(folder, 'dropout.safetensors')))].filter(([key]) => key.startsWith(`${name}/`));
    expect(theirs.length).toBe(name === 'llama' ? 14 : 21);
    for (const [key, values] of theirs)
      expect([key, relativeL2(gradients.get(key.slice(name.length + 1))!, values) < 1e-4]).toEqual([key, true]);
  });
});
