// The fast mode of training: the gradient of a frozen layer's input, dX = dY W, is computed on 8-bit numbers; the forward pass and the
// adapters' own gradients stay exact. The products run about three times as fast where the processor has 8-bit dot products.
//
//   H (W / r) [p, i] ~ c[i] v[p, i],  (r dY) H [t, p] ~ s[t] u[t, p]:   dX[t, i] = s[t] c[i] sum over p of u v
//
// with a scale c per column and s per token, v and u whole numbers of 8 bits. H is a Hadamard matrix in blocks: all its entries are
// +-1 / sqrt(block), and H H = 1, so that it changes nothing but the rounding. A gradient far above its token's others would make the step
// too coarse for those; turned by H it is spread evenly over its block. r, the root of each row's largest weight, does the same for rows
// that meet gradients far larger than others'. Worked case, a block of 2: (8, 0.1) H = (5.73, 5.59), no longer 80 to 1.
// Where q, k and v see the same input they go as one layer, their outputs side by side.
// Source of the idea: Ashkboos et al., "QuaRot", 2024. Measured beside bfloat16: docs/experiments.md.

import { gradients, type Rule } from '../graph/gradients.ts';
import { abs, apply, concat, constant, gemm, input, mul, quantizeRows, reduceMax, reshape, scalar } from '../graph/node.ts';
import { inOrder, writeModel } from '../graph/onnx-proto.ts';
import { openSession, type SessionOptions } from '../graph/session.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { fixed, type Node, type Value } from '../graph/value.ts';
import { type LinearName, linearNames } from './decoder-layer.ts';

/** The gradient table with 8-bit products for the frozen linear layers behind `output`, known by their labels. */
export function fastGradients(output: Value): typeof gradients {
  const together = layersTogether(output);
  const arrived = new Map<Node, Value>();
  /** The last of those that go as one gives the gradient for all. */
  const frozen =
    (exact: Rule): Rule =>
    (node, g) => {
      const layers = together.get(node);
      const [all, weight, c] = exact(node, g);
      if (!layers) return [all, weight, c];
      arrived.set(node, g);
      return [layers.every((layer) => arrived.has(layer)) ? product(layers, arrived) : undefined, weight, c];
    };
  return { ...gradients, Gemm: frozen(gradients.Gemm), MatMulBnb4: frozen(gradients.MatMulBnb4) };
}

/** The frozen layers behind a value, each with those that go as one with it, in their own order. */
function layersTogether(output: Value): ReadonlyMap<Node, readonly Node[]> {
  const nodes = inOrder([output]).flatMap(({ from }) => (from.kind === 'node' && isLinear(from.node.label) ? [from.node] : []));
  const ordered = nodes.sort((a, b) => linearNames.indexOf(a.label as LinearName) - linearNames.indexOf(b.label as LinearName));
  const isOne = (a: Node, b: Node) => a === b || (isAttentive(a.label) && isAttentive(b.label) && a.inputs[0] === b.inputs[0]);
  return new Map(ordered.map((node) => [node, ordered.filter((other) => isOne(node, other))]));
}

const isLinear = (label: string): boolean => (linearNames as readonly string[]).includes(label);

/** q, k and v. */
const isAttentive = (name: string): boolean => /[qkv]_proj$/.test(name);

/** For the others turning is enough. */
const isScaled = (name: string): boolean => name === 'mlp.down_proj';

const joined = (names: readonly string[]): string => `${names.join('+')}.int8`;

/** Outputs that are turned together: larger blocks round a little better and take longer. */
const blockOf = (out: number): number => Math.min(32, out & -out);

function product(layers: readonly Node[], arrived: ReadonlyMap<Node, Value>): Value {
  const labels = layers.map(({ label }) => label);
  const parts = layers.map((layer) => arrived.get(layer)!);
  const gradient = parts.length === 1 ? parts[0]! : concat(parts, 1);
  const [tokens, out] = fixed(gradient.shape) as [number, number];
  const inner = layers[0]!.inputs[0]!.shape.at(-1)!;
  const name = joined(labels);
  const packed = input(name, 'int8', [out, inner]);
  const columns = input(`${name}.columns`, 'float32', [inner]);
  const zero = constant(tensor('uint8', [], Uint8Array.of(128)));

  const scaled = isScaled(labels[0]!) ? mul(gradient, input(`${name}.rows`, 'float32', [out])) : gradient;
  const block = blockOf(out);
  const even = reshape(gemm(reshape(scaled, [(tokens * out) / block, block]), constant(hadamard(block))), [tokens, out]);
  // Of a row of zeros the whole numbers mean nothing, but their step is 0.
  const step = mul(reduceMax(abs(even), [1]), scalar(1 / 127));
  const q = quantizeRows(even, reshape(step, [tokens]));
  return mul(apply('MatMulIntegerToFloat', [q, packed, scalar(1), columns, zero], { label: name })[0]!, step);
}

/** Entry (i, j) is -1 for each bit that i and j share, times 1 / size: its inverse is that of `turnRows`. */
function hadamard(size: number): Tensor<'float32'> {
  const sign = (bits: number): number => (bits === 0 ? 1 : -sign(bits & (bits - 1)));
  const data = Float32Array.from({ length: size * size }, (_, at) => sign(Math.floor(at / size) & (at % size)) / size);
  return tensor('float32', [size, size], data);
}

/** Each block of rows times a Hadamard matrix of ones and minus ones, in place: sums and differences over ever larger distances. */
function turnRows(data: Float32Array, { rows, width }: { readonly rows: number; readonly width: number }): void {
  for (let distance = 1; distance < blockOf(rows); distance *= 2) {
    for (let row = 0; row < rows; row++) {
      if (row & distance) continue;
      for (let a = row * width, b = a + distance * width, end = a + width; a < end; a++, b++) {
        const [upper, lower] = [data[a]!, data[b]!];
        data[a] = upper + lower;
        data[b] = upper - lower;
      }
    }
  }
}

/** A frozen matrix [out, in] spelt out. */
export type Frozen = { readonly shape: readonly number[]; readonly data: Float32Array };

/**
 * The largest whole number that weights may become here: 127, or 63 on processors that add two 8-bit products up in 16 bits, where
 * larger ones overflow in silence. Asked of the runtime itself, by a product of the largest numbers.
 */
export async function largestWeight(options: SessionOptions): Promise<number> {
  const [a, b] = [tensor('uint8', [1, 4], new Uint8Array(4).fill(255)), tensor('int8', [4, 1], new Int8Array(4).fill(127))];
  const [left, right] = [input('a', 'uint8', [1, 4]), input('b', 'int8', [4, 1])];
  const one = constant(tensor('float32', [1], Float32Array.of(1)));
  const [sum] = apply('MatMulIntegerToFloat', [left, right, scalar(1), one, constant(tensor('uint8', [], Uint8Array.of(0)))]);
  const session = await openSession(writeModel({ outputs: { sum: sum! } }), options);
  const found = (await session.run({ a, b }))['sum']!.data[0];
  await session.close();
  return found === 4 * 255 * 127 ? 127 : 63;
}

/** The 8-bit copies that the fast backward pass takes of one decoder layer; `largest` is what `largestWeight` said. */
export function int8Tensors(frozen: Readonly<Record<LinearName, Frozen>>, largest: number): Readonly<Record<string, Tensor>> {
  const of = (...names: readonly LinearName[]) =>
    int8Joint(
      names.map((name) => ({ name, ...frozen[name] })),
      largest,
    );
  return {
    ...of('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'),
    ...of('self_attn.o_proj'),
    ...of('mlp.gate_proj'),
    ...of('mlp.up_proj'),
    ...of('mlp.down_proj'),
  };
}

/**
 * The 8-bit copy of matrices [out, in] under each other: rows scaled and turned as the layers need it, and a scale for every column. Of
 * several the first alone and the others are named as well: where only the last token asks, q sees another input than k and v.
 */
export function int8Joint(matrices: readonly (Frozen & { readonly name: string })[], largest: number): Readonly<Record<string, Tensor>> {
  const inner = matrices[0]!.shape[1]!;
  const rows = matrices.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const values = new Float32Array(rows * inner);
  let end = 0;
  for (const { data } of matrices) {
    values.set(data, end);
    end += data.length;
  }
  const roots = isScaled(matrices[0]!.name) ? divideRows(values, inner) : new Float32Array(rows).fill(1);
  turnRows(values, { rows, width: inner });
  const { q, columns } = wholeNumbers(values, { width: inner, largest });
  const stretch = (parts: typeof matrices, { from, to }: { readonly from: number; readonly to: number }) => {
    const name = joined(parts.map((part) => part.name));
    return {
      [name]: tensor('int8', [to - from, inner], q.subarray(from * inner, to * inner)),
      [`${name}.rows`]: tensor('float32', [to - from], roots.subarray(from, to)),
      [`${name}.columns`]: tensor('float32', [inner], columns),
    };
  };
  const first = matrices[0]!.shape[0]!;
  return {
    ...(matrices.length > 1 && stretch(matrices.slice(0, 1), { from: 0, to: first })),
    ...(matrices.length > 1 && stretch(matrices.slice(1), { from: first, to: rows })),
    ...stretch(matrices, { from: 0, to: rows }),
  };
}

/** Each row by the root of its largest weight, which is given back. */
function divideRows(values: Float32Array, width: number): Float32Array {
  return Float32Array.from({ length: values.length / width }, (_, row) => {
    const own = values.subarray(row * width, (row + 1) * width);
    let most = 0;
    for (let i = 0; i < width; i++) most = Math.max(most, Math.abs(own[i]!));
    const root = Math.sqrt(most) || 1;
    for (let i = 0; i < width; i++) own[i]! /= root;
    return root;
  });
}

/** -largest..largest in steps of a scale a column. */
function wholeNumbers(values: Float32Array, { width, largest }: { readonly width: number; readonly largest: number }) {
  const most = new Float32Array(width);
  for (let row = 0; row < values.length; row += width) {
    for (let i = 0; i < width; i++) most[i] = Math.max(most[i]!, Math.abs(values[row + i]!));
  }
  const factors = most.map((size) => (size > 0 ? largest / size : 0));
  const q = new Int8Array(values.length);
  for (let row = 0; row < values.length; row += width) {
    // Half up, from a number that cannot be negative.
    for (let i = 0; i < width; i++) q[row + i] = Math.floor(values[row + i]! * factors[i]! + 128.5) - 128;
  }
  return { q, columns: most.map((size) => size / largest) };
}
