import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

import {
  inferenceBytes,
  loraBytes,
  loraParameters,
  type ModelOutline,
  storedBytes,
  vocabularyBytes,
} from '../../../src/apps/llm/memory.ts';
import type { ModelConfig } from '../../../src/models/config.ts';
import { openModel } from '../../../src/models/folder.ts';
import { tensorShapes } from '../../../src/models/tensor-shapes.ts';

/** The shape of SmolLM2-135M. */
const config: ModelConfig = {
  ...{ family: 'llama', vocabSize: 49_152, hiddenSize: 576, intermediateSize: 1536, heads: 9, keyValueHeads: 3, headDim: 64 },
  ...{ normEpsilon: 1e-5, activation: 'silu', attentionScale: 1 / 8, embeddingScale: 1, layers: Array(30).fill('global') },
  ...{ rope: { base: 1e5, scaling: { kind: 'none' } }, tiedEmbeddings: true, contextLength: 8192, eosTokenIds: [2], source: {} },
};
const outline = (linear: string, other: string): ModelOutline => ({
  config,
  tensors: new Map([...tensorShapes(config)].map(([name, shape]) => [name, { shape, type: /_proj/.test(name) ? linear : other }])),
});

describe('memory', () => {
  test('follows the worked case', () => {
    const bytes = inferenceBytes(outline('Q4_1', 'Q8_0'), { tokens: 2048 });
    expect(bytes / 1e9).toBeGreaterThan(1.1);
    expect(bytes / 1e9).toBeLessThan(1.2);
  });

  test('grows with text, batch, rank and precision', () => {
    const [small, large] = [outline('Q4_1', 'Q8_0'), outline('F32', 'F32')];
    const setting = { rank: 16, rows: 1, tokens: 512, policy: 'stored' } as const;
    expect(inferenceBytes(small, { tokens: 4096 })).toBeGreaterThan(inferenceBytes(small, { tokens: 2048 }));
    expect(inferenceBytes(small, { tokens: 2048, rows: 2 })).toBeGreaterThan(inferenceBytes(small, { tokens: 2048 }));
    expect(loraBytes(large, setting)).toBeGreaterThan(loraBytes(small, setting));
    expect(loraBytes(large, setting)).toBeGreaterThan(loraBytes(large, { ...setting, policy: 'nf4' }));
    expect(loraBytes(small, { ...setting, rank: 32 }) - loraBytes(small, setting)).toBeGreaterThanOrEqual(16 * loraParameters(config, 16));
  });

  const one = config.vocabSize * config.hiddenSize;
  test.each([
    { tied: true, type: 'BF16', storage: 'f32', task: 'causal', bytes: 4 },
    { tied: true, type: 'BF16', storage: 'stored', task: 'causal', bytes: 2 + 4 },
    { tied: true, type: 'BF16', storage: 'stored', task: 'class', bytes: 2 },
    { tied: true, type: 'F16', storage: 'nf4', task: 'causal', bytes: 2 },
    { tied: false, type: 'BF16', storage: 'stored', task: 'causal', bytes: 2 + 4 },
    { tied: false, type: 'BF16', storage: 'f32', task: 'causal', bytes: 2 + 4 },
    { tied: false, type: 'F16', storage: 'f32', task: 'causal', bytes: 2 + 4 },
    { tied: false, type: 'F32', storage: 'nf4', task: 'class', bytes: 4 + 4 },
  ] as const)('vocabulary: tied $tied, $type kept as $storage for $task: $bytes bytes a number', ({ tied, type, storage, task, bytes }) => {
    const tensors = new Map([...tensorShapes({ ...config, tiedEmbeddings: tied })].map(([name, shape]) => [name, { shape, type }]));
    expect(vocabularyBytes({ config: { ...config, tiedEmbeddings: tied }, tensors }, { storage, task })).toBe(bytes * one);
  });

  test('counts what a real file holds', async () => {
    const model = await openModel(resolve(import.meta.dirname, '../../oracle/llm/models/llama'));
    await model.close();
    const bytes = [...model.tensors.values()].reduce((sum, entry) => sum + storedBytes(entry), 0);
    expect(bytes).toBe(4 * 16_080);
    // Seven matrices in each of six layers: [16, 16] twice, [8, 16] twice, [32, 16] three times.
    expect(loraParameters(model.config, 16)).toBe(6 * 16 * (32 + 24 + 24 + 32 + 48 + 48 + 48));
  });
});
