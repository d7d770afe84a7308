import { describe, expect, test } from 'vitest';

import { add, input, scalar } from '../../src/graph/node.ts';
import { writeModel } from '../../src/graph/onnx-proto.ts';
import { openSession } from '../../src/graph/session.ts';
import { passMemory } from '../../src/models/pass-memory.ts';
import { f32, numbers } from '../graph/evaluate.ts';

const plusOne = (size: number) =>
  openSession(writeModel({ outputs: { y: add(input('x', 'float32', [size]), scalar(1)) } }), { threads: 1 });

describe('the memory of a pass', () => {
  test('is written over at the same place and apart at others', async () => {
    const session = await plusOne(2);
    const memory = passMemory();
    const run = async (place: string, x: readonly number[]) => (await session.run({ x: f32([2], x) }, memory(place, session)))['y']!;
    const [first, other, again] = [await run('layer 0', [1, 2]), await run('layer 1', [3, 4]), await run('layer 0', [5, 6])];
    expect([first, other, again].map(numbers)).toEqual([
      [6, 7],
      [4, 5],
      [6, 7],
    ]);
    expect(again.data.buffer).toBe(first.data.buffer);
  });

  test('grows to the largest batch and serves smaller ones from there', async () => {
    const memory = passMemory();
    const places = [];
    for (const size of [2, 6, 3]) {
      const session = await plusOne(size);
      places.push((await session.run({ x: f32([size], new Array(size).fill(size)) }, memory('layer 0', session)))['y']!);
    }
    expect(places.map(({ shape }) => shape)).toEqual([[2], [6], [3]]);
    expect(numbers(places[2]!)).toEqual([4, 4, 4]);
    expect(places[2]!.data.buffer).toBe(places[1]!.data.buffer);
  });
});
