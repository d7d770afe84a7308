// The operators the engine is built of: for each its domain, what its attributes are, and what it gives for given inputs.
// Only what ONNX Runtime's CPU provider runs is listed. Shapes are checked when a node is made, so a mistake is reported with the
// builder's own stack and label, not by the runtime as "node 137".
// Source: ONNX operator specification, opset 21; ONNX Runtime contrib operators (com.microsoft).

import type { DataType } from './tensor.ts';
import { type Attributes, type Dim, fixed, type Shape, showShape, type Typed } from './value.ts';

/** `input`: ONNX wants it as an int64 input, after the node's own; for a graph of fixed shapes it is an attribute like the others. */
export type AttributeKind = 'int' | 'float' | 'ints' | 'string' | 'input';

export type Operator = {
  readonly domain?: 'com.microsoft';
  readonly attributes: Readonly<Record<string, AttributeKind>>;
  /** What comes out, one entry per output. Throws a line about the fault; the node's name is put before it. */
  readonly infer: (inputs: readonly Typed[], attributes: Attributes) => readonly Typed[];
};

const elementwise: Operator = { attributes: {}, infer: ([x]) => [x!] };

const broadcast: Operator = {
  attributes: {},
  infer: ([a, b]) => {
    if (a!.type !== b!.type) throw new Error(`types differ: ${a!.type} and ${b!.type}`);
    return [{ type: a!.type, shape: broadcastShapes(a!.shape, b!.shape) }];
  },
};

const comparison: Operator = {
  ...broadcast,
  infer: (inputs, attributes) => [{ ...broadcast.infer(inputs, attributes)[0]!, type: 'bool' }],
};

/** Over the named axes, whose sizes stay as 1. */
const reduction: Operator = {
  attributes: { axes: 'input', keepdims: 'int' },
  infer: ([x], { axes }) => {
    for (const axis of axes as readonly number[]) checkAxis(x!.shape, axis < 0 ? axis + x!.shape.length : axis);
    return [{ type: x!.type, shape: reduced(x!.shape, axes as readonly number[]) }];
  },
};

const matrixProduct: Operator['infer'] = ([a, b], { transA = 0, transB = 0 }) => {
  const [m, k] = lastTwo(a!.shape, transA === 1);
  const [k2, n] = lastTwo(b!.shape, transB === 1);
  if (k !== k2) throw new Error(`inner sizes differ: ${showShape(a!.shape)} and ${showShape(b!.shape)}`);
  return [{ type: a!.type, shape: [...broadcastShapes(a!.shape.slice(0, -2), b!.shape.slice(0, -2)), m, n] }];
};

const floatProduct: Operator['infer'] = (inputs, attributes) => {
  const [a, b] = inputs;
  if (a!.type !== b!.type) throw new Error(`types differ: ${a!.type} and ${b!.type}`);
  return matrixProduct(inputs, attributes);
};

export const operators = {
  Add: broadcast,
  Sub: broadcast,
  Mul: broadcast,
  Div: broadcast,
  Neg: elementwise,
  Abs: elementwise,
  Exp: elementwise,
  Log: elementwise,
  Sqrt: elementwise,
  Reciprocal: elementwise,
  Tanh: elementwise,
  Sigmoid: elementwise,
  Identity: elementwise,
  Gelu: { attributes: { approximate: 'string' }, infer: ([x]) => [x!] },
  QuickGelu: { domain: 'com.microsoft', attributes: { alpha: 'float' }, infer: ([x]) => [x!] },
  Softmax: { attributes: { axis: 'int' }, infer: ([x]) => [x!] },
  Greater: comparison,
  Where: {
    attributes: {},
    infer: ([condition, a, b], attributes) => {
      checkType(condition!, 'bool');
      const [{ type, shape }] = broadcast.infer([a!, b!], attributes) as [Typed];
      return [{ type, shape: broadcastShapes(condition!.shape, shape) }];
    },
  },
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  MatMul: { attributes: {}, infer: floatProduct },
  FusedMatMul: {
    domain: 'com.microsoft',
    attributes: { transA: 'int', transB: 'int', alpha: 'float' },
    infer: floatProduct,
  },
  Gemm: {
    attributes: { transA: 'int', transB: 'int', alpha: 'float', beta: 'float' },
    infer: (inputs, attributes) => {
      const [product] = floatProduct(inputs, attributes);
      if (product!.shape.length !== 2 || inputs[1]!.shape.length !== 2) throw new Error(`not a plain matrix: ${showShape(product!.shape)}`);
      const c = inputs[2];
      if (c && !sameShape(broadcastShapes(c.shape, product!.shape), product!.shape)) {
        throw new Error(`sum does not fit: ${showShape(c.shape)} onto ${showShape(product!.shape)}`);
      }
      return [product!];
    },
  },
  /** x [.., K], packed NF4 bytes and absmax of a [N, K] matrix: x times its transpose. Its transB = 0 is wrong on CPU: never offered. */
  MatMulBnb4: {
    domain: 'com.microsoft',
    attributes: { K: 'int', N: 'int', block_size: 'int', quant_type: 'int' },
    infer: ([x, packed, absmax], attributes) => {
      const { K, N, block_size: block } = attributes as { readonly K: number; readonly N: number; readonly block_size: number };
      if (x!.shape.at(-1) !== K) throw new Error(`inner sizes differ: ${showShape(x!.shape)} and ${K}`);
      const [bytes, blocks] = [product(fixed(packed!.shape)), product(fixed(absmax!.shape))];
      if (bytes !== Math.ceil((K * N) / 2) || blocks !== Math.ceil((K * N) / block)) {
        throw new Error(`${bytes} bytes and ${blocks} blocks of ${block} are not [${N}, ${K}]`);
      }
      return [{ type: x!.type, shape: [...x!.shape.slice(0, -1), N] }];
    },
  },
  /**
   * x [.., K], b [N, blocks of K, bytes of a block] and their scales: x times the transpose of (b - 8) * scale for two numbers of 4 bits
   * a byte, the low nibble first, or (b - 128) * scale for one of 8. As a constant of the model b is laid out for the product; otherwise
   * it is spelt out at every use.
   */
  MatMulNBits: {
    domain: 'com.microsoft',
    attributes: { K: 'int', N: 'int', bits: 'int', block_size: 'int', accuracy_level: 'int' },
    infer: ([x, b, scales], attributes) => {
      const [K, N, block, bits] = ['K', 'N', 'block_size', 'bits'].map((key) => attributes[key]) as [number, number, number, number];
      const blocks = Math.ceil(K / block);
      if (x!.shape.at(-1) !== K) throw new Error(`inner sizes differ: ${showShape(x!.shape)} and ${K}`);
      checkType(b!, 'uint8');
      if (!sameShape(b!.shape, [N, blocks, (block * bits) / 8]) || !sameShape(scales!.shape, [N * blocks])) {
        throw new Error(`${showShape(b!.shape)} and ${showShape(scales!.shape)} are not [${N}, ${K}] in blocks of ${block}`);
      }
      return [{ type: x!.type, shape: [...x!.shape.slice(0, -1), N] }];
    },
  },
  /** x in steps of `scale` from `zero` [along one axis], rounded and held to 0..255. */
  QuantizeLinear: {
    attributes: { axis: 'int' },
    infer: ([x, scale, zero], { axis }) => {
      checkType(zero!, 'uint8');
      checkAlong(x!, scale!, axis as number);
      return [{ type: 'uint8', shape: x!.shape }];
    },
  },
  /** a uint8 [M, K], b int8 [K, N], scale of a (one), scales of b [N], zero point of a (one): the float product. */
  MatMulIntegerToFloat: {
    domain: 'com.microsoft',
    attributes: {},
    infer: ([a, b, , scales]) => {
      checkType(a!, 'uint8');
      checkType(b!, 'int8');
      const { shape } = matrixProduct([a!, b!], {})[0]!;
      if (!sameShape(scales!.shape, shape.slice(-1))) throw new Error(`scales ${showShape(scales!.shape)} do not fit ${showShape(shape)}`);
      return [{ type: 'float32', shape }];
    },
  },
  /** x and its weight: x / rms(x) * weight over the last axis, and 1 / rms(x). */
  SimplifiedLayerNormalization: {
    attributes: { axis: 'int', epsilon: 'float' },
    infer: ([x, weight]) => {
      if (weight!.shape.length !== 1 || weight!.shape[0] !== x!.shape.at(-1)) {
        throw new Error(`weight ${showShape(weight!.shape)} does not fit ${showShape(x!.shape)}`);
      }
      return [x!, { type: x!.type, shape: [...x!.shape.slice(0, -1), 1] }];
    },
  },
  /** x [batch, heads, tokens, dim] or [batch, tokens, heads * dim], positions [batch, tokens], cosines and sines [positions, dim / 2]; turns halves, as transformers. */
  RotaryEmbedding: {
    domain: 'com.microsoft',
    attributes: { interleaved: 'int' },
    infer: ([x, positions, cosines, sines]) => {
      const rank = x!.shape.length;
      if (rank !== 3 && rank !== 4)
        throw new Error(`not [batch, heads, tokens, dim] or [batch, tokens, heads * dim]: ${showShape(x!.shape)}`);
      checkType(positions!, 'int64');
      const width = fixed(x!.shape.slice(-1))[0]!;
      const dim = 2 * fixed(cosines!.shape.slice(1))[0]!;
      if ((rank === 4 ? dim !== width : width % dim !== 0) || !sameShape(cosines!.shape, sines!.shape)) {
        throw new Error(`tables ${showShape(cosines!.shape)} and ${showShape(sines!.shape)} do not fit ${showShape(x!.shape)}`);
      }
      return [x!];
    },
  },
  /**
   * query, key, value [batch, tokens, heads * dim]; past keys and values [batch, heads, places, dim]; how many places each row has in the
   * end, less 1 [batch], and the longest row []. Causal attention over past and new. `local_window_size` counts the query itself.
   */
  GroupQueryAttention: {
    domain: 'com.microsoft',
    attributes: { num_heads: 'int', kv_num_heads: 'int', scale: 'float', local_window_size: 'int' },
    infer: ([query, key, , keys, values], { num_heads, kv_num_heads }) => {
      const [, heads, , dim] = keys!.shape;
      const [wide, narrow] = [query!, key!].map(({ shape }) => fixed(shape.slice(-1))[0]);
      if (heads !== kv_num_heads || wide !== (num_heads as number) * (dim as number) || narrow !== (heads as number) * (dim as number)) {
        throw new Error(`${showShape(query!.shape)} and ${showShape(key!.shape)} do not fit past ${showShape(keys!.shape)}`);
      }
      return [query!, keys!, values!];
    },
  },
  Cast: { attributes: { to: 'int' }, infer: ([x], { to }) => [{ type: typeOf(to as number), shape: x!.shape }] },
  Reshape: {
    attributes: { shape: 'input' },
    infer: ([x], { shape }) => {
      const target = shape as Shape;
      if (!holds(x!.shape, target)) throw new Error(`${showShape(x!.shape)} does not hold ${showShape(target)}`);
      return [{ type: x!.type, shape: target }];
    },
  },
  Transpose: {
    attributes: { perm: 'ints' },
    infer: ([x], { perm }) => {
      const axes = perm as readonly number[];
      if (x!.shape.length !== axes.length || x!.shape.some((_, i) => !axes.includes(i))) {
        throw new Error(`axes [${axes.join(', ')}] do not reorder ${showShape(x!.shape)}`);
      }
      return [{ type: x!.type, shape: axes.map((axis) => x!.shape[axis]!) }];
    },
  },
  Expand: {
    attributes: { shape: 'input' },
    infer: ([x], { shape }) => {
      const target = shape as Shape;
      if (!sameShape(broadcastShapes(x!.shape, target), target)) {
        throw new Error(`${showShape(x!.shape)} does not repeat to ${showShape(target)}`);
      }
      return [{ type: x!.type, shape: target }];
    },
  },
  Concat: {
    attributes: { axis: 'int' },
    infer: (inputs, { axis }) => {
      const at = axis as number;
      const [first] = inputs as [Typed];
      checkAxis(first.shape, at);
      for (const { type, shape } of inputs) {
        if (type !== first.type) throw new Error(`types differ: ${first.type} and ${type}`);
        if (!sameShape(shape.toSpliced(at, 1), first.shape.toSpliced(at, 1))) {
          throw new Error(`shapes do not fit: ${showShape(first.shape)} and ${showShape(shape)} along axis ${at}`);
        }
      }
      const sizes = inputs.map(({ shape }) => shape[at]!);
      const sum: Dim = sizes.every((size) => typeof size === 'number')
        ? (sizes as number[]).reduce((total, size) => total + size, 0)
        : sizes.join('+');
      return [{ type: first.type, shape: first.shape.with(at, sum) }];
    },
  },
  /** One stretch of one axis: `from` up to but not `to`. */
  Slice: {
    attributes: { from: 'input', to: 'input', axis: 'input' },
    infer: ([x], attributes) => {
      const { axis, from, to } = attributes as { readonly axis: number; readonly from: number; readonly to: number };
      checkAxis(x!.shape, axis);
      const [size] = fixed([x!.shape[axis]!]) as [number];
      if (from < 0 || from > to || to > size) throw new Error(`${from} to ${to} does not lie in ${size}`);
      return [{ type: x!.type, shape: x!.shape.with(axis, to - from) }];
    },
  },
  /** One axis cut into stretches of these sizes. */
  Split: {
    attributes: { axis: 'int', sizes: 'input' },
    infer: ([x], attributes) => {
      const { axis, sizes } = attributes as { readonly axis: number; readonly sizes: readonly number[] };
      checkAxis(x!.shape, axis);
      const [size] = fixed([x!.shape[axis]!]) as [number];
      const sum = sizes.reduce((total, part) => total + part, 0);
      if (sum !== size) throw new Error(`parts of ${sizes.join(' + ')} do not make ${size}`);
      return sizes.map((part) => ({ type: x!.type, shape: x!.shape.with(axis, part) }));
    },
  },
  /** Rows of a table, axis 0. */
  Gather: {
    attributes: { axis: 'int' },
    infer: ([table, rows]) => {
      checkType(rows!, 'int64', 'int32');
      return [{ type: table!.type, shape: [...rows!.shape, ...table!.shape.slice(1)] }];
    },
  },
  BitwiseAnd: broadcast,
  BitShift: { ...broadcast, attributes: { direction: 'string' } },
} as const satisfies Readonly<Record<string, Operator>>;

export type OpName = keyof typeof operators;

/** ONNX's numbers of the element types (TensorProto.DataType). */
export const typeNumbers: { readonly [T in DataType]: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
};

function typeOf(number: number): DataType {
  const found = (Object.keys(typeNumbers) as DataType[]).find((type) => typeNumbers[type] === number);
  if (!found) throw new Error(`unknown element type ${number}`);
  return found;
}

export const product = (sizes: readonly number[]): number => sizes.reduce((total, size) => total * size, 1);

/** Whether a shape can be taken as another; of each, one size may be known only when the graph runs. */
function holds(from: Shape, to: Shape): boolean {
  const open = (shape: Shape) => shape.filter((dim) => typeof dim === 'string').length;
  const known = (shape: Shape) => product(shape.filter((dim) => typeof dim === 'number'));
  if (open(from) === 0 && open(to) === 0) return known(from) === known(to);
  return open(from) === 1 && open(to) === 1 && (known(from) % known(to) === 0 || known(to) % known(from) === 0);
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((dim, i) => dim === b[i]);

/** NumPy's rule: aligned at the end, equal or 1. */
function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[i - rank + a.length] ?? 1;
    const right = b[i - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) throw new Error(`shapes do not fit: ${showShape(a)} and ${showShape(b)}`);
    return left === 1 ? right : left;
  });
}

const reduced = (shape: Shape, axes: readonly number[]): Shape =>
  shape.map((dim, i) => (axes.includes(i) || axes.includes(i - shape.length) ? 1 : dim));

function checkAxis(shape: Shape, axis: number): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) throw new Error(`no axis ${axis} in ${showShape(shape)}`);
}

function checkAlong({ shape }: Typed, scale: Typed, axis: number): void {
  if (!sameShape(scale.shape, [shape.at(axis)!]))
    throw new Error(`scales ${showShape(scale.shape)} do not fit axis ${axis} of ${showShape(shape)}`);
}

function checkType({ type }: Typed, ...allowed: readonly DataType[]): void {
  if (!allowed.includes(type)) throw new Error(`expected ${allowed.join(' or ')}, got ${type}`);
}

function lastTwo(shape: Shape, transposed: boolean): readonly [Dim, Dim] {
  if (shape.length < 2) throw new Error(`not a matrix: ${showShape(shape)}`);
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  return transposed ? [columns, rows] : [rows, columns];
}
