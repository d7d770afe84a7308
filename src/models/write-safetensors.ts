// Writes safetensors files a tensor at a time, so that a model larger than memory can pass through. The header comes first and is known
// from names, types and shapes alone; every tensor then goes to its own place in the file. Wide types are placed first, which keeps
// each tensor aligned to its elements.

import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

import { writeFile, writeJson } from '../base/files.ts';
import { bytesOf, type SafetensorsEntry } from './safetensors.ts';

/** Tensors that come into being together (a quantised weight and its scales); `read` gives their bytes in the order of `entries`. */
export type TensorGroup = {
  readonly entries: readonly (SafetensorsEntry & { readonly name: string })[];
  readonly read: () => Promise<readonly ArrayBufferView[]> | readonly ArrayBufferView[];
};

/** Writes one file, whole or not at all. */
export async function writeSafetensors(path: string, groups: readonly TensorGroup[]): Promise<void> {
  const entries = groups.flatMap((group) => group.entries);
  const places = new Map<string, number>();
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const entry of entries.toSorted((a, b) => width(b) - width(a))) {
    places.set(entry.name, end);
    header[entry.name] = { dtype: entry.type, shape: entry.shape, data_offsets: [end, (end += bytesOf(entry))] };
  }
  if (places.size !== entries.length) throw new Error(`safetensors: tensor named twice: writing ${path}`);
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  text.copy(padded, 8);

  await writeFile(path, async (beside) => {
    const file = await open(beside, 'w');
    try {
      await writeFully(file, { source: padded, position: 0 });
      for (const group of groups) {
        const arrays = await group.read();
        for (const [i, entry] of group.entries.entries()) {
          const array = arrays[i];
          if (array?.byteLength !== bytesOf(entry)) {
            throw new Error(`safetensors: bytes do not match shape: ${entry.name} [${entry.shape}] is ${array?.byteLength} bytes`);
          }
          const source = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
          await writeFully(file, { source, position: padded.length + places.get(entry.name)! });
        }
      }
      await file.sync();
    } finally {
      await file.close();
    }
  });
}

/**
 * Writes the weights of a model folder: `model.safetensors`, or numbered shards and their index where they pass `maxShardBytes`.
 *
 * @returns the names of the files
 */
export async function writeShards(
  folder: string,
  groups: readonly TensorGroup[],
  { maxShardBytes = 5e9 }: { readonly maxShardBytes?: number } = {},
): Promise<readonly string[]> {
  const shards: TensorGroup[][] = [[]];
  let filled = 0;
  for (const group of groups) {
    const size = groupBytes(group);
    if (filled > 0 && filled + size > maxShardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(group);
    filled += size;
  }
  const digits = (number: number) => String(number).padStart(5, '0');
  const nameOf = (shard: number) =>
    shards.length === 1 ? 'model.safetensors' : `model-${digits(shard + 1)}-of-${digits(shards.length)}.safetensors`;
  const map: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    await writeSafetensors(join(folder, nameOf(i)), shard);
    for (const { name } of shard.flatMap(({ entries }) => entries)) map[name] = nameOf(i);
  }
  const names = shards.map((_, i) => nameOf(i));
  if (shards.length === 1) return names;
  const total = groups.reduce((sum, group) => sum + groupBytes(group), 0);
  await writeJson(join(folder, shardIndex), { metadata: { total_size: total }, weight_map: map });
  return [...names, shardIndex];
}

export const shardIndex = 'model.safetensors.index.json';

const groupBytes = ({ entries }: TensorGroup) => entries.reduce((sum, entry) => sum + bytesOf(entry), 0);

const width = (entry: SafetensorsEntry) => bytesOf({ ...entry, shape: [] });

async function writeFully(file: FileHandle, { source, position }: { readonly source: Uint8Array; readonly position: number }) {
  for (let done = 0; done < source.length; ) {
    const { bytesWritten } = await file.write(source, done, Math.min(source.length - done, 2 ** 30), position + done);
    done += bytesWritten;
  }
}
