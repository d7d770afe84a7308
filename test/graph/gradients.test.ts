import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';

import { backward } from '../../src/graph/backward.ts';
import { gradients } from '../../src/graph/gradients.ts';
import { cast, constant, gemm, input } from '../../src/graph/node.ts';
import { writeModel } from '../../src/graph/onnx-proto.ts';
import { openSession, type Session } from '../../src/graph/session.ts';
import { operators } from '../../src/graph/shapes.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import type { Node } from '../../src/graph/value.ts';
import { distance, evaluate, f32, type Numbers } from './evaluate.ts';
import { constants, gradientCases, refused } from './gradient-cases.ts';

type Solved = {
  readonly inputs: readonly Numbers[];
  readonly output: Numbers;
  readonly arriving: Numbers;
  readonly gradients: readonly Numbers[];
};

const oracle = JSON.parse(readFileSync('test/oracle/llm/gradients/operators.json', 'utf8')) as Readonly<Record<string, Solved>>;

describe('gradients', () => {
  test('every operator has a case here, or is named as one without a gradient', () => {
    const tested = [...new Set<string>(Object.values(gradientCases).map(({ op }) => op)), ...refused, ...constants];
    expect(tested.toSorted()).toEqual(Object.keys(operators).toSorted());
  });

  test('cases and oracle are the same list', () => {
    expect(Object.keys(gradientCases).toSorted()).toEqual(Object.keys(oracle).toSorted());
  });

  test.each(refused)('%s refuses: a gradient that is silently lost is a wrong one', (op) => {
    const x = input('x', 'float32', [2, 2]);
    const node: Node = { op, inputs: [x, x], attributes: {}, label: 'here', outputs: [] };
    expect(() => gradients[op](node, x)).toThrow(`graph: ${op} "here" has no gradient`);
  });

  test.each(constants)('%s lets nothing through', (op) => {
    const x = input('x', 'float32', [2, 2]);
    expect(gradients[op]({ op, inputs: [x], attributes: {}, label: '', outputs: [] }, x)).toEqual([]);
  });

  test('a cast of whole numbers lets nothing back', () => {
    const x = input('x', 'int32', [2]);
    const y = cast(x, 'float32');
    expect(y.from.kind === 'node' && gradients.Cast(y.from.node, y)).toEqual([undefined]);
  });
});

describe.each(Object.keys(gradientCases))('gradient of %s', (name) => {
  const { build } = gradientCases[name]!;
  const { inputs, output, arriving, gradients: expected } = oracle[name]!;
  const feeds = inputs.map(({ shape, values }) => f32(shape, values));
  const opened: Session[] = [];
  afterAll(() => Promise.all(opened.map((session) => session.close())));

  const operands = inputs.map(({ shape }, i) => input(`x${i}`, 'float32', shape));
  const y = build(...operands);
  const found = backward({ outputs: new Map([[y, constant(f32(arriving.shape, arriving.values))]]), targets: operands });

  const open = async (outputs: Parameters<typeof writeModel>[0]['outputs']): Promise<Session> => {
    const session = await openSession(writeModel({ outputs }), { threads: 1 });
    opened.push(session);
    return session;
  };
  const named = (tensors: readonly Tensor[]) => Object.fromEntries(tensors.map((one, i) => [`x${i}`, one]));

  test('is PyTorch’s', async () => {
    const session = await open({ y, ...Object.fromEntries(found.map((gradient, i) => [`g${i}`, gradient])) });
    const result = await session.run(named(feeds));
    expect(result['y']!.shape).toEqual(output.shape);
    expect(distance(result['y']!.data as Float32Array, output.values)).toBeLessThan(2e-6);
    expected.forEach(({ shape, values }, i) => {
      expect(result[`g${i}`]!.shape).toEqual(shape);
      expect(distance(result[`g${i}`]!.data as Float32Array, values)).toBeLessThan(5e-6);
    });
  });

  test('is what small changes of the input do', async () => {
    const session = await open({ y });
    for (const [at, { data }] of feeds.entries()) {
      const slope = await centralDifferences({
        count: data.length,
        of: async (place, step) => {
          const moved = Float32Array.from(data);
          moved[place]! += step;
          const { y: there } = await session.run(named(feeds.with(at, f32(feeds[at]!.shape, moved))));
          return (there!.data as Float32Array).reduce((sum, value, i) => sum + value * arriving.values[i]!, 0);
        },
      });
      expect(distance(slope, expected[at]!.values)).toBeLessThan(2e-4);
    }
  });
});

test.each([
  { transA: false, rows: 40, how: 'computed lying' },
  { transA: true, rows: 40, how: 'computed lying' },
  { transA: false, rows: 8, how: 'as it is' },
])('the gradient of a right operand of $rows rows and 2 columns, $how (transA $transA)', async ({ transA, rows }) => {
  const tokens = 3;
  const value = (row: number, column: number) => Math.sin(7 * row + column);
  const [a, b] = [input('a', 'float32', transA ? [2, tokens] : [tokens, 2]), input('b', 'float32', [rows, 2])];
  const y = gemm(a, b, { transA, transB: true, alpha: 0.5 });
  const [slope] = backward({ outputs: new Map([[y, input('dy', 'float32', [tokens, rows])]]), targets: [b] });
  const given = Array.from({ length: 2 * tokens }, (_, at) =>
    transA ? value(at % tokens, Math.floor(at / tokens)) : value(at >> 1, at & 1),
  );
  const arriving = Array.from({ length: tokens * rows }, (_, at) => value(Math.floor(at / rows), at % rows));
  const { found } = await evaluate({ found: slope! }, { a: f32(a.shape as number[], given), dy: f32([tokens, rows], arriving) });
  const expected = Array.from({ length: rows * 2 }, (_, at) =>
    [0, 1, 2].reduce((sum, token) => sum + 0.5 * value(token, at >> 1) * value(token, at & 1), 0),
  );
  expect(distance(found!.data as Float32Array, expected)).toBeLessThan(1e-6);
});

/**
 * The slope of a function along each of `count` places, of fourth order: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h. With h = 1/32 the
 * rest of the series and the rounding of float32 are both below 1e-4 for functions as gentle as these.
 */
async function centralDifferences({
  count,
  of,
}: {
  readonly count: number;
  readonly of: (place: number, step: number) => Promise<number>;
}): Promise<number[]> {
  const h = 1 / 32;
  const slopes: number[] = [];
  for (let place = 0; place < count; place++) {
    const near = (await of(place, h)) - (await of(place, -h));
    const far = (await of(place, 2 * h)) - (await of(place, -2 * h));
    slopes.push((8 * near - far) / (12 * h));
  }
  return slopes;
}
