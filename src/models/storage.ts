// How a model's matrices are kept while it runs. The choice trades memory against time, and for `nf4` and `int8` exactness as well:
//
//   f32     4 bytes a weight, the fastest
//   stored  as the file has them: half precision and GGUF blocks are spelt out anew at every use; bfloat16 becomes f32
//   int8    1.125 bytes: blocks of 32 with a scale, rounded on loading
//   nf4     0.5625 bytes: bitsandbytes' NF4, the base of QLoRA

import { dense, toFloat32 } from './expand.ts';
import { quantizeNf4 } from './nf4.ts';
import type { Storage } from './resident.ts';
import type { BlockTensor, StoredTensor } from './stored-tensor.ts';
import type { WeightForm } from './weight.ts';

export const storagePolicies = ['f32', 'stored', 'int8', 'nf4'] as const;
export type StoragePolicy = (typeof storagePolicies)[number];

/** The policy an adapter says it was trained on, where it is one of ours. */
export const policyNamed = (name: string | undefined): StoragePolicy | undefined => storagePolicies.find((policy) => policy === name);

const blockSize = 32;

/** What to do with each matrix on loading. The head is never rounded: its error would go straight into the scores. */
export function storageOf(policy: StoragePolicy): Storage {
  switch (policy) {
    case 'f32':
      return { linear: dense, head: dense };
    case 'stored':
      return {};
    case 'int8':
      return { linear: (stored) => (isPacked(stored) ? stored : quantizeInt8(dense(stored))) };
    case 'nf4':
      return { linear: (stored) => (stored.format === 'nf4' ? stored : quantizeNf4(toFloat32(stored), { shape: stored.shape })) };
  }
}

/** The form a matrix will have, from its type in the file, before anything is read. */
export function formUnder(policy: StoragePolicy, type: string): WeightForm {
  if (policy === 'f32') return { kind: 'f32' };
  if (policy === 'nf4' || type === 'U8') return { kind: 'nf4', blockSize: 64 };
  const blocks = blockForms[type];
  if (blocks) return blocks;
  if (policy === 'int8') return { kind: 'blocks', values: 'int8', blockSize, hasMinimums: false };
  return { kind: type === 'F16' ? 'f16' : 'f32' };
}

/** GGUF's types as they lie in memory here. */
const blockForms: Readonly<Record<string, WeightForm>> = {
  Q8_0: { kind: 'blocks', values: 'int8', blockSize: 32, hasMinimums: false },
  Q4_0: { kind: 'blocks', values: 'uint4', blockSize: 32, hasMinimums: true },
  Q4_1: { kind: 'blocks', values: 'uint4', blockSize: 32, hasMinimums: true },
  Q4_K: { kind: 'blocks', values: 'uint4', blockSize: 32, hasMinimums: true },
  Q5_K: { kind: 'blocks', values: 'uint8', blockSize: 32, hasMinimums: true },
  Q6_K: { kind: 'blocks', values: 'int8', blockSize: 16, hasMinimums: false },
};

/** Bytes in memory of one number of this form, scales included. */
export function bytesPerWeight(form: WeightForm): number {
  switch (form.kind) {
    case 'f32':
      return 4;
    case 'f16':
      return 2;
    case 'nf4':
      return 0.5 + 4 / form.blockSize;
    case 'int4':
      return 0.5 + 8 / form.blockSize;
    case 'blocks':
      return (form.values === 'uint4' ? 0.5 : 1) + (4 * (form.hasMinimums ? 2 : 1)) / form.blockSize;
  }
}

const isPacked = ({ format }: StoredTensor): boolean => format === 'blocks' || format === 'nf4';

/** Signed 8-bit numbers in blocks of 32 neighbours of a row, each with a scale: the largest of a block becomes 127 (as GGUF's Q8_0). */
function quantizeInt8({ shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array }): BlockTensor {
  const q = new Int8Array(data.length);
  const scales = new Float32Array(data.length / blockSize);
  for (let block = 0; block < scales.length; block++) {
    const from = block * blockSize;
    let largest = 0;
    for (let i = from; i < from + blockSize; i++) largest = Math.max(largest, Math.abs(data[i]!));
    scales[block] = largest / 127;
    const factor = largest > 0 ? 127 / largest : 0;
    for (let i = from; i < from + blockSize; i++) q[i] = Math.round(data[i]! * factor);
  }
  return { format: 'blocks', shape, values: { kind: 'int8', q }, blockSize, scales };
}
