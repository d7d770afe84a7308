// What the passes of training leave lies in memory that stays from step to step. Otherwise a step would make arrays of some 200 MB, and
// looking for those no longer needed would keep one of two cores busy for a twentieth of its time.

import type { Session } from '../graph/session.ts';
import { product } from '../graph/shapes.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { fixed } from '../graph/value.ts';

/** Memory for all outputs of a session; what lay at the same place before is written over. */
export type PassMemory = (place: string, session: Session) => Readonly<Record<string, Tensor>>;

/** Memory that grows to the largest batch. */
export function passMemory(): PassMemory {
  const held = new Map<string, Float32Array>();
  const hold = (key: string, size: number): Float32Array => {
    const found = held.get(key);
    if (found && found.length >= size) return found.subarray(0, size);
    const made = new Float32Array(size);
    held.set(key, made);
    return made;
  };
  const lastAt = new Map<string, { readonly session: Session; readonly tensors: Readonly<Record<string, Tensor>> }>();
  return (place, session) => {
    const last = lastAt.get(place);
    if (last?.session === session) return last.tensors;
    const tensors = Object.fromEntries(
      [...session.outputs].map(([name, { shape }]) => {
        const sizes = fixed(shape);
        return [name, tensor('float32', sizes, hold(`${place} ${name}`, product(sizes)))];
      }),
    );
    lastAt.set(place, { session, tensors });
    return tensors;
  };
}
