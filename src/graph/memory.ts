// How much memory a graph takes while it runs: walk its operators in the order they are written, count each output when it is made and
// let it go after its last use. Inputs and constants are somebody else's. The runtime reuses some buffers in place, so this is a bound.

import { inOrder } from './onnx-proto.ts';
import { product } from './shapes.ts';
import type { DataType } from './tensor.ts';
import { fixed, type Node, type Typed, type Value } from './value.ts';

export const bytesPer: { readonly [T in DataType]: number } = {
  float32: 4,
  float16: 2,
  int64: 8,
  int32: 4,
  int8: 1,
  uint8: 1,
  uint16: 2,
  bool: 1,
};

/** Bytes of a value whose shape is known. */
export const bytesOf = ({ type, shape }: Typed): number => bytesPer[type] * product(fixed(shape));

/**
 * The most bytes alive at once while `outputs` are computed, outputs included.
 *
 * @param given values that come from outside, as for `writeModel`
 */
export function peakBytes(outputs: readonly Value[], given: ReadonlySet<Value> = new Set()): number {
  const order = inOrder(outputs, given).filter((value) => value.from.kind === 'node' && !given.has(value));
  const nodes = [...new Set(order.map((value) => (value.from as { readonly node: Node }).node))];
  const lastUse = new Map<Value, number>();
  nodes.forEach((node, at) => {
    for (const operand of node.inputs) if (operand) lastUse.set(operand, at);
  });
  for (const value of outputs) lastUse.set(value, nodes.length);
  const leaving = new Map<number, Value[]>();
  for (const [value, at] of lastUse) leaving.set(at, [...(leaving.get(at) ?? []), value]);

  const alive = new Set<Value>();
  let now = 0;
  let peak = 0;
  nodes.forEach((node, at) => {
    for (const value of node.outputs) {
      if (!lastUse.has(value)) continue;
      alive.add(value);
      now += bytesOf(value);
    }
    peak = Math.max(peak, now);
    for (const value of leaving.get(at) ?? []) if (alive.delete(value)) now -= bytesOf(value);
  });
  return peak;
}
