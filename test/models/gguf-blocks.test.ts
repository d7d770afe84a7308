import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { expandRows, toFloat32 } from '../../src/models/expand.ts';
import { readGguf } from '../../src/models/gguf.ts';
import { type BlockType, blockUnpacker } from '../../src/models/gguf-blocks.ts';
import { hashOf } from './hash.ts';

// Random bytes of every block type, and hashes of what gguf-py makes of them (recipe.py).
const folder = join(import.meta.dirname, '../oracle/llm/formats');
const file = readFileSync(join(folder, 'blocks.gguf'));
const hashes: Readonly<Record<string, string>> = JSON.parse(readFileSync(join(folder, 'blocks.json'), 'utf8'));
const { tensors } = readGguf(join(folder, 'blocks.gguf'));

describe('gguf blocks', () => {
  test.each(tensors)('$name expands to the values of gguf-py', ({ name, type, shape, start, bytes }) => {
    const { tensor, addRows } = blockUnpacker(type as BlockType, { shape, order: (row) => row });
    addRows(file.subarray(start, start + bytes));
    expect(hashOf(toFloat32(tensor))).toBe(hashes[name]);
  });

  test.each(tensors)('$name is the same read in pieces, its rows in any order, and by the row', ({ type, shape, start, bytes }) => {
    const whole = blockUnpacker(type as BlockType, { shape, order: (row) => row });
    whole.addRows(file.subarray(start, start + bytes));
    const order = [2, 0, 3, 1];
    const pieces = blockUnpacker(type as BlockType, { shape, order: (row) => order[row]! });
    pieces.addRows(file.subarray(start, start + bytes / 4));
    pieces.addRows(file.subarray(start + bytes / 4, start + bytes));
    expect(expandRows(pieces.tensor, Int32Array.from(order))).toEqual(toFloat32(whole.tensor));
  });

  test('an odd number of rows keeps a byte for each number', () => {
    const { start, bytes } = tensors.find(({ name }) => name === 'Q4_0')!;
    const whole = blockUnpacker('Q4_0', { shape: [4, 512], order: (row) => row });
    whole.addRows(file.subarray(start, start + bytes));
    const odd = blockUnpacker('Q4_0', { shape: [3, 512], order: (row) => row });
    odd.addRows(file.subarray(start, start + (bytes / 4) * 3));
    expect(odd.tensor.values.kind).toBe('uint8');
    expect(toFloat32(odd.tensor)).toEqual(toFloat32(whole.tensor).subarray(0, 3 * 512));
  });
});
