// The derivative of every operator, one rule each. A rule gets the operator at work and the gradient of its first output (Split: of all), and
// gives the gradient of each input, as values of the same graph language: a backward graph is made of ordinary operators. `undefined`
// says "no gradient flows here". What nobody asks for is never written, so a rule need not care which inputs are trained.
//
// Notation: g is the gradient of the output y; the rule for y = a b is (g b, g a).

import * as graph from './node.ts';
import {
  add,
  apply,
  constant,
  div,
  gemm,
  matMul,
  mul,
  neg,
  reduceMean,
  reduceSum,
  reshape,
  scalar,
  sub,
  sumTo,
  transpose,
} from './node.ts';
import { type OpName, product, sameShape } from './shapes.ts';
import { tensor } from './tensor.ts';
import { fixed, type Node, type Value } from './value.ts';

export type Rule = (node: Node, g: Value, others?: readonly Value[]) => readonly (Value | undefined)[];

/** What is behind it counts as a constant. */
const none: Rule = () => [];

/** Whole numbers, comparisons, and operators used only where nothing is trained: silence would be a wrong gradient. */
const refuse: Rule = ({ op, label }) => {
  throw new Error(`graph: ${label ? `${op} "${label}"` : op} has no gradient, but what is trained goes through it`);
};

export const gradients: { readonly [O in OpName]: Rule } = {
  // Used as "detach": what is behind it counts as a constant.
  Identity: none,
  Add: ({ inputs: [a, b] }, g) => [sumTo(g, a!.shape), sumTo(g, b!.shape)],
  Sub: ({ inputs: [a, b] }, g) => [sumTo(g, a!.shape), sumTo(neg(g), b!.shape)],
  Mul: ({ inputs: [a, b] }, g) => [sumTo(times(g, b!), a!.shape), sumTo(times(g, a!), b!.shape)],
  Div: ({ inputs: [a, b], outputs: [y] }, g) => [sumTo(div(g, b!), a!.shape), sumTo(neg(div(mul(g, y!), b!)), b!.shape)],
  Neg: (_, g) => [neg(g)],
  Abs: refuse,
  Exp: ({ outputs: [y] }, g) => [times(g, y!)],
  Log: ({ inputs: [x] }, g) => [div(g, x!)],
  Sqrt: ({ outputs: [y] }, g) => [div(mul(g, scalar(0.5)), y!)],
  Reciprocal: ({ outputs: [y] }, g) => [neg(mul(g, mul(y!, y!)))],
  Tanh: ({ outputs: [y] }, g) => [mul(g, sub(scalar(1), mul(y!, y!)))],
  Sigmoid: ({ outputs: [y] }, g) => [mul(g, mul(y!, sub(scalar(1), y!)))],
  Gelu: ({ inputs: [x] }, g) => [mul(g, geluSlope(x!))],
  // y = x s(ax), s' = s (1 - s): dy/dx = s + a y (1 - s).
  QuickGelu: ({ inputs: [x], outputs: [y], attributes: { alpha } }, g) => {
    const s = graph.sigmoid(alpha === 1 ? x! : mul(x!, scalar(alpha as number)));
    const rest = sub(scalar(1), s);
    return [mul(g, add(s, mul(alpha === 1 ? y! : mul(y!, scalar(alpha as number)), rest)))];
  },
  // dx = y (g - sum(g y)).
  Softmax: ({ outputs: [y] }, g) => {
    const gy = mul(g, y!);
    return [sub(gy, mul(y!, reduceSum(gy, [y!.shape.length - 1])))];
  },
  Greater: refuse,
  Where: ({ inputs: [condition, a, b] }, g) => [
    undefined,
    sumTo(graph.where(condition!, g, scalar(0)), a!.shape),
    sumTo(graph.where(condition!, scalar(0), g), b!.shape),
  ],
  ReduceSum: ({ inputs: [x] }, g) => [graph.expand(g, x!.shape)],
  ReduceMean: ({ inputs: [x], outputs: [y] }, g) => {
    const share = sizeOf(y!) / sizeOf(x!);
    return [graph.expand(mul(g, scalar(share)), x!.shape)];
  },
  // Only ever subtracted for safety before exp(), where its gradient cancels.
  ReduceMax: none,
  MatMul: ({ inputs: [a, b] }, g) => [sumTo(matMul(g, b!, { transB: true }), a!.shape), sumTo(matMul(a!, g, { transA: true }), b!.shape)],
  FusedMatMul: ({ inputs: [a, b], attributes }, g) => {
    const options = productOptions(attributes);
    return [sumTo(leftGradient(matMul, b!, g, options), a!.shape), sumTo(rightGradient(matMul, a!, g, options), b!.shape)];
  },
  Gemm: ({ inputs: [a, b, c], attributes }, g) => {
    const options = productOptions(attributes);
    const { beta = 1 } = attributes as { readonly beta?: number };
    return [leftGradient(gemm, b!, g, options), thinGradient(a!, g, options), c && sumTo(beta === 1 ? g : mul(g, scalar(beta)), c.shape)];
  },
  MatMulBnb4: ({ inputs: [, packed, absmax], attributes }, g) => [gemm(g, unpackNf4({ packed: packed!, absmax: absmax!, attributes }))],
  QuantizeLinear: refuse,
  MatMulIntegerToFloat: refuse,
  // y = x r w with r = 1 / rms(x): dx = r (g w) - x r^3 mean(g w x), dw = sum over rows of g x r.
  SimplifiedLayerNormalization: ({ inputs: [x, w], outputs: [, r] }, g) => {
    const last = x!.shape.length - 1;
    const gw = mul(g, w!);
    const pull = mul(mul(r!, mul(r!, r!)), reduceMean(mul(gw, x!), [last]));
    return [sub(mul(gw, r!), mul(x!, pull)), sumTo(mul(g, mul(x!, r!)), w!.shape)];
  },
  // A rotation; its transpose turns back.
  RotaryEmbedding: ({ inputs: [, positions, cosines, sines] }, g) => [
    graph.rotate(g, { positions: positions!, cosines: cosines!, sines: neg(sines!) }),
  ],
  GroupQueryAttention: refuse,
  MatMulNBits: refuse,
  Cast: ({ inputs: [x] }, g) => [x!.type.startsWith('float') ? graph.cast(g, x!.type) : undefined],
  Reshape: ({ inputs: [x] }, g) => [reshape(g, fixed(x!.shape))],
  Transpose: ({ attributes: { perm } }, g) => [transpose(g, inverse(perm as readonly number[]))],
  Expand: ({ inputs: [x] }, g) => [sumTo(g, x!.shape)],
  Concat: ({ inputs, attributes: { axis } }, g) => {
    let from = 0;
    return inputs.map((x) => {
      const to = from + fixed(x!.shape)[axis as number]!;
      const part = graph.slice(g, { axis: axis as number, from, to });
      from = to;
      return part;
    });
  },
  Slice: ({ inputs: [x], attributes: { axis, from, to } }, g) => {
    const at = axis as number;
    const pad = (size: number) => constant(zeros(fixed(x!.shape).map((dim, i) => (i === at ? size : dim))));
    const size = fixed(x!.shape)[at]!;
    const parts = [pad(from as number), g, pad(size - (to as number))];
    return [
      graph.concat(
        parts.filter(({ shape }) => shape[at] !== 0),
        at,
      ),
    ];
  },
  Split: ({ attributes: { axis } }, g, others = []) => [graph.concat([g, ...others], axis as number)],
  Gather: refuse,
  BitwiseAnd: refuse,
  BitShift: refuse,
};

/** g x, where a g that was only repeated to x's shape is multiplied as it was before: one pass over memory less. */
function times(g: Value, x: Value): Value {
  const thin = g.from.kind === 'node' && g.from.node.op === 'Expand' && sameShape(g.shape, x.shape) ? g.from.node.inputs[0]! : g;
  return mul(thin, x);
}

type Transposes = { readonly transA: boolean; readonly transB: boolean; readonly alpha: number };
type Multiply = (a: Value, b: Value, options: graph.Product) => Value;

const productOptions = ({ transA = 0, transB = 0, alpha = 1 }: Node['attributes']): Transposes => ({
  transA: transA === 1,
  transB: transB === 1,
  alpha: alpha as number,
});

/** y = alpha op(a) op(b): the gradient of a, in a's own layout. */
const leftGradient = (multiply: Multiply, b: Value, g: Value, { transA, transB, alpha }: Transposes): Value =>
  transA ? multiply(b, g, { transA: transB, transB: true, alpha }) : multiply(g, b, { transB: !transB, alpha });

/** The gradient of b, in b's own layout. */
const rightGradient = (multiply: Multiply, a: Value, g: Value, { transA, transB, alpha }: Transposes): Value =>
  transB ? multiply(g, a, { transA: true, transB: transA, alpha }) : multiply(a, g, { transA: !transA, alpha });

/** The gradient of b by `gemm`; one of many rows and few columns is computed lying, which takes less than half the time. */
function thinGradient(a: Value, g: Value, options: Transposes): Value {
  const standing = rightGradient(gemm, a, g, options);
  const [rows, columns] = standing.shape as readonly [number, number];
  if (!options.transB || !(rows > 8 * columns)) return standing;
  // Not Gemm: the runtime would make it one with the transpose, standing again.
  return transpose(rightGradient(matMul, a, g, { ...options, transB: false }), [1, 0]);
}

/** Gelu by tanh: y = x/2 (1 + t), t = tanh(k (x + 0.044715 x^3)), k = sqrt(2/pi). */
function geluSlope(x: Value): Value {
  const k = Math.sqrt(2 / Math.PI);
  const square = mul(x, x);
  const t = graph.tanh(mul(x, add(mul(square, scalar(k * 0.044715)), scalar(k))));
  const inner = add(mul(square, scalar(3 * k * 0.044715)), scalar(k));
  const half = mul(add(t, scalar(1)), scalar(0.5));
  return add(half, mul(mul(mul(x, scalar(0.5)), sub(scalar(1), mul(t, t))), inner));
}

/**
 * An NF4 matrix [N, K] spelt out: each block of values is a row of its own, multiplied by the identity through the operator's tested
 * path (transB = 1), since the other is wrong on CPU.
 */
export function unpackNf4({ packed, absmax, attributes }: { packed: Value; absmax: Value; attributes: Node['attributes'] }): Value {
  const { K, N, block_size: block } = attributes as { readonly K: number; readonly N: number; readonly block_size: number };
  const identity = new Float32Array(block * block);
  for (let i = 0; i < block; i++) identity[i * (block + 1)] = 1;
  const columns = apply('MatMulBnb4', [constant(tensor('float32', [block, block], identity)), packed, absmax], {
    attributes: { ...attributes, K: block, N: (K * N) / block },
  })[0]!;
  return reshape(transpose(columns, [1, 0]), [N, K]);
}

const sizeOf = ({ shape }: Value): number => product(fixed(shape));

export const zeros = (shape: readonly number[]) => tensor('float32', shape, new Float32Array(product(shape)));

function inverse(perm: readonly number[]): number[] {
  const back = new Array<number>(perm.length);
  for (const [i, axis] of perm.entries()) back[axis] = i;
  return back;
}
