import { describe, expect, test } from 'vitest';

import * as graph from '../../src/graph/node.ts';
import { tensor } from '../../src/graph/tensor.ts';
import type { Value } from '../../src/graph/value.ts';
import { distance, evaluate, f32, i64, numbers } from './evaluate.ts';
import { nf4Matrix, nf4Product, ropeTables, rotated } from './gradient-cases.ts';

/** Numbers without a pattern, the same at every run. */
const wave = (count: number): Float32Array => Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + 0.3) * 1.5);

describe('node', () => {
  test('what changes nothing adds no node', () => {
    const x = graph.input('x', 'float32', [2, 3]);
    expect(graph.reshape(x, [2, 3])).toBe(x);
    expect(graph.cast(x, 'float32')).toBe(x);
    expect(graph.sumTo(x, [2, 3])).toBe(x);
  });

  test.each([
    { from: [2, 3], to: [3], sums: [5, 7, 9] },
    { from: [2, 3], to: [2, 1], sums: [6, 15] },
    { from: [2, 3], to: [1, 3], sums: [5, 7, 9] },
    { from: [2, 3], to: [], sums: [21] },
    { from: [2, 1, 3], to: [1, 1], sums: [21] },
  ])('sums $from to $to', async ({ from, to, sums }) => {
    const { y } = await evaluate({ y: graph.sumTo(graph.input('x', 'float32', from), to) }, { x: f32(from, [1, 2, 3, 4, 5, 6]) });
    expect(y).toEqual(f32(to, sums));
  });

  test('refuses to sum to a shape that was never repeated', () => {
    const x = graph.input('x', 'float32', [2, 3]);
    expect(() => graph.sumTo(x, [2, 4])).toThrow('graph: [2, 3] does not sum to [2, 4]');
  });

  test('rotary embedding turns pairs (i, i + half) by position times frequency', async () => {
    const [heads, tokens, dim, half] = [2, 3, 8, 4];
    const values = wave(heads * tokens * dim);
    const places = [0, 7, 15];
    const x = graph.input('x', 'float32', [1, heads, tokens, dim]);
    const { y } = await evaluate({ y: rotated(x, i64([1, tokens], places)) }, { x: f32(x.shape as number[], values) });
    const { cosines, sines } = ropeTables(dim);
    const expected = values.map((value, i) => {
      const [place, at] = [places[Math.floor(i / dim) % tokens]!, i % dim];
      const [cos, sin] = [cosines.data[place * half + (at % half)]!, sines.data[place * half + (at % half)]!];
      return at < half ? value * cos - values[i + half]! * sin : value * cos + values[i - half]! * sin;
    });
    expect(distance(y!.data as Float32Array, expected)).toBeLessThan(1e-6);
  });

  test('the norm gives x / rms(x) * weight, and 1 / rms(x) beside it', async () => {
    const [rows, size, epsilon] = [3, 8, 1e-5];
    const [values, weight] = [wave(rows * size), wave(size).map((value) => value + 2)];
    const x = graph.input('x', 'float32', [rows, size]);
    const y = graph.rmsNorm(x, graph.constant(f32([size], weight)), epsilon);
    const inverse = (y.from as Extract<typeof y.from, { kind: 'node' }>).node.outputs[1]!;
    const result = await evaluate({ y, inverse }, { x: f32([rows, size], values) });
    const expected = Array.from({ length: rows }, (_, row) => {
      const part = values.subarray(row * size, (row + 1) * size);
      return 1 / Math.sqrt(part.reduce((sum, value) => sum + value ** 2, 0) / size + epsilon);
    });
    expect(result['inverse']!.shape).toEqual([rows, 1]);
    expect(distance(result['inverse']!.data as Float32Array, expected)).toBeLessThan(1e-6);
    const scaled = values.map((value, i) => value * expected[Math.floor(i / size)]! * weight[i % size]!);
    expect(distance(result['y']!.data as Float32Array, scaled)).toBeLessThan(1e-6);
  });

  test('an NF4 product is the dense product with the values spelt out', async () => {
    const [rows, columns, tokens] = [5, 128, 3];
    const values = wave(tokens * columns);
    const x = graph.input('x', 'float32', [tokens, columns]);
    const { y } = await evaluate({ y: nf4Product(x, rows) }, { x: f32([tokens, columns], values) });
    const { dense } = nf4Matrix(rows, columns);
    const expected = Array.from({ length: tokens * rows }, (_, i) => {
      const [token, row] = [Math.floor(i / rows), i % rows];
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += values[token * columns + k]! * dense[row * columns + k]!;
      return sum;
    });
    expect(distance(y!.data as Float32Array, expected)).toBeLessThan(1e-6);
  });

  test.each([-1e9, -3.4028234663852886e38])('softmax under a mask of %s gives nothing to what is masked, and no NaN', async (lowest) => {
    const masked = graph.add(graph.input('x', 'float32', [2, 3]), graph.constant(f32([2, 3], [0, lowest, 0, lowest, lowest, lowest])));
    const { y } = await evaluate({ y: graph.softmax(masked) }, { x: f32([2, 3], [1, 5, 1, -2, 0, 2]) });
    const [first, second] = [numbers(y!).slice(0, 3), numbers(y!).slice(3)];
    expect(first).toEqual([0.5, 0, 0.5]);
    // A row that sees nothing at all: any share will do, but they are shares.
    expect(second.reduce((sum, share) => sum + share)).toBeCloseTo(1, 6);
  });

  test('softmax does not run over', async () => {
    const { y } = await evaluate({ y: graph.softmax(graph.input('x', 'float32', [1, 2])) }, { x: f32([1, 2], [3e38, -3e38]) });
    expect(numbers(y!)).toEqual([1, 0]);
  });

  test('operators without a gradient give what their names say', async () => {
    const x = graph.constant(f32([4], [-1.5, -0.5, 0.5, 2.5]));
    const bytes = graph.constant(tensor('uint8', [2], Uint8Array.of(0xa7, 0x0f)));
    const byte = (value: number): Value => graph.constant(tensor('uint8', [], Uint8Array.of(value)));
    const table = graph.constant(f32([3, 2], [0, 1, 10, 11, 20, 21]));
    const result = await evaluate({
      abs: graph.abs(x),
      steps: graph.quantizeRows(graph.reshape(x, [2, 2]), graph.constant(f32([2], [0.5, 0.01]))),
      greater: graph.greater(x, graph.scalar(0)),
      low: graph.apply('BitwiseAnd', [bytes, byte(15)])[0]!,
      high: graph.apply('BitShift', [bytes, byte(4)], { attributes: { direction: 'RIGHT' } })[0]!,
      rows: graph.gather(table, graph.constant(i64([1, 3], [2, 0, 2]))),
    });
    expect(Object.fromEntries(Object.entries(result).map(([name, one]) => [name, numbers(one)]))).toEqual({
      abs: [1.5, 0.5, 0.5, 2.5],
      // Steps from 128; halves to even; held to 255.
      steps: [125, 127, 178, 255],
      greater: [0, 0, 1, 1],
      low: [7, 15],
      high: [10, 0],
      rows: [20, 21, 0, 1, 20, 21],
    });
    expect(result['rows']!.shape).toEqual([1, 3, 2]);
  });

  test('an 8-bit product is exact up to its scales', async () => {
    const [rows, inner, columns, zero] = [3, 40, 5, 128];
    const a = Uint8Array.from({ length: rows * inner }, (_, i) => (i * 53 + 7) % 256);
    const b = Int8Array.from({ length: inner * columns }, (_, i) => ((i * 29 + 3) % 127) - 63);
    const scales = [1, 0.5, 0.25, 2, 3];
    const { y } = await evaluate({
      y: graph.apply('MatMulIntegerToFloat', [
        graph.constant(tensor('uint8', [rows, inner], a)),
        graph.constant(tensor('int8', [inner, columns], b)),
        graph.scalar(0.5),
        graph.constant(f32([columns], scales)),
        graph.constant(tensor('uint8', [], Uint8Array.of(zero))),
      ])[0]!,
    });
    const expected = Array.from({ length: rows * columns }, (_, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += (a[row * inner + k]! - zero) * b[k * columns + column]!;
      return sum * 0.5 * scales[column]!;
    });
    expect(y).toEqual(f32([rows, columns], expected));
  });
});
