import { join } from 'node:path';

import { expect, test } from 'vitest';

import { fromBfloat16, fromHalf, roundTo, toBfloat16, toHalf } from '../../src/models/half.ts';
import { openSafetensors } from '../../src/models/safetensors.ts';

// Values and their roundings by PyTorch (recipe.py): ties, subnormals, overflow.
const oracle = await openSafetensors(join(import.meta.dirname, '../oracle/llm/formats/half.safetensors'));
const values = new Float32Array((await oracle.readBytes('values')).buffer);

test('half precision is rounded as PyTorch rounds it', async () => {
  expect(toHalf(values)).toEqual(new Uint16Array((await oracle.readBytes('half')).buffer));
});

test('bfloat16 is rounded as PyTorch rounds it', async () => {
  expect(toBfloat16(values)).toEqual(new Uint16Array((await oracle.readBytes('bfloat16')).buffer));
});

test('every half and bfloat16 comes back from float32 as it was', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const numbers = all.filter((bits) => (bits & 0x7fff) <= 0x7c00);
  expect(toHalf(fromHalf(numbers))).toEqual(numbers);
  const floats = all.filter((bits) => (bits & 0x7fff) <= 0x7f80);
  expect(toBfloat16(fromBfloat16(floats))).toEqual(floats);
});

test('NaN stays NaN', () => {
  expect(fromHalf(toHalf(Float32Array.of(Number.NaN)))[0]).toBeNaN();
  expect(fromBfloat16(toBfloat16(Float32Array.of(Number.NaN)))[0]).toBeNaN();
});

test("Gemma's embedding factor in bfloat16 is 50.5", () => {
  expect(roundTo('bf16', Math.sqrt(2560))).toBe(50.5);
});
