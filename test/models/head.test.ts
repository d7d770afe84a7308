import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { writeModel } from '../../src/graph/onnx-proto.ts';
import { openSession } from '../../src/graph/session.ts';
import { tensor } from '../../src/graph/tensor.ts';
import { dense, expandRows } from '../../src/models/expand.ts';
import { mixedRows, mixTensors } from '../../src/models/fast-vocabulary.ts';
import { causalHead } from '../../src/models/head.ts';
import { readConfig } from '../../src/models/read-config.ts';
import { meanRow, rowParts } from '../../src/models/row-parts.ts';
import type { StoredTensor } from '../../src/models/stored-tensor.ts';
import { formOf, weightTensors } from '../../src/models/weight.ts';

const [words, width, places] = [200, 32, 24];
const config = readConfig({
  ...{ architectures: ['LlamaForCausalLM'], model_type: 'llama', vocab_size: words, hidden_size: width, intermediate_size: 8 },
  ...{ num_hidden_layers: 1, num_attention_heads: 1, num_key_value_heads: 1 },
});
const draw = random('head');
const numbers = (count: number, middle = 0) => Float32Array.from({ length: count }, () => middle + draw.float() - 0.5);
// Words that have much in common, as those of a trained model.
const vocabulary = { format: 'f32', shape: [words, width], data: numbers(words * width, 0.3) } as const;
const targets = Int32Array.from({ length: places }, () => draw.integer(0, words - 1));
const shared = {
  hidden: tensor(
    'float32',
    [places, width],
    numbers(places * width).map((value) => 4 * value),
  ),
  chosen: tensor('float32', [places, width], expandRows(vocabulary, targets)),
  norm: tensor('float32', [width], numbers(width, 2)),
  weights: tensor('float32', [places, 1], numbers(places, 1)),
};

const mean = meanRow(vocabulary.data, width);

async function run(size: number, { isFast = false, labelSmoothing = 0 } = {}) {
  const parts = rowParts(vocabulary, size);
  const { losses, gradient } = causalHead(config, {
    parts: parts.map((part) => ({ form: formOf(part), size: part.shape[0]! })),
    isFast,
    labelSmoothing,
  });
  const mix = isFast ? parts.map((part, i) => mixTensors(`lm_head.${i}`, dense(part), mean.data)) : [];
  const rounded = isFast && tensor('float32', [places, width], mixedRows(mix, targets, { size, mean: mean.data }));
  const session = await openSession(writeModel({ outputs: { gradient, losses }, stored: Object.assign({}, ...mix) }));
  const found = await session.run({
    ...shared,
    mean,
    ...(rounded && { rounded }),
    ...Object.assign({}, ...parts.map((part, i) => weightTensors(`lm_head.${i}`, part))),
  });
  await session.close();
  return { losses: found['losses']!.data as Float32Array, gradient: found['gradient']!.data as Float32Array };
}

/** Length of a - b, as a share of b's. */
const apart = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(b.reduce((sum, value, i) => sum + (value - a[i]!) ** 2, 0) / b.reduce((sum, value) => sum + value ** 2, 0));

describe('the vocabulary in parts', () => {
  test.each([20, 64, 100, 199])('of %i words gives the losses and gradients of the whole', async (size) => {
    const whole = await run(words);
    const found = await run(size);
    expect(apart(found.losses, whole.losses)).toBeLessThan(1e-6);
    expect(apart(found.gradient, whole.gradient)).toBeLessThan(1e-5);
  });
});

describe('the fast mode’s vocabulary', () => {
  test.each([200, 64])('gives the losses as they are and nearly their gradients: parts of %i', async (size) => {
    const exact = await run(size);
    const fast = await run(size, { isFast: true });
    expect(fast.losses).toEqual(exact.losses);
    expect(apart(fast.gradient, exact.gradient)).toBeLessThan(0.02);
  });
});

test('the fast mode smooths targets as the exact one does', async () => {
  const exact = await run(64, { labelSmoothing: 0.4 });
  const fast = await run(64, { isFast: true, labelSmoothing: 0.4 });
  expect(fast.losses).toEqual(exact.losses);
  expect(apart(fast.gradient, exact.gradient)).toBeLessThan(0.02);
});

describe('rowParts', () => {
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => draw.integer(0, 255));
  const blocks = { format: 'blocks', shape: [6, 32], blockSize: 16, scales: numbers(12), minimums: numbers(12) } as const;
  const stored: readonly StoredTensor[] = [
    { format: 'f32', shape: [6, 32], data: numbers(6 * 32) },
    { format: 'f16', shape: [6, 32], data: Uint16Array.from(bytes(6 * 32)) },
    { ...blocks, values: { kind: 'uint8', q: bytes(6 * 32) } },
    { ...blocks, values: { kind: 'int8', q: Int8Array.from(bytes(6 * 32)) } },
    { ...blocks, values: { kind: 'uint4', q: bytes(3 * 32) } },
  ];
  test.each(stored.map((one) => [one.format === 'blocks' ? one.values.kind : one.format, one] as const))(
    'of %s stand for the rows of the whole',
    (_, one) => {
      const parts = rowParts(one, 4).map((part) => [...dense(part).data]);
      expect(parts.flat()).toEqual([...dense(one).data]);
    },
  );
});
