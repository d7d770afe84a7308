// Writes a graph as an ONNX model. Only what the outputs depend on is written; a value in `given` is not computed but asked for as
// an input, which is how a backward graph takes kept activations instead of computing them again.
// Source: onnx.proto (ONNX IR version 10, opset 21).

import protobuf from 'protobufjs';

import { type AttributeKind, type Operator, type OpName, operators, typeNumbers } from './shapes.ts';
import { type Tensor, tensor } from './tensor.ts';
import type { Node, Shape, Typed, Value } from './value.ts';

export type Model = {
  /** The serialised ModelProto. */
  readonly bytes: Uint8Array;
  /** What a run must be given, by name. */
  readonly inputs: ReadonlyMap<string, Typed>;
  /** What a run gives, by name. */
  readonly outputs: ReadonlyMap<string, Typed>;
};

/**
 * Writes the graph behind `outputs`.
 *
 * @param given values that are to be inputs of this model, with their names
 * @param stored values of inputs, by name, that are written into the model: the runtime lays them out anew for its products
 * @throws Error when two different inputs, or an input and another output, share a name
 */
export function writeModel({
  outputs,
  given = new Map(),
  stored = {},
}: {
  readonly outputs: Readonly<Record<string, Value>>;
  readonly given?: ReadonlyMap<Value, string>;
  readonly stored?: Readonly<Record<string, Tensor>>;
}): Model {
  const names = new Map<Value, string>();
  const inputs = new Map<string, Typed>();
  const nodes: object[] = [];
  const initializers: object[] = [];

  const ask = (value: Value, name: string): string => {
    if (inputs.has(name)) throw new Error(`graph: two inputs are called ${name}`);
    if (outputs[name] !== undefined && outputs[name] !== value) throw new Error(`graph: an input and an output are called ${name}`);
    inputs.set(name, value);
    names.set(value, name);
    return name;
  };
  const store = (of: Tensor): string => {
    const name = `constant_${initializers.length}`;
    initializers.push(tensorProto(name, of));
    return name;
  };
  const nameOf = (value: Value | undefined): string => (value === undefined ? '' : names.get(value)!);

  const write = (node: Node): void => {
    const name = `${node.label || node.op}_${nodes.length}`;
    const written = node.outputs.map((value, i) => {
      const fresh = i === 0 ? name : `${name}_${i}`;
      // A sibling may be given while this node still computes the others: what is given keeps its name.
      if (given.has(value)) return fresh;
      if (!names.has(value)) names.set(value, fresh);
      return names.get(value)!;
    });
    const { domain, attributes: kinds }: Operator = operators[node.op as OpName];
    const asInputs = Object.keys(kinds).filter((key) => kinds[key] === 'input');
    nodes.push({
      name,
      opType: node.op,
      domain: domain ?? '',
      input: [...node.inputs.map(nameOf), ...asInputs.map((key) => store(integers(node.attributes[key] as number | Shape)))],
      output: written,
      attribute: Object.entries(node.attributes).flatMap(([key, value]) => {
        const kind = kinds[key];
        if (kind === undefined) throw new Error(`graph: ${name}: unknown attribute ${key}`);
        return kind === 'input' ? [] : [attributeProto(key, kind, value)];
      }),
    });
  };

  // Outputs are named first, so that no copy is needed to name them.
  for (const [name, value] of Object.entries(outputs)) {
    if (value.from.kind === 'node' && !given.has(value) && !names.has(value)) names.set(value, name);
  }
  for (const value of inOrder(Object.values(outputs), given)) {
    const name = given.get(value);
    if (name !== undefined) ask(value, name);
    else if (value.from.kind === 'input' && stored[value.from.name]) names.set(value, store(stored[value.from.name]!));
    else if (value.from.kind === 'input') ask(value, value.from.name);
    else if (value.from.kind === 'constant') names.set(value, store(value.from.tensor));
  }
  for (const node of nodesInOrder(Object.values(outputs), given)) write(node);
  for (const [name, value] of Object.entries(outputs)) {
    if (names.get(value) !== name)
      nodes.push({ name: `${name}_copy`, opType: 'Identity', domain: '', input: [nameOf(value)], output: [name] });
  }

  const model = {
    irVersion: 10,
    producerName: 'clinfuse',
    opsetImport: [
      { domain: '', version: 21 },
      { domain: 'com.microsoft', version: 1 },
    ],
    graph: {
      name: 'graph',
      node: nodes,
      initializer: initializers,
      input: [...inputs].map(([name, typed]) => valueProto(name, typed)),
      output: Object.entries(outputs).map(([name, typed]) => valueProto(name, typed)),
    },
  };
  return { bytes: modelProto.encode(modelProto.fromObject(model)).finish(), inputs, outputs: new Map(Object.entries(outputs)) };
}

/** Every value the outputs depend on, each after those it is made of; the walk stops at `given`. */
export function inOrder(outputs: readonly Value[], given: { readonly has: (value: Value) => boolean } = new Set()): readonly Value[] {
  const seen = new Set<Value>();
  const order: Value[] = [];
  // A stack of its own: graphs of many layers are deeper than the call stack should be trusted with.
  const stack: { readonly value: Value; readonly ready: boolean }[] = outputs.map((value) => ({ value, ready: false })).reverse();
  while (stack.length > 0) {
    const { value, ready } = stack.pop()!;
    if (ready) order.push(value);
    else if (!seen.has(value)) {
      seen.add(value);
      stack.push({ value, ready: true });
      if (value.from.kind === 'node' && !given.has(value)) {
        for (const operand of [...value.from.node.inputs].reverse()) if (operand) stack.push({ value: operand, ready: false });
      }
    }
  }
  return order;
}

const nodesInOrder = (outputs: readonly Value[], given: ReadonlyMap<Value, string>): ReadonlySet<Node> =>
  new Set(inOrder(outputs, given).flatMap((value) => (value.from.kind === 'node' && !given.has(value) ? [value.from.node] : [])));

/** A size that is known only when the graph runs is -1: the rest. */
const integers = (values: number | Shape): Tensor => {
  const list = typeof values === 'number' ? [values] : values.map((dim) => (typeof dim === 'number' ? dim : -1));
  return tensor('int64', [list.length], BigInt64Array.from(list, BigInt));
};

const attributeTypes = { float: 1, int: 2, string: 3, ints: 7 } as const;

function attributeProto(name: string, kind: AttributeKind, value: number | string | Shape): object {
  const type = attributeTypes[kind as Exclude<AttributeKind, 'input'>];
  if (kind === 'float') return { name, type, f: value };
  if (kind === 'int') return { name, type, i: value };
  if (kind === 'ints') return { name, type, ints: value };
  return { name, type, s: Buffer.from(String(value)) };
}

const tensorProto = (name: string, { type, shape, data }: Tensor): object => ({
  name,
  dims: shape,
  dataType: typeNumbers[type],
  rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

const valueProto = (name: string, { type, shape }: Typed): object => ({
  name,
  type: {
    tensorType: {
      elemType: typeNumbers[type],
      shape: { dim: shape.map((dim) => (typeof dim === 'number' ? { dimValue: dim } : { dimParam: dim })) },
    },
  },
});

/** The part of onnx.proto that is written here. */
const modelProto = protobuf.Root.fromJSON({
  nested: {
    Model: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        producerName: { type: 'string', id: 2 },
        graph: { type: 'Graph', id: 7 },
        opsetImport: { rule: 'repeated', type: 'Opset', id: 8 },
      },
    },
    Opset: { fields: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } } },
    Graph: {
      fields: {
        node: { rule: 'repeated', type: 'Node', id: 1 },
        name: { type: 'string', id: 2 },
        initializer: { rule: 'repeated', type: 'Tensor', id: 5 },
        input: { rule: 'repeated', type: 'ValueInfo', id: 11 },
        output: { rule: 'repeated', type: 'ValueInfo', id: 12 },
      },
    },
    Node: {
      fields: {
        input: { rule: 'repeated', type: 'string', id: 1 },
        output: { rule: 'repeated', type: 'string', id: 2 },
        name: { type: 'string', id: 3 },
        opType: { type: 'string', id: 4 },
        attribute: { rule: 'repeated', type: 'Attribute', id: 5 },
        domain: { type: 'string', id: 7 },
      },
    },
    Attribute: {
      fields: {
        name: { type: 'string', id: 1 },
        f: { type: 'float', id: 2 },
        i: { type: 'int64', id: 3 },
        s: { type: 'bytes', id: 4 },
        ints: { rule: 'repeated', type: 'int64', id: 8 },
        type: { type: 'int32', id: 20 },
      },
    },
    Tensor: {
      fields: {
        dims: { rule: 'repeated', type: 'int64', id: 1 },
        dataType: { type: 'int32', id: 2 },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
      },
    },
    ValueInfo: { fields: { name: { type: 'string', id: 1 }, type: { type: 'TypeInfo', id: 2 } } },
    TypeInfo: { fields: { tensorType: { type: 'TensorType', id: 1 } } },
    TensorType: { fields: { elemType: { type: 'int32', id: 1 }, shape: { type: 'Shape', id: 2 } } },
    Shape: { fields: { dim: { rule: 'repeated', type: 'Dimension', id: 1 } } },
    Dimension: { fields: { dimValue: { type: 'int64', id: 1 }, dimParam: { type: 'string', id: 2 } } },
  },
}).lookupType('Model');
