// A graph is built by calling functions on values: each call checks its operands and gives a value that remembers how it came
// about. There is no graph object; `writeModel` (onnx-proto.ts) walks back from the outputs that are asked for.
//
//   const x = input('x', 'float32', [4, 8]);
//   const w = input('w', 'float32', [3, 8]);
//   const y = gemm(x, w, { transB: true });        // y.shape: [4, 3]

import { type OpName, operators, sameShape, typeNumbers } from './shapes.ts';
import type { DataType, Tensor } from './tensor.ts';
import { tensor } from './tensor.ts';
import { type Attributes, fixed, type Node, type Shape, showShape, type Value } from './value.ts';

/** A value given from outside at every run. */
export const input = (name: string, type: DataType, shape: Shape): Value => ({ type, shape, from: { kind: 'input', name } });

/** A value written into the model. */
export const constant = (of: Tensor): Value => ({ type: of.type, shape: of.shape, from: { kind: 'constant', tensor: of } });

export const scalar = (value: number): Value => constant(tensor('float32', [], Float32Array.of(value)));

/**
 * Applies an operator.
 *
 * @returns its outputs, of checked types and shapes
 * @throws Error `graph: Gemm "q_proj": inner sizes differ: ...`: a mistake of whoever builds the graph
 */
export function apply(
  op: OpName,
  inputs: readonly (Value | undefined)[],
  { attributes = {}, label = '' }: { readonly attributes?: Attributes; readonly label?: string } = {},
): readonly Value[] {
  const node: { -readonly [K in keyof Node]: Node[K] } = { op, inputs, attributes, label, outputs: [] };
  try {
    const typed = operators[op].infer(inputs as readonly Value[], attributes);
    node.outputs = typed.map(({ type, shape }, output) => ({ type, shape, from: { kind: 'node', node, output } }));
  } catch (cause) {
    const name = label ? `${op} "${label}"` : op;
    throw new Error(`graph: ${name}: ${(cause as Error).message}`, { cause });
  }
  return node.outputs;
}

const one = (op: OpName, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, label = ''): Value =>
  apply(op, inputs, { attributes, label })[0]!;

export const add = (a: Value, b: Value): Value => one('Add', [a, b]);
export const sub = (a: Value, b: Value): Value => one('Sub', [a, b]);
export const mul = (a: Value, b: Value): Value => one('Mul', [a, b]);
export const div = (a: Value, b: Value): Value => one('Div', [a, b]);
export const neg = (x: Value): Value => one('Neg', [x]);
export const abs = (x: Value): Value => one('Abs', [x]);
export const exp = (x: Value): Value => one('Exp', [x]);
export const log = (x: Value): Value => one('Log', [x]);
export const sqrt = (x: Value): Value => one('Sqrt', [x]);
export const reciprocal = (x: Value): Value => one('Reciprocal', [x]);
/** x, taken as a constant by the backward pass. */
export const detach = (x: Value): Value => one('Identity', [x]);
export const tanh = (x: Value): Value => one('Tanh', [x]);
export const sigmoid = (x: Value): Value => one('Sigmoid', [x]);
/** x * sigmoid(x). */
export const silu = (x: Value): Value => one('QuickGelu', [x], { alpha: 1 });
/** The tanh form of Gelu (gelu_pytorch_tanh). */
export const gelu = (x: Value): Value => one('Gelu', [x], { approximate: 'tanh' });
/** Over the last axis. */
export const softmax = (x: Value): Value => one('Softmax', [x], { axis: -1 });
export const greater = (a: Value, b: Value): Value => one('Greater', [a, b]);
export const where = (condition: Value, a: Value, b: Value): Value => one('Where', [condition, a, b]);

/** Over the named axes, whose sizes stay as 1. */
export const reduceSum = (x: Value, axes: readonly number[]): Value => one('ReduceSum', [x], { axes, keepdims: 1 });
export const reduceMean = (x: Value, axes: readonly number[]): Value => one('ReduceMean', [x], { axes, keepdims: 1 });
export const reduceMax = (x: Value, axes: readonly number[]): Value => one('ReduceMax', [x], { axes, keepdims: 1 });

export type Product = { readonly transA?: boolean; readonly transB?: boolean; readonly alpha?: number; readonly label?: string };

const productAttributes = ({ transA = false, transB = false, alpha = 1 }: Product): Attributes => ({
  transA: Number(transA),
  transB: Number(transB),
  alpha,
});

/** alpha * a b + c on matrices, either operand transposed. */
export const gemm = (a: Value, b: Value, { c, ...rest }: Product & { readonly c?: Value } = {}): Value =>
  one('Gemm', c ? [a, b, c] : [a, b], productAttributes(rest), rest.label);

/** alpha * a b over the last two axes, either operand transposed; the axes before them run in parallel. */
export const matMul = (a: Value, b: Value, options: Product = {}): Value =>
  one('FusedMatMul', [a, b], productAttributes(options), options.label);

/** Whole numbers 0..255 for the rows of x: 128 + x / step of its row, rounded. */
export const quantizeRows = (x: Value, steps: Value): Value => one('QuantizeLinear', [x, steps, middle(x)], { axis: 0 });
const middle = ({ shape }: Value): Value => constant(tensor('uint8', [fixed(shape)[0]!], new Uint8Array(fixed(shape)[0]!).fill(128)));

/** x / rms(x) * weight over the last axis. */
export const rmsNorm = (x: Value, weight: Value, epsilon: number): Value =>
  one('SimplifiedLayerNormalization', [x, weight], { axis: -1, epsilon });

/** Rotary position embedding of x [batch, heads, tokens, dim]: cosines and sines [positions, dim / 2], positions [batch, tokens] or [1]. */
export const rotate = (x: Value, { positions, cosines, sines }: { positions: Value; cosines: Value; sines: Value }): Value =>
  one('RotaryEmbedding', [x, positions, cosines, sines], { interleaved: 0 });

export const cast = (x: Value, to: DataType): Value => (x.type === to ? x : one('Cast', [x], { to: typeNumbers[to] }));
export const reshape = (x: Value, shape: Shape): Value => (sameShape(x.shape, shape) ? x : one('Reshape', [x], { shape }));
export const transpose = (x: Value, perm: readonly number[]): Value => one('Transpose', [x], { perm });
export const expand = (x: Value, shape: Shape): Value => one('Expand', [x], { shape });
export const concat = (values: readonly Value[], axis: number): Value => one('Concat', values, { axis });
export const gather = (table: Value, rows: Value): Value => one('Gather', [table, rows], { axis: 0 });

/** Places `from` up to but not `to` of one axis. */
export const slice = (x: Value, { axis, from, to }: { readonly axis: number; readonly from: number; readonly to: number }): Value =>
  one('Slice', [x], { from, to, axis });

/** One axis cut into stretches of these sizes. */
export const split = (x: Value, { axis, sizes }: { readonly axis: number; readonly sizes: readonly number[] }): readonly Value[] =>
  sizes.length === 1 ? [x] : apply('Split', [x], { attributes: { axis, sizes } });

/** Sums x down to a shape it was broadcast from. */
export function sumTo(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((dim, i) => (i < lead || (shape[i - lead] === 1 && dim !== 1) ? [i] : []));
  if (axes.length === 0) throw new Error(`graph: ${showShape(x.shape)} does not sum to ${showShape(shape)}`);
  const summed = reduceSum(x, axes);
  return sameShape(summed.shape, shape) ? summed : reshape(summed, fixed(shape));
}
