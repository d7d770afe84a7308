import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { backward } from '../../src/graph/backward.ts';
import { gradients, unpackNf4 } from '../../src/graph/gradients.ts';
import * as graph from '../../src/graph/node.ts';
import { inOrder } from '../../src/graph/onnx-proto.ts';
import type { Value } from '../../src/graph/value.ts';
import { distance, evaluate, f32, i64, type Numbers, numbers } from './evaluate.ts';
import { nf4Matrix, rotated } from './gradient-cases.ts';

const ones = (...shape: number[]): Value => {
  const size = shape.reduce((total, dim) => total * dim, 1);
  return graph.constant(f32(shape, new Float32Array(size).fill(1)));
};

/** The gradient of the sum of `y`. */
const slopes = (y: Value, targets: readonly Value[]): readonly Value[] =>
  backward({ outputs: new Map([[y, ones(...(y.shape as number[]))]]), targets });

/** Operators behind some values, by name. */
const operatorsOf = (...values: Value[]): string[] =>
  [...new Set(inOrder(values).flatMap(({ from }) => (from.kind === 'node' ? [from.node] : [])))].map(({ op }) => op);

const x = graph.input('x', 'float32', [2]);

describe('backward', () => {
  test('adds up what arrives over every path', async () => {
    const square = graph.mul(x, x);
    const y = graph.add(graph.mul(square, x), graph.add(square, x)); // x^3 + x^2 + x
    const [dx] = slopes(y, [x]);
    const result = await evaluate({ dx: dx! }, { x: f32([2], [2, -1]) });
    expect(numbers(result['dx']!)).toEqual([17, 2]);
  });

  test('several outputs, each with a gradient of its own', async () => {
    const [y, z] = [graph.mul(x, x), graph.neg(x)];
    const [dx] = backward({
      outputs: new Map([
        [y, graph.constant(f32([2], [1, 10]))],
        [z, graph.constant(f32([2], [100, 1000]))],
      ]),
      targets: [x],
    });
    const result = await evaluate({ dx: dx! }, { x: f32([2], [3, 4]) });
    expect(numbers(result['dx']!)).toEqual([6 - 100, 80 - 1000]);
  });

  test('an output behind another output gets both gradients', async () => {
    const y = graph.mul(x, x);
    const z = graph.mul(y, y);
    const [dy, dx] = backward({
      outputs: new Map([
        [z, ones(2)],
        [y, ones(2)],
      ]),
      targets: [y, x],
    });
    const result = await evaluate({ dy: dy!, dx: dx! }, { x: f32([2], [1, 2]) });
    expect([numbers(result['dy']!), numbers(result['dx']!)]).toEqual([
      [3, 9],
      [6, 36],
    ]);
  });

  test('a target may itself be an output', () => {
    const arriving = ones(2);
    expect(backward({ outputs: new Map([[x, arriving]]), targets: [x] })).toEqual([arriving]);
  });

  test('what is not trained costs nothing', () => {
    const w = graph.input('w', 'float32', [3, 4]);
    const frozen = graph.exp(graph.input('frozen', 'float32', [2, 4]));
    const [dw] = slopes(graph.gemm(frozen, w, { transB: true }), [w]);
    expect(operatorsOf(dw!).toSorted()).toEqual(['Exp', 'Gemm']);
  });

  test('no rule is asked for what lies behind a target', () => {
    const rows = graph.gather(graph.input('table', 'float32', [9, 4]), graph.input('ids', 'int64', [3]));
    expect(() => slopes(graph.mul(rows, rows), [rows])).not.toThrow();
  });

  test('detached values count as constants', async () => {
    const [dx] = slopes(graph.mul(x, graph.detach(x)), [x]);
    const result = await evaluate({ dx: dx! }, { x: f32([2], [3, 4]) });
    expect(numbers(result['dx']!)).toEqual([3, 4]);
  });

  test('a rule may be replaced', async () => {
    const [dx] = backward({
      outputs: new Map([[graph.neg(x), ones(2)]]),
      targets: [x],
      rules: { ...gradients, Neg: (_, g) => [graph.mul(g, graph.scalar(5))] },
    });
    expect(numbers((await evaluate({ dx: dx! }, { x: f32([2], [0, 0]) }))['dx']!)).toEqual([5, 5]);
  });

  test('a gradient of the wrong shape is refused', () => {
    expect(() => backward({ outputs: new Map([[graph.neg(x), ones(3)]]), targets: [x] })).toThrow('graph: gradient [3] of a value [2]');
  });

  test('a target that nothing leads to is refused', () => {
    expect(() => slopes(graph.neg(x), [graph.input('w', 'float32', [2])])).toThrow('graph: no path leads from the outputs to a target');
    expect(() => slopes(graph.detach(x), [x])).toThrow('graph: no path leads');
  });

  test('a path through an operator without a gradient is refused', () => {
    const table = graph.input('table', 'float32', [9, 4]);
    expect(() => slopes(graph.gather(table, graph.input('ids', 'int64', [3])), [table])).toThrow(
      'graph: Gather has no gradient, but what is trained goes through it',
    );
  });

  test('a gradient that arrives at a second output is refused', () => {
    const wide = graph.input('wide', 'float32', [1, 2]);
    const y = graph.rmsNorm(wide, ones(2), 0);
    const inverse = (y.from as Extract<Value['from'], { kind: 'node' }>).node.outputs[1]!;
    expect(() => slopes(graph.neg(inverse), [wide])).toThrow('graph: SimplifiedLayerNormalization has a gradient of its first output only');
  });

  test('ten thousand operators in a row do not overflow the stack', () => {
    let y: Value = x;
    for (let i = 0; i < 10_000; i++) y = graph.neg(y);
    expect(inOrder(slopes(y, [x]))).toHaveLength(10_001);
  });
});

describe('sums of products', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => graph.input(name, 'float32', [2, 2])) as [Value, Value, Value];
  const given = { x: f32([2, 2], [1, 2, 3, 4]), a: f32([2, 2], [1, 1, 0, 1]), b: f32([2, 2], [2, 0, 1, 1]), c: f32([2, 2], [0, 1, 1, 0]) };
  const w = graph.input('x', 'float32', [2, 2]);

  test('of three branches: each product takes the sum so far into its kernel', async () => {
    const products = [a, b, c].map((one) => graph.gemm(w, one));
    const [dx] = slopes(graph.add(graph.add(products[0]!, products[1]!), products[2]!), [w]);
    expect(operatorsOf(dx!)).toEqual(['Gemm', 'Gemm', 'Gemm']);
    const result = await evaluate({ dx: dx! }, given);
    expect(numbers(result['dx']!)).toEqual([5, 4, 5, 4]); // row sums of a + b + c
  });

  test('keeps the transposes and the factor of the product', async () => {
    const y = graph.add(graph.gemm(a, w, { alpha: 3 }), graph.gemm(w, b, { transA: true, transB: true, alpha: 2 }));
    const [dx] = slopes(y, [w]);
    expect(operatorsOf(dx!)).toEqual(['Gemm', 'Gemm']);
    const result = await evaluate({ dx: dx! }, given);
    // 3 a^T 1 + (2 1 b)^T
    expect(numbers(result['dx']!)).toEqual([3 * 1 + 2 * 3, 3 * 1 + 2 * 3, 3 * 2 + 2 * 1, 3 * 2 + 2 * 1]);
  });

  test('leaves a product alone that already adds something', async () => {
    const product = graph.gemm(w, a, { c: b });
    const [dx] = twoGradients(c, product);
    expect(operatorsOf(dx!)).toEqual(['Gemm', 'Add']);
    const result = await evaluate({ dx: dx! }, given);
    expect(numbers(result['dx']!)).toEqual([3, 4, 5, 8]); // c + x a + b
  });

  test('a product that is summed may be used elsewhere as it was', async () => {
    const product = graph.gemm(a, b);
    const [dx] = twoGradients(c, product);
    expect(operatorsOf(dx!)).toEqual(['Gemm']);
    const result = await evaluate({ dx: dx!, product }, given);
    expect(numbers(result['product']!)).toEqual([3, 1, 1, 1]);
    expect(numbers(result['dx']!)).toEqual([3, 2, 2, 1]);
  });

  /** The gradient of w where `first` arrives at it, and then `second`. */
  function twoGradients(first: Value, second: Value): readonly Value[] {
    const behind = graph.add(w, graph.constant(f32([2, 2], [0, 0, 0, 0])));
    return backward({
      outputs: new Map([
        [w, first],
        [behind, second],
      ]),
      targets: [w],
    });
  }
});

describe('NF4', () => {
  test('is spelt out to the same numbers, whatever the shape of rows and blocks', async () => {
    for (const [rows, columns] of [
      [4, 128],
      [6, 32],
      [2, 96],
      [64, 1],
    ] as const) {
      const { packed, absmax, dense } = nf4Matrix(rows, columns);
      const attributes = { K: columns, N: rows, block_size: 64, quant_type: 1 };
      const y = unpackNf4({ packed: graph.constant(packed), absmax: graph.constant(absmax), attributes });
      expect((await evaluate({ y }))['y']).toEqual(f32([rows, columns], dense));
    }
  });
});

describe('a decoder block', () => {
  test('has PyTorch’s values and gradients', async () => {
    const {
      names,
      inputs,
      output,
      arriving,
      gradients: expected,
    } = JSON.parse(readFileSync('test/oracle/llm/gradients/block.json', 'utf8')) as {
      names: string[];
      inputs: Numbers[];
      output: Numbers;
      arriving: Numbers;
      gradients: Numbers[];
    };
    const w = Object.fromEntries(names.map((name, i) => [name, graph.input(name, 'float32', inputs[i]!.shape)])) as Record<string, Value>;
    const y = decoderBlock(w);
    const found = backward({
      outputs: new Map([[y, graph.constant(f32(arriving.shape, arriving.values))]]),
      targets: names.map((name) => w[name]!),
    });
    const result = await evaluate(
      { y, ...Object.fromEntries(found.map((gradient, i) => [`d_${names[i]}`, gradient])) },
      Object.fromEntries(names.map((name, i) => [name, f32(inputs[i]!.shape, inputs[i]!.values)])),
    );
    expect(distance(result['y']!.data as Float32Array, output.values)).toBeLessThan(2e-6);
    for (const [i, name] of names.entries()) {
      expect(distance(result[`d_${name}`]!.data as Float32Array, expected[i]!.values), name).toBeLessThan(5e-6);
    }
  });
});

/** The block of recipe.py: 4 heads of 8, 2 of them for keys and values; a query's group lies in the rows of its key. */
function decoderBlock(w: Readonly<Record<string, Value>>): Value {
  const tokens = w['x']!.shape[0] as number;
  const [heads, shared, dim] = [4, 2, 8];
  const group = heads / shared;
  const split = (y: Value, count: number): Value => graph.transpose(graph.reshape(y, [1, tokens, count, dim]), [0, 2, 1, 3]);
  const places = i64(
    [1, tokens],
    Array.from({ length: tokens }, (_, i) => i),
  );
  const linear = (h: Value, name: string): Value => graph.gemm(h, w[name]!, { transB: true, label: name });

  const normed = graph.rmsNorm(w['x']!, w['norm1']!, 1e-5);
  const q = graph.reshape(rotated(split(linear(normed, 'q'), heads), places), [shared, group * tokens, dim]);
  const k = graph.reshape(rotated(split(linear(normed, 'k'), shared), places), [shared, tokens, dim]);
  const v = graph.reshape(split(linear(normed, 'v'), shared), [shared, tokens, dim]);
  const mask = Array.from({ length: group * tokens * tokens }, (_, i) => (i % tokens > Math.floor(i / tokens) % tokens ? -1e9 : 0));
  const scores = graph.matMul(q, k, { transB: true, alpha: dim ** -0.5 });
  const shares = graph.softmax(graph.add(scores, graph.constant(f32([group * tokens, tokens], mask))));
  const attended = graph.transpose(graph.reshape(graph.matMul(shares, v), [heads, tokens, dim]), [1, 0, 2]);
  const middle = graph.add(w['x']!, linear(graph.reshape(attended, [tokens, heads * dim]), 'o'));

  const again = graph.rmsNorm(middle, w['norm2']!, 1e-5);
  return graph.add(middle, linear(graph.mul(graph.silu(linear(again, 'gate')), linear(again, 'up')), 'down'));
}
