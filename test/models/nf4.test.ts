import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { toFloat32 } from '../../src/models/expand.ts';
import { nf4Code, quantizeNf4 } from '../../src/models/nf4.ts';
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

  test('every quotient gets the code that counting midpoints gives', () => {
    const midpoints = Array.from({ length: 15 }, (_, i) => Math.fround(nf4Code[i]! + nf4Code[i + 1]!) / 2);
    const words = new Int32Array(1);
    const near = fc.tuple(fc.constantFrom(...midpoints), fc.integer({ min: -2, max: 2 })).map(([midpoint, steps]) => {
      new Float32Array(words.buffer)[0] = midpoint;
      words[0]! += steps;
      return new Float32Array(words.buffer)[0]!;
    });
    const quotient = fc.oneof(near, fc.float({ min: -1, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.array(quotient, { minLength: 63, maxLength: 63 }), (quotients) => {
        const { packed } = quantizeNf4(Float32Array.of(...quotients, 1), { shape: [64] });
        const codes = [...packed].flatMap((byte) => [byte >> 4, byte & 15]);
        expect(codes.slice(0, 63)).toEqual(quotients.map((x) => midpoints.filter((midpoint) => midpoint < x).length));
      }),
      { seed: 5 },
    );
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%s among the weights is refused', (bad) => {
    const values = new Float32Array(128).fill(1);
    values[70] = bad;
    expect(() => quantizeNf4(values, { shape: [128] })).toThrow('nf4: value is not finite: among 64 to 127; the weights are damaged');
  });
});

/** 0 for -0: signs of zero are not kept. */
const plusZero = (values: Float32Array) => values.map((value) => value + 0);
