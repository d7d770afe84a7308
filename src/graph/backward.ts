// Reverse-mode differentiation, graph in, graph out: walk the operators from the outputs back, ask the table for each one's rule, and
// add up what arrives at each value.

import { gradients, type Rule, zeros } from './gradients.ts';
import { add, constant, gemm } from './node.ts';
import { inOrder } from './onnx-proto.ts';
import { type OpName, sameShape } from './shapes.ts';
import { fixed, showShape, type Value } from './value.ts';

/**
 * The gradients of a scalar with respect to `targets`, given its gradients with respect to some outputs.
 *
 * @param outputs each output with the gradient that arrives there, of its shape
 * @param rules the table; replace an entry to compute a gradient another way
 * @returns one value per target, of the target's shape
 * @throws Error when no path leads from an output to a target, or one leads through an operator that has no gradient
 */
export function backward({
  outputs,
  targets,
  rules = gradients,
}: {
  readonly outputs: ReadonlyMap<Value, Value>;
  readonly targets: readonly Value[];
  readonly rules?: { readonly [O in OpName]: Rule };
}): readonly Value[] {
  const order = inOrder([...outputs.keys()]);
  const trained = new Set<Value>(targets);
  for (const value of order) {
    if (value.from.kind === 'node' && value.from.node.inputs.some((operand) => operand && trained.has(operand))) trained.add(value);
  }

  const arrived = new Map<Value, Value>();
  const arrive = (value: Value, gradient: Value): void => {
    if (!sameShape(value.shape, gradient.shape)) {
      throw new Error(`graph: gradient ${showShape(gradient.shape)} of a value ${showShape(value.shape)}`);
    }
    const before = arrived.get(value);
    arrived.set(value, before ? sum(before, gradient) : gradient);
  };
  for (const [value, gradient] of outputs) arrive(value, gradient);

  const nodes = new Set(order.flatMap(({ from }) => (from.kind === 'node' ? [from.node] : [])));
  for (const node of [...nodes].reverse()) {
    const found = node.outputs.map((output) => arrived.get(output));
    if (found.every((gradient) => !gradient) || !node.inputs.some((operand) => operand && trained.has(operand))) continue;
    const [gradient, ...others] = node.op === 'Split' ? found.map((one, i) => one ?? nothing(node.outputs[i]!)) : found;
    const second = others.findIndex(Boolean) + 1;
    if (node.op !== 'Split' && second > 0) {
      throw new Error(`graph: ${node.op} has a gradient of its first output only, and one arrives at output ${second}`);
    }
    rules[node.op as OpName](node, gradient!, others as Value[]).forEach((part, i) => {
      const operand = node.inputs[i];
      if (part && operand && trained.has(operand)) arrive(operand, part);
    });
  }
  return targets.map((target) => {
    const gradient = arrived.get(target);
    if (!gradient) throw new Error('graph: no path leads from the outputs to a target');
    return gradient;
  });
}

/** The gradient of a part that nobody used. */
const nothing = ({ shape }: Value): Value => constant(zeros(fixed(shape)));

/** a + b; where b is a plain product its kernel adds a on the way, which saves a pass over memory. */
function sum(a: Value, b: Value): Value {
  const node = b.from.kind === 'node' ? b.from.node : undefined;
  if (node?.op !== 'Gemm' || node.inputs.length !== 2) return add(a, b);
  const { transA, transB, alpha } = node.attributes as { transA: number; transB: number; alpha: number };
  return gemm(node.inputs[0]!, node.inputs[1]!, { transA: transA === 1, transB: transB === 1, alpha, c: a });
}
