import type { DataType, Tensor } from './tensor.ts';

/** A size known now, or the name of one that is known only when the graph runs. */
export type Dim = number | string;
export type Shape = readonly Dim[];
export type Typed = { readonly type: DataType; readonly shape: Shape };

/** An edge of the graph: what an input, a constant or an operator gives. Two edges are the same when they are the same object. */
export type Value = Typed & { readonly from: Source };

export type Source =
  | { readonly kind: 'input'; readonly name: string }
  | { readonly kind: 'constant'; readonly tensor: Tensor }
  | { readonly kind: 'node'; readonly node: Node; readonly output: number };

export type Attributes = Readonly<Record<string, number | string | Shape>>;

/** One operator at work. Its inputs exist before it does, so a graph has no cycle, and what nothing asks for is never written. */
export type Node = {
  readonly op: string;
  /** `undefined` where an optional input is left out. */
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;
  /** What the author called it, for error lines and profiles. */
  readonly label: string;
  readonly outputs: readonly Value[];
};

export const showShape = (shape: Shape): string => `[${shape.join(', ')}]`;

/** A shape whose every size is known; a graph that is not so where it must be is a bug of its builder. */
export function fixed(shape: Shape): readonly number[] {
  const open = shape.find((dim) => typeof dim !== 'number');
  if (open !== undefined) throw new Error(`graph: size not known yet: ${open} of ${showShape(shape)}`);
  return shape as readonly number[];
}
