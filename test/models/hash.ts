import { createHash } from 'node:crypto';

/** The start of a sha256 of float32 values, -0 taken as 0: the form in which oracles keep whole tensors. */
export function hashOf(values: Float32Array): string {
  const signless = values.map((value) => value + 0);
  return createHash('sha256').update(new Uint8Array(signless.buffer)).digest('hex').slice(0, 16);
}
