import { join, resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { input } from '../../src/graph/node.ts';
import { openDecoder } from '../../src/models/decoder.ts';
import { toFloat32 } from '../../src/models/expand.ts';
import { generateAll } from '../../src/models/generate.ts';
import { int4Form, int4Tensors } from '../../src/models/int4.ts';
import type { BlockTensor, StoredTensor } from '../../src/models/stored-tensor.ts';
import { formOf, weight } from '../../src/models/weight.ts';
import { evaluate, f32, numbers } from '../graph/evaluate.ts';
import { largestDifference, runnable } from './tiny-models.ts';

/** A matrix as four-bit blocks of 16, with minimums: 0 to 15 steps from the least value of a block to its largest. */
function quantised({ shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array }): BlockTensor {
  const [rows, columns] = shape as readonly [number, number];
  const blocks = data.length / 16;
  const [scales, minimums] = [new Float32Array(blocks), new Float32Array(blocks)];
  const q = new Uint8Array(data.length / 2);
  for (let i = 0; i < data.length; i++) {
    const block = data.subarray(i - (i % 16), i - (i % 16) + 16);
    const [least, most] = [Math.min(...block), Math.max(...block)];
    const at = Math.floor(i / 16);
    [minimums[at], scales[at]] = [least, (most - least) / 15];
    const nibble = Math.round((data[i]! - least) / scales[at]!);
    const isUpper = i >= (rows / 2) * columns;
    q[isUpper ? i - q.length : i]! |= isUpper ? nibble << 4 : nibble;
  }
  return { format: 'blocks', shape, values: { kind: 'uint4', q }, blockSize: 16, scales, minimums };
}

describe('four-bit blocks', () => {
  test('multiply as they do spelt out', async () => {
    const stream = random(3, 'int4');
    const draw = (size: number) => Float32Array.from({ length: size }, () => 2 * stream.float() - 1);
    const stored = quantised({ shape: [6, 32], data: draw(192) });
    const [x, c] = [draw(96), draw(18)];
    const form = int4Form(formOf(stored), 32)!;
    const y = weight('w', form, [6, 32]).times(input('x', 'float32', [3, 32]), input('c', 'float32', [3, 6]));
    const found = await evaluate({ y }, { x: f32([3, 32], x), c: f32([3, 6], c), ...int4Tensors('w', stored) });
    const w = toFloat32(stored);
    const expected = Array.from(c, (start, at) => {
      const [row, column] = [Math.floor(at / 6), at % 6];
      let sum = start;
      for (let k = 0; k < 32; k++) sum += x[row * 32 + k]! * w[column * 32 + k]!;
      return sum;
    });
    expect(largestDifference(Float32Array.from(numbers(found['y']!)), expected)).toBeLessThan(1e-5);
  });

  test('other forms are not taken', () => {
    const blocks = { kind: 'blocks', values: 'uint4', blockSize: 32, hasMinimums: true } as const;
    expect(int4Form(blocks, 64)).toEqual({ kind: 'int4', blockSize: 32 });
    expect([int4Form(blocks, 48), int4Form({ ...blocks, blockSize: 12 }, 24), int4Form({ ...blocks, values: 'int8' }, 64)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(int4Form({ kind: 'f32' }, 64)).toBeUndefined();
  });

  test('a model of them generates the same text as spelt out', async () => {
    const folder = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'generate', 'llama');
    const prompts = [
      [5, 6, 7],
      [9, 40, 3, 2, 60, 11],
    ];
    const texts = async (linear: (stored: StoredTensor) => StoredTensor) => {
      const model = await runnable(join(folder), { storage: { linear } });
      const decoder = openDecoder(model);
      const found = await generateAll(decoder, prompts, { maxNewTokens: 12, stopTokens: [] });
      await decoder.close();
      await model.close();
      return found;
    };
    const blocks = (stored: StoredTensor) => quantised({ shape: stored.shape, data: toFloat32(stored) });
    const spelt = (stored: StoredTensor): StoredTensor => ({ format: 'f32', shape: stored.shape, data: toFloat32(blocks(stored)) });
    expect(await texts(blocks)).toEqual(await texts(spelt));
  });
});
