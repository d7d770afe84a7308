// Safetensors: 8 bytes of header length, a JSON header {name: {dtype, shape, data_offsets}}, then the bytes of the tensors without gaps.
// Nothing but the header is read on opening; a tensor is read by its place in the file when asked for. Whatever is wrong with a file is
// found on opening, so that a read can only fail with the disk.
// Source: the format's description in its own repository (safetensors README, "Format").

import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import { sizeOf } from './expand.ts';
import type { StoredTensor } from './stored-tensor.ts';

const elementBytes = {
  ...{ F64: 8, I64: 8, U64: 8, C64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2 },
  ...{ I8: 1, U8: 1, BOOL: 1, F8_E4M3: 1, F8_E5M2: 1, F8_E8M0: 1 },
} as const;

export type ElementType = keyof typeof elementBytes;

export type SafetensorsEntry = { readonly type: ElementType; readonly shape: readonly number[] };

/** An open file. */
export type Safetensors = {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** The tensor's bytes as they are, in memory of their own. */
  readonly readBytes: (name: string) => Promise<Uint8Array>;
  readonly close: () => Promise<void>;
};

const longestHeader = 100_000_000;

/** Bytes of one tensor. */
export const bytesOf = ({ type, shape }: SafetensorsEntry): number => sizeOf(shape) * elementBytes[type];

/**
 * Opens a file and checks its header.
 *
 * @throws UserError `safetensors.unreadable`, `safetensors.malformed`
 */
export async function openSafetensors(path: string): Promise<Safetensors> {
  const file = await openToRead(path);
  try {
    const { size } = await file.stat();
    const { header, dataStart } = await readHeader(file, { path, size });
    const places = checkHeader(header, { path, dataBytes: size - dataStart });
    const tensors = new Map([...places].map(([name, { type, shape }]) => [name, { type, shape }]));
    return {
      path,
      tensors,
      readBytes: async (name) => {
        const place = places.get(name);
        if (!place) throw malformed(path, `tensor not found: ${name}`, 'the header names no such tensor');
        const bytes = new Uint8Array(bytesOf(place));
        await readFully(file, { target: bytes, position: dataStart + place.start, path });
        return bytes;
      },
      close: () => file.close(),
    };
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

/** Reads a floating-point tensor, its bits as they are. */
export async function readStored(file: Safetensors, name: string): Promise<StoredTensor> {
  const { type, shape } = file.tensors.get(name)!;
  if (type !== 'F32' && type !== 'F16' && type !== 'BF16') {
    throw malformed(file.path, `element type not supported: ${type} of ${name}`, 'save the model as F32, F16 or BF16', 'safetensors.type');
  }
  const { buffer } = await file.readBytes(name);
  if (type === 'F32') return { format: 'f32', shape, data: new Float32Array(buffer) };
  return { format: type === 'F16' ? 'f16' : 'bf16', shape, data: new Uint16Array(buffer) };
}

/** Fills `target` from a place in a file; one system call reads no more than 2 GB. */
export async function readFully(
  file: FileHandle,
  { target, position, path }: { readonly target: Uint8Array; readonly position: number; readonly path: string },
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const length = Math.min(target.length - done, 2 ** 30);
    const { bytesRead } = await file.read(target, done, length, position + done);
    if (bytesRead === 0) throw new UserError('model.truncated', `model: file ended while it was read: ${path}; was it replaced?`);
    done += bytesRead;
  }
}

/** Opens a file for reading, with the user's words for one that cannot be. */
export async function openToRead(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file not found' : 'file cannot be read';
    throw new UserError('model.unreadable', `model: ${why}: ${path}; check the path and its permissions`, { cause });
  }
}

async function readHeader(file: FileHandle, { path, size }: { path: string; size: number }) {
  if (size < 8) throw malformed(path, `truncated: ${size} bytes`, again);
  const start = new Uint8Array(8);
  await readFully(file, { target: start, position: 0, path });
  const length = Number(new DataView(start.buffer).getBigUint64(0, true));
  if (length > longestHeader) throw malformed(path, `header of ${length} bytes`, 'is it a safetensors file?');
  if (8 + length > size) throw malformed(path, `truncated: header of ${length} bytes in a file of ${size}`, again);
  const bytes = new Uint8Array(length);
  await readFully(file, { target: bytes, position: 8, path });
  const text = new TextDecoder().decode(bytes);
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw malformed(path, `header is not JSON: ${(cause as Error).message.slice(0, 80)}`, again);
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw malformed(path, `tensor named twice: ${twice}`, 'write the file again');
  if (!isRecord(header)) throw malformed(path, 'header is not an object', again);
  return { header, dataStart: 8 + length };
}

type Place = SafetensorsEntry & { readonly start: number; readonly end: number };

function checkHeader(header: Record<string, unknown>, { path, dataBytes }: { path: string; dataBytes: number }): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') places.set(name, checkEntry(value, { name, path, dataBytes }));
  }
  let end = 0;
  let before = 'the header';
  for (const [name, place] of [...places].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (place.start < end) throw malformed(path, `tensors overlap: ${before} and ${name}`, again);
    if (place.start > end) throw malformed(path, `bytes of no tensor between ${before} and ${name}: ${place.start - end}`, again);
    [end, before] = [place.end, name];
  }
  if (end < dataBytes) throw malformed(path, `bytes of no tensor after ${before}: ${dataBytes - end}`, again);
  return places;
}

function checkEntry(value: unknown, { name, path, dataBytes }: { name: string; path: string; dataBytes: number }): Place {
  const { dtype, shape, data_offsets: offsets } = isRecord(value) ? value : {};
  if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw malformed(path, `header of a tensor is not {dtype, shape, data_offsets}: ${name}`, again);
  }
  if (!Object.hasOwn(elementBytes, dtype))
    throw malformed(path, `element type unknown: ${dtype} of ${name}`, 'save the model as F32, F16 or BF16');
  const [start, end] = offsets as [number, number];
  if (end > dataBytes) throw malformed(path, `truncated: ${name} ends at byte ${end} of ${dataBytes}`, again);
  const place = { type: dtype as ElementType, shape, start, end };
  if (end - start !== bytesOf(place)) {
    throw malformed(path, `size does not match shape: ${name} is ${dtype} [${shape}] in ${end - start} bytes`, again);
  }
  return place;
}

/** JSON.parse keeps the last of equal keys without a word, so top-level keys are looked for in the text. */
function repeatedKey(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}]/g)) {
    if (token === '{') depth++;
    else if (token === '}') depth--;
    else if (depth === 1 && token.endsWith(':')) {
      const key = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

const again = 'download or write it again';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((side) => Number.isSafeInteger(side) && (side as number) >= 0);

const malformed = (path: string, fault: string, hint: string, code = 'safetensors.malformed') =>
  new UserError(code, `safetensors: ${basename(path)}: ${printable(fault)}; ${hint}`);
