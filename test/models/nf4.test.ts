import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { toFloat32 } from '../../src/models/expand.ts';
import { quantizeNf4 } from '../../src/models/nf4.ts';
import { openSafetensors } from '../../src/models/safetensors.ts';

// Values, bytes, absmax and dequantised values of bitsandbytes' quantize_4bit (recipe.py).
const oracle = await openSafetensors(join(import.meta.dirname, '../oracle/llm/formats/nf4.safetensors'));
const cases = [...oracle.tensors.keys()].filter((name) => name.endsWith('.values')).map((name) => name.slice(0, -'.values'.length));
const floats = async (name: string) => new Float32Array((await oracle.readBytes(name)).buffer);

describe('nf4', () => {
  test.each(cases)('gives the bytes and absmax of bitsandbytes: %s', async (name) => {
    const values = await floats(`${name}.values`);
    const quantised = quantizeNf4(values, { shape: [values.length] });
    expect(quantised.packed).toEqual(await oracle.readBytes(`${name}.packed`));
    expect(quantised.absmax).toEqual(await floats(`${name}.absmax`));
    expect(plusZero(toFloat32(quantised))).toEqual(plusZero(await floats(`${name}.back`)));
  });

  test('the worked case: 2, -1, 0 in a block', () => {
    const { packed, absmax } = quantizeNf4(Float32Array.of(2, -1, ...Array(62).fill(0)), { shape: [64] });
    expect([...packed.subarray(0, 3)]).toEqual([0xf2, 0x77, 0x77]);
    expect([...absmax]).toEqual([2]);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%s among the weights is refused', (bad) => {
    const values = new Float32Array(128).fill(1);
    values[70] = bad;
    expect(() => quantizeNf4(values, { shape: [128] })).toThrow('nf4: value is not finite: among 64 to 127; the weights are damaged');
  });
});

/** 0 for -0: signs of zero are not kept. */
const plusZero = (values: Float32Array) => values.map((value) => value + 0);
