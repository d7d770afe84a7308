import { describe, expect, test } from 'vitest';

import { bytesOf, peakBytes } from '../../src/graph/memory.ts';
import * as graph from '../../src/graph/node.ts';

/** 1 KiB each, as all that is made of it. */
const x = graph.input('x', 'float32', [16, 16]);
const KiB = 1024;

describe('memory of a graph', () => {
  test('in a chain, an operator’s operand and its output are alive at once; what is given from outside is not counted', () => {
    const [first, second] = [graph.exp(x), graph.exp(graph.exp(x))];
    expect(peakBytes([first])).toBe(KiB);
    expect(peakBytes([second])).toBe(2 * KiB);
    expect(peakBytes([graph.exp(graph.exp(second))])).toBe(2 * KiB);
  });

  test('an output stays to the end, another value until its last use', () => {
    const first = graph.exp(x);
    const last = graph.exp(graph.exp(first));
    expect(peakBytes([first, last])).toBe(3 * KiB);
    expect(peakBytes([graph.add(last, first)])).toBe(3 * KiB);
    expect(peakBytes([graph.exp(graph.exp(graph.add(graph.exp(first), first)))])).toBe(3 * KiB);
  });

  test('what is given is neither computed nor counted', () => {
    const kept = graph.exp(graph.exp(x));
    expect(peakBytes([graph.exp(kept)], new Set([kept]))).toBe(KiB);
  });

  test('types have their sizes', () => {
    expect(peakBytes([graph.cast(x, 'int64')])).toBe(2 * KiB);
    expect(peakBytes([graph.cast(x, 'float16')])).toBe(KiB / 2);
    expect(bytesOf({ type: 'bool', shape: [3, 0] })).toBe(0);
  });

  test('refuses what depends on a size not known yet', () => {
    expect(() => peakBytes([graph.exp(graph.input('y', 'float32', ['n']))])).toThrow('graph: size not known yet: n of [n]');
  });
});
