// One case per operator and way to use it. Their numbers stand under the same names in test/oracle/llm/gradients/operators.json.

import * as graph from '../../src/graph/node.ts';
import type { OpName } from '../../src/graph/shapes.ts';
import { type Tensor, tensor } from '../../src/graph/tensor.ts';
import type { Value } from '../../src/graph/value.ts';
import { f32, i64 } from './evaluate.ts';

export type GradientCase = {
  readonly op: OpName;
  /** The output from the trained inputs; all else is written into the graph. */
  readonly build: (...inputs: Value[]) => Value;
};

const everyThird = (shape: readonly number[]): Value =>
  graph.constant(
    tensor(
      'bool',
      shape,
      Uint8Array.from({ length: size(shape) }, (_, i) => Number(i % 3 === 0)),
    ),
  );

/** Additive causal mask of 4 tokens. */
const mask = (lowest: number): Value =>
  graph.constant(
    f32(
      [4, 4],
      Array.from({ length: 16 }, (_, i) => (i % 4 > Math.floor(i / 4) ? lowest : 0)),
    ),
  );

/** Values 0 to 15 of bitsandbytes' NF4 code. */
export const nf4Code = [
  -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495,
  0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
  0.7229568362236023, 1.0,
];

/** A made-up NF4 matrix: its bytes, its absmax per 64 values, and the same values spelt out. */
export function nf4Matrix(rows: number, columns: number) {
  const packed = Uint8Array.from({ length: (rows * columns) / 2 }, (_, i) => (i * 37 + 11) % 256);
  const absmax = Float32Array.from({ length: Math.ceil((rows * columns) / 64) }, (_, i) => 0.5 + (i % 5) / 8);
  const dense = Float32Array.from({ length: rows * columns }, (_, i) => {
    const byte = packed[i >> 1]!;
    return nf4Code[i % 2 === 0 ? byte >> 4 : byte & 15]! * absmax[i >> 6]!;
  });
  return { packed: tensor('uint8', [packed.length], packed), absmax: tensor('float32', [absmax.length], absmax), dense };
}

export function nf4Product(x: Value, rows: number): Value {
  const columns = x.shape.at(-1) as number;
  const { packed, absmax } = nf4Matrix(rows, columns);
  const attributes = { K: columns, N: rows, block_size: 64, quant_type: 1 };
  return graph.apply('MatMulBnb4', [x, graph.constant(packed), graph.constant(absmax)], { attributes })[0]!;
}

/** Cosines and sines [16, dim / 2] of base 10,000. */
export function ropeTables(dim: number): { readonly cosines: Tensor<'float32'>; readonly sines: Tensor<'float32'> } {
  const half = dim / 2;
  const angles = Array.from({ length: 16 * half }, (_, i) => Math.floor(i / half) * 10_000 ** (-(i % half) / half));
  return { cosines: f32([16, half], angles.map(Math.cos)), sines: f32([16, half], angles.map(Math.sin)) };
}

export function rotated(x: Value, positions: Tensor<'int64'>): Value {
  const { cosines, sines } = ropeTables(x.shape.at(-1) as number);
  return graph.rotate(x, {
    positions: graph.constant(positions),
    cosines: graph.constant(cosines),
    sines: graph.constant(sines),
  });
}

const gemmWith = (attributes: Readonly<Record<string, number>>) => {
  return (...inputs: Value[]): Value => graph.apply('Gemm', inputs, { attributes })[0]!;
};

export const gradientCases: Readonly<Record<string, GradientCase>> = {
  Add: { op: 'Add', build: graph.add },
  'Add, broadcast': { op: 'Add', build: graph.add },
  'Sub, broadcast': { op: 'Sub', build: graph.sub },
  Mul: { op: 'Mul', build: graph.mul },
  'Mul, broadcast': { op: 'Mul', build: graph.mul },
  'Mul, by a scalar': { op: 'Mul', build: graph.mul },
  Div: { op: 'Div', build: graph.div },
  'Div, broadcast': { op: 'Div', build: graph.div },
  Neg: { op: 'Neg', build: graph.neg },
  Exp: { op: 'Exp', build: graph.exp },
  Log: { op: 'Log', build: graph.log },
  Sqrt: { op: 'Sqrt', build: graph.sqrt },
  Reciprocal: { op: 'Reciprocal', build: graph.reciprocal },
  Tanh: { op: 'Tanh', build: graph.tanh },
  Sigmoid: { op: 'Sigmoid', build: graph.sigmoid },
  Gelu: { op: 'Gelu', build: graph.gelu },
  'QuickGelu, alpha 1': { op: 'QuickGelu', build: graph.silu },
  'QuickGelu, alpha 1.702': { op: 'QuickGelu', build: (x) => graph.apply('QuickGelu', [x], { attributes: { alpha: 1.702 } })[0]! },
  Softmax: { op: 'Softmax', build: graph.softmax },
  'Softmax, masked by -1e9': { op: 'Softmax', build: (x) => graph.softmax(graph.add(x, mask(-1e9))) },
  'Softmax, masked by the lowest float': {
    op: 'Softmax',
    build: (x) => graph.softmax(graph.add(x, mask(-3.4028234663852886e38))),
  },
  Where: { op: 'Where', build: (a, b) => graph.where(everyThird([2, 4]), a!, b!) },
  'Where, broadcast': { op: 'Where', build: (a, b) => graph.where(everyThird([2, 4]), a!, b!) },
  ReduceSum: { op: 'ReduceSum', build: (x) => graph.reduceSum(x, [0, 2]) },
  'ReduceSum, last axis counted from the end': { op: 'ReduceSum', build: (x) => graph.reduceSum(x, [-1]) },
  ReduceMean: { op: 'ReduceMean', build: (x) => graph.reduceMean(x, [1, 2]) },
  // What it is for: where it is taken off before exp(), no gradient through it is the whole gradient.
  'ReduceMax, taken off before exp': {
    op: 'ReduceMax',
    build: (x) => {
      const e = graph.exp(graph.sub(x, graph.reduceMax(x, [1])));
      return graph.div(e, graph.reduceSum(e, [1]));
    },
  },
  MatMul: { op: 'MatMul', build: (...inputs) => graph.apply('MatMul', inputs)[0]! },
  'MatMul, broadcast': { op: 'MatMul', build: (...inputs) => graph.apply('MatMul', inputs)[0]! },
  FusedMatMul: { op: 'FusedMatMul', build: (a, b) => graph.matMul(a!, b!, { alpha: 0.5 }) },
  'FusedMatMul, transA': { op: 'FusedMatMul', build: (a, b) => graph.matMul(a!, b!, { alpha: 0.5, transA: true }) },
  'FusedMatMul, transB': { op: 'FusedMatMul', build: (a, b) => graph.matMul(a!, b!, { alpha: 0.5, transB: true }) },
  'FusedMatMul, transA, transB': {
    op: 'FusedMatMul',
    build: (a, b) => graph.matMul(a!, b!, { alpha: 0.5, transA: true, transB: true }),
  },
  'FusedMatMul, transB, broadcast': { op: 'FusedMatMul', build: (a, b) => graph.matMul(a!, b!, { transB: true }) },
  Gemm: { op: 'Gemm', build: (a, b) => graph.gemm(a!, b!, { alpha: 0.5 }) },
  'Gemm, transA': { op: 'Gemm', build: (a, b) => graph.gemm(a!, b!, { alpha: 0.5, transA: true }) },
  'Gemm, transB': { op: 'Gemm', build: (a, b) => graph.gemm(a!, b!, { alpha: 0.5, transB: true }) },
  'Gemm, transA, transB': { op: 'Gemm', build: (a, b) => graph.gemm(a!, b!, { alpha: 0.5, transA: true, transB: true }) },
  'Gemm, with a sum': { op: 'Gemm', build: (a, b, c) => graph.gemm(a!, b!, { transB: true, c: c! }) },
  'Gemm, with a row added': { op: 'Gemm', build: gemmWith({}) },
  'Gemm, with a column added': { op: 'Gemm', build: gemmWith({}) },
  'Gemm, with a scalar added': { op: 'Gemm', build: gemmWith({}) },
  'Gemm, alpha and beta': { op: 'Gemm', build: gemmWith({ alpha: 2, beta: -0.75 }) },
  MatMulBnb4: { op: 'MatMulBnb4', build: (x) => nf4Product(x!, 4) },
  'MatMulBnb4, blocks across rows': { op: 'MatMulBnb4', build: (x) => nf4Product(x!, 6) },
  SimplifiedLayerNormalization: { op: 'SimplifiedLayerNormalization', build: (x, w) => graph.rmsNorm(x!, w!, 1e-6) },
  'SimplifiedLayerNormalization, three axes, large epsilon': {
    op: 'SimplifiedLayerNormalization',
    build: (x, w) => graph.rmsNorm(x!, w!, 0.1),
  },
  RotaryEmbedding: { op: 'RotaryEmbedding', build: (x) => rotated(x!, i64([1, 3], [0, 1, 2])) },
  'RotaryEmbedding, positions of each row': { op: 'RotaryEmbedding', build: (x) => rotated(x!, i64([2, 2], [0, 1, 5, 15])) },
  'RotaryEmbedding, from a first position on': { op: 'RotaryEmbedding', build: (x) => rotated(x!, i64([1], [4])) },
  Cast: { op: 'Cast', build: (x) => graph.cast(graph.cast(x!, 'float16'), 'float32') },
  Reshape: { op: 'Reshape', build: (x) => graph.reshape(x!, [4, 3]) },
  Transpose: { op: 'Transpose', build: (x) => graph.transpose(x!, [2, 0, 1]) },
  Expand: { op: 'Expand', build: (x) => graph.expand(x!, [2, 3, 4]) },
  Concat: { op: 'Concat', build: (...inputs) => graph.concat(inputs, 1) },
  Slice: { op: 'Slice', build: (x) => graph.slice(x!, { axis: 1, from: 1, to: 3 }) },
  'Slice, up to the end': { op: 'Slice', build: (x) => graph.slice(x!, { axis: 0, from: 2, to: 5 }) },
  'Slice, all of it': { op: 'Slice', build: (x) => graph.slice(x!, { axis: 0, from: 0, to: 5 }) },
  Split: {
    op: 'Split',
    build: (x) => {
      const [a, b] = graph.split(x!, { axis: 1, sizes: [2, 3] }) as [Value, Value];
      return graph.mul(graph.reduceSum(a, [1]), b);
    },
  },
  'Split, a part unused': {
    op: 'Split',
    build: (x) => {
      const part = graph.split(x!, { axis: 0, sizes: [2, 1, 2] })[1]!;
      return graph.mul(part, part);
    },
  },
};

/** Whole numbers, bits, comparisons and rows of tables: a gradient through them is refused. */
export const refused: readonly OpName[] = [
  'Greater',
  'Abs',
  'QuantizeLinear',
  'MatMulIntegerToFloat',
  'GroupQueryAttention',
  'MatMulNBits',
  'Gather',
  'BitwiseAnd',
  'BitShift',
];

/** What is behind them counts as a constant. */
export const constants: readonly OpName[] = ['Identity'];

const size = (shape: readonly number[]): number => shape.reduce((total, dim) => total * dim, 1);
