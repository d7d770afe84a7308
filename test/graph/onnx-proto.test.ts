import { describe, expect, test } from 'vitest';

import * as graph from '../../src/graph/node.ts';
import { inOrder, writeModel } from '../../src/graph/onnx-proto.ts';
import type { Value } from '../../src/graph/value.ts';
import { evaluate, f32, numbers, runOnce } from './evaluate.ts';

const x = graph.input('x', 'float32', [2]);

describe('model', () => {
  test('says what it takes and gives', () => {
    const w = graph.input('w', 'float32', [2]);
    const unused = graph.input('unused', 'float32', [2]);
    const y = graph.mul(x, w);
    graph.add(y, unused);
    const model = writeModel({ outputs: { y } });
    expect([...model.inputs.keys()]).toEqual(['x', 'w']);
    expect([...model.outputs]).toEqual([['y', y]]);
  });

  test('a value that is given is asked for, and what it was made of is not', async () => {
    const slow = graph.exp(graph.mul(x, graph.input('w', 'float32', [2])));
    const y = graph.add(slow, graph.scalar(1));
    const given = new Map([[slow, 'kept']]);
    const model = writeModel({ outputs: { y, z: graph.mul(y, x) }, given });
    expect([...model.inputs.keys()]).toEqual(['kept', 'x']);
    const result = await runOnce(model, { kept: f32([2], [10, 20]), x: f32([2], [2, 3]) });
    expect([numbers(result['y']!), numbers(result['z']!)]).toEqual([
      [11, 21],
      [22, 63],
    ]);
  });

  test('what is given may also be asked for, and an input may go by another name', async () => {
    const y = graph.neg(x);
    const result = await evaluate(
      { again: y, z: graph.neg(y), same: x },
      { y: f32([2], [1, 2]), first: f32([2], [5, 6]) },
      new Map([
        [y, 'y'],
        [x, 'first'],
      ]),
    );
    expect(['again', 'z', 'same'].map((name) => numbers(result[name]!))).toEqual([
      [1, 2],
      [-1, -2],
      [5, 6],
    ]);
  });

  test('one output of a node may be given while another is computed', async () => {
    const wide = graph.input('wide', 'float32', [1, 2]);
    const y = graph.rmsNorm(wide, graph.constant(f32([2], [1, 1])), 0);
    const inverse = (y.from as Extract<Value['from'], { kind: 'node' }>).node.outputs[1]!;
    const result = await evaluate(
      { product: graph.mul(y, inverse) },
      { wide: f32([1, 2], [2, 2]), kept: f32([1, 2], [10, 20]) },
      new Map([[y, 'kept']]),
    );
    expect(numbers(result['product']!)).toEqual([5, 10]);
  });

  test('a value may have several names, and an input or a constant may be an output', async () => {
    const y = graph.neg(x);
    const result = await evaluate({ a: y, b: y, x, c: graph.scalar(7) }, { x: f32([2], [1, 2]) });
    expect(['a', 'b', 'x', 'c'].map((name) => numbers(result[name]!))).toEqual([[-1, -2], [-1, -2], [1, 2], [7]]);
  });

  test('a value used twice is computed once', () => {
    const shared = graph.exp(x);
    const once = writeModel({ outputs: { y: graph.add(shared, shared) } });
    const twice = writeModel({ outputs: { y: graph.add(graph.exp(x), graph.exp(x)) } });
    expect(once.bytes.length).toBeLessThan(twice.bytes.length);
    expect(inOrder([graph.add(shared, shared)])).toHaveLength(3);
  });

  test.each([
    { name: 'two inputs', outputs: { y: graph.add(x, graph.input('x', 'float32', [2])) }, says: 'graph: two inputs are called x' },
    { name: 'an input and an output', outputs: { x: graph.neg(x) }, says: 'graph: an input and an output are called x' },
  ])('refuses one name for $name', ({ outputs, says }) => {
    expect(() => writeModel({ outputs })).toThrow(says);
  });

  test('an input whose value is stored is not asked for', async () => {
    const model = writeModel({
      outputs: { y: graph.add(graph.input('x', 'float32', [2]), graph.input('w', 'float32', [2])) },
      stored: { w: f32([2], [3, 4]) },
    });
    expect([...model.inputs.keys()]).toEqual(['x']);
    const { y } = await runOnce(model, { x: f32([2], [1, 1]) });
    expect(numbers(y!)).toEqual([4, 5]);
  });

  test('refuses one name for an input and what is given', () => {
    const w = graph.input('w', 'float32', [2]);
    const y = graph.neg(w);
    expect(() => writeModel({ outputs: { z: graph.add(x, y) }, given: new Map([[y, 'x']]) })).toThrow('graph: two inputs are called x');
  });

  test('refuses an attribute that the operator does not have', () => {
    const y = graph.apply('Neg', [x], { attributes: { alpha: 2 }, label: 'here' })[0]!;
    expect(() => writeModel({ outputs: { y } })).toThrow('graph: here_0: unknown attribute alpha');
  });

  test('ten thousand nodes in a row do not overflow the stack', async () => {
    let y: Value = x;
    for (let i = 0; i < 10_000; i++) y = graph.neg(y);
    expect(inOrder([y])).toHaveLength(10_001);
    const result = await evaluate({ y }, { x: f32([2], [1, 2]) });
    expect(numbers(result['y']!)).toEqual([1, 2]);
  });

  test('a constant is read where it lies, also from the middle of other memory', async () => {
    const memory = Float32Array.of(0, 1, 2, 3);
    const held = { type: 'float32', shape: [2], data: memory.subarray(1, 3) } as const;
    const { y } = await evaluate({ y: graph.add(x, graph.constant(held)) }, { x: f32([2], [10, 10]) });
    expect(numbers(y!)).toEqual([11, 12]);
  });
});
