import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { gemm, input } from '../../src/graph/node.ts';
import { writeModel } from '../../src/graph/onnx-proto.ts';
import { mixTensors, mixWords } from '../../src/models/fast-vocabulary.ts';
import { meanRow } from '../../src/models/row-parts.ts';
import { distance, f32, runOnce } from '../graph/evaluate.ts';

const [rows, width] = [8, 48];

/** Words mixed by shares, less their mean: by 8 bits, and exactly. */
async function mixed(words: Float32Array, shares: Float32Array) {
  const count = words.length / width;
  const mean = meanRow(words, width).data;
  const given = f32([rows, count], shares);
  const p = input('shares', 'float32', [rows, count]);
  const stored = mixTensors('part', { shape: [count, width], data: words }, mean);
  const fast = await runOnce(writeModel({ outputs: { y: mixWords('part', p, width) }, stored }), { shares: given });
  const rest = words.map((value, at) => value - mean[at % width]!);
  const exact = await runOnce(writeModel({ outputs: { y: gemm(p, input('words', 'float32', [count, width])) } }), {
    shares: given,
    words: f32([count, width], rest),
  });
  return { fast: fast['y']!.data as Float32Array, exact: exact['y']!.data as Float32Array };
}

const draw = random('mix');
// Words that have much in common, as those of a trained model.
const drawn = (count: number) => Float32Array.from({ length: count * width }, () => 3 + draw.float() + draw.float() - 1);

/** Shares of each row: one word has `largest`, the others what is left, unevenly. */
function sharesOf(count: number, largest: number): Float32Array {
  const shares = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    const own = shares.subarray(row * count, (row + 1) * count);
    for (let i = 0; i < count; i++) own[i] = draw.float() ** 4;
    const sum = own.reduce((total, value) => total + value, 0);
    for (let i = 0; i < count; i++) own[i]! *= (1 - largest) / sum;
    own[draw.integer(0, count - 1)]! += largest;
  }
  return shares;
}

describe('words mixed by their shares', () => {
  // Whole blocks of 128, one that is not full, less than one.
  test.each([512, 300, 130, 60])('are nearly mixed as exactly: %i', async (count) => {
    const { fast, exact } = await mixed(drawn(count), sharesOf(count, 0));
    expect(distance(fast, exact)).toBeLessThan(0.02);
  });

  test('are so where one word has nearly all', async () => {
    const { fast, exact } = await mixed(drawn(4096), sharesOf(4096, 0.9));
    expect(distance(fast, exact)).toBeLessThan(0.01);
  });

  // Under one scale for a row all of them would round to 0.
  test('keep the small shares beside a large one of another block that adds nothing', async () => {
    const [count, block] = [4096, 128];
    const shares = sharesOf(count, 0);
    for (let row = 0; row < rows; row++) shares.fill(0, row * count, row * count + block)[row * count] = 9;
    const words = drawn(count);
    words.set(meanRow(words, width).data);
    const { fast, exact } = await mixed(words, shares);
    expect(distance(fast, exact)).toBeLessThan(0.2);
  });

  test('words all alike leave nothing', async () => {
    const { fast } = await mixed(new Float32Array(256 * width).fill(2), sharesOf(256, 0.5));
    expect(fast.every((value) => value === 0)).toBe(true);
  });
});
