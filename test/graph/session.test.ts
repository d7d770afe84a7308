import { describe, expect, test } from 'vitest';

import { UserError } from '../../src/base/errors.ts';
import { add, apply, cast, concat, constant, greater, input, matMul, mul } from '../../src/graph/node.ts';
import { writeModel } from '../../src/graph/onnx-proto.ts';
import { openSession, runtimeVersion, type Session } from '../../src/graph/session.ts';
import { tensor } from '../../src/graph/tensor.ts';
import { evaluate, f32, i64, numbers } from './evaluate.ts';

describe('session', () => {
  test('half precision goes in and comes out as its 16 bits', async () => {
    const x = input('x', 'float16', [3]);
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001); // 1, -2, 2^-24
    const { single, half, twice } = await evaluate(
      { single: cast(x, 'float32'), half: cast(cast(x, 'float32'), 'float16'), twice: add(x, x) },
      { x: tensor('float16', [3], bits) },
    );
    expect(numbers(single!)).toEqual([1, -2, 2 ** -24]);
    expect(half).toEqual({ type: 'float16', shape: [3], data: bits });
    expect(half!.data).toBeInstanceOf(Uint16Array);
    expect(twice!.data).toEqual(Uint16Array.of(0x4000, 0xc400, 0x0002));
  });

  test('half precision may be a view into other memory, and a constant', async () => {
    const memory = Uint16Array.of(0, 0x3c00, 0x4000, 0);
    const x = input('x', 'float16', [2]);
    const one = constant(tensor('float16', [1], Uint16Array.of(0x3c00)));
    const { y } = await evaluate({ y: cast(add(x, one), 'float32') }, { x: tensor('float16', [2], memory.subarray(1, 3)) });
    expect(numbers(y!)).toEqual([2, 3]);
  });

  test.each([
    { type: 'int64', data: BigInt64Array.of(-(2n ** 62n), 7n) },
    { type: 'int32', data: Int32Array.of(-(2 ** 31), 7) },
    { type: 'int8', data: Int8Array.of(-128, 127) },
    { type: 'uint8', data: Uint8Array.of(0, 255) },
    { type: 'uint16', data: Uint16Array.of(0, 65_535) },
    { type: 'bool', data: Uint8Array.of(1, 0) },
  ] as const)('$type passes unchanged', async ({ type, data }) => {
    const x = input('x', type, [2]);
    const given = { type, shape: [2], data } as Parameters<typeof constant>[0];
    const { y, z } = await evaluate({ y: apply('Identity', [x])[0]!, z: apply('Identity', [constant(given)])[0]! }, { x: given });
    expect(y).toEqual(given);
    expect(z).toEqual(given);
  });

  test('comparisons come out as bytes', async () => {
    const x = input('x', 'float32', [3]);
    const { y } = await evaluate({ y: greater(x, constant(f32([], [1]))) }, { x: f32([3], [0, 1, 2]) });
    expect(y).toEqual({ type: 'bool', shape: [3], data: Uint8Array.of(0, 0, 1) });
  });

  test('sizes known only at the run: from nothing cached to something', async () => {
    const past = input('past', 'float32', [2, 'past', 4]);
    const now = input('now', 'float32', [2, 1, 4]);
    const all = concat([past, now], 1);
    expect(all.shape).toEqual([2, 'past+1', 4]);
    const scores = matMul(now, all, { transB: true });
    expect(scores.shape).toEqual([2, 1, 'past+1']);

    const session = await openSession(writeModel({ outputs: { all, scores, mixed: matMul(scores, all) } }), { threads: 1 });
    const step = f32([2, 1, 4], [1, 0, 0, 0, 0, 1, 0, 0]);
    const first = await session.run({ past: f32([2, 0, 4], []), now: step });
    expect(first['all']!.shape).toEqual([2, 1, 4]);
    expect(numbers(first['scores']!)).toEqual([1, 1]);
    const second = await session.run({ past: first['all']!, now: step });
    expect(second['all']!.shape).toEqual([2, 2, 4]);
    expect(second['scores']).toEqual(f32([2, 1, 2], [1, 1, 1, 1]));
    expect(numbers(second['mixed']!)).toEqual([2, 0, 0, 0, 0, 2, 0, 0]);
    await session.close();
  });

  test('nothing at all may come out', async () => {
    const x = input('x', 'float32', ['n', 3]);
    const { y } = await evaluate({ y: mul(x, x) }, { x: f32([0, 3], []) });
    expect(y).toEqual(f32([0, 3], []));
  });

  test('an output is written over what is given for it', async () => {
    const x = input('x', 'float32', [2]);
    const session = await openSession(writeModel({ outputs: { y: mul(x, x) } }), { threads: 1 });
    const y = f32([2], [0, 0]);
    await session.run({ x: f32([2], [1, 2]) }, { y });
    expect(numbers(y)).toEqual([1, 4]);
    await session.close();
  });

  test('a run leaves its inputs alone and gives memory of its own', async () => {
    const x = input('x', 'float32', [2]);
    const session = await openSession(writeModel({ outputs: { y: mul(x, x) } }), { threads: 1 });
    const given = f32([2], [2, 3]);
    const { y: first } = await session.run({ x: given });
    const { y: second } = await session.run({ x: f32([2], [5, 6]) });
    expect([numbers(given), numbers(first!), numbers(second!)]).toEqual([
      [2, 3],
      [4, 9],
      [25, 36],
    ]);
    await session.close();
  });

  test.each([
    { name: 'nothing', given: {}, says: 'graph: input not given: x' },
    {
      name: 'another type',
      given: { x: i64([2, 3], [1, 2, 3, 4, 5, 6]) },
      says: 'graph: input x: expected float32 [2, n], got int64 [2, 3]',
    },
    {
      name: 'another size',
      given: { x: f32([3, 2], [1, 2, 3, 4, 5, 6]) },
      says: 'graph: input x: expected float32 [2, n], got float32 [3, 2]',
    },
    {
      name: 'more axes',
      given: { x: f32([2, 3, 1], [1, 2, 3, 4, 5, 6]) },
      says: 'graph: input x: expected float32 [2, n], got float32 [2, 3, 1]',
    },
    { name: 'fewer axes', given: { x: f32([2], [1, 2]) }, says: 'graph: input x: expected float32 [2, n], got float32 [2]' },
  ])('refuses $name by the input’s name', async ({ given, says }) => {
    const x = input('x', 'float32', [2, 'n']);
    const session = await openSession(writeModel({ outputs: { y: mul(x, x) } }), { threads: 1 });
    await expect(session.run(given)).rejects.toThrow(says);
    await session.close();
  });

  test('says what the runtime has against a model, with the node’s name', async () => {
    const bits = input('bits', 'int8', [2]);
    const model = writeModel({
      outputs: { y: apply('BitShift', [bits, bits], { attributes: { direction: 'LEFT' }, label: 'low_nibbles' })[0]! },
    });
    await expect(openSession(model)).rejects.toThrow(/^graph: the runtime refuses the model: .*int8.*BitShift.*low_nibbles/);
  });

  test.each(['cuda', 'webgpu'] as const)('%s opens, or says what is installed and what it needs', async (provider) => {
    const x = input('x', 'float32', [2]);
    const opened = await openSession(writeModel({ outputs: { y: mul(x, x) } }), { provider }).catch((error: unknown) => error);
    if (!(opened instanceof Error)) return (opened as Session).close();
    expect(opened).toBeInstanceOf(UserError);
    expect((opened as UserError).code).toBe('runtime.provider');
    expect(opened.message).toMatch(
      new RegExp(`^runtime: provider (does not start|is not installed): ${provider}; installed: cpu.*; ${provider} needs `),
    );
  });

  test('the runtime has a version', () => {
    expect(runtimeVersion()).toMatch(/^\d+\.\d+\.\d+/);
  });
});
