// GGUF: magic, version, counts; typed metadata; one description per tensor (name, sides from the innermost, type, offset); then, from the
// next multiple of `general.alignment`, the tensors' bytes. Only the header is read here, in windows of a megabyte.
// (@huggingface/gguf reads a file cut off in its header as zeros, without an error, so the header is read by our own code.)
// Source: ggml's docs/gguf.md, versions 2 and 3.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';

import { UserError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import { sizeOf } from './expand.ts';

/** Metadata by name; 64-bit integers become numbers, arrays plain arrays. */
export type GgufMetadata = Readonly<Record<string, GgufValue>>;
type GgufValue = number | boolean | string | readonly GgufValue[];

export type GgufTensor = {
  readonly name: string;
  /** Row-major, outermost first (the file holds it the other way round). */
  readonly shape: readonly number[];
  readonly type: GgufType;
  /** Place in the file. */
  readonly start: number;
  readonly bytes: number;
};

/** [numbers, bytes] of a block. */
const blockSizes = {
  F32: [1, 4],
  F16: [1, 2],
  BF16: [1, 2],
  Q4_0: [32, 18],
  Q4_1: [32, 20],
  Q8_0: [32, 34],
  Q4_K: [256, 144],
  Q5_K: [256, 176],
  Q6_K: [256, 210],
} as const;

export type GgufType = keyof typeof blockSizes;

/** Bytes of one row of `columns` numbers. */
export const rowBytes = (type: GgufType, columns: number): number => (columns / blockSizes[type][0]) * blockSizes[type][1];

const supported: Readonly<Record<number, GgufType>> = {
  ...{ 0: 'F32', 1: 'F16', 30: 'BF16', 2: 'Q4_0', 3: 'Q4_1', 8: 'Q8_0', 12: 'Q4_K', 13: 'Q5_K', 14: 'Q6_K' },
};

/** Names of the types we do not read, for the error alone. */
const otherTypes: Readonly<Record<number, string>> = {
  ...{ 6: 'Q5_0', 7: 'Q5_1', 9: 'Q8_1', 10: 'Q2_K', 11: 'Q3_K', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS', 18: 'IQ3_XXS', 19: 'IQ1_S' },
  ...{ 20: 'IQ4_NL', 21: 'IQ3_S', 22: 'IQ2_S', 23: 'IQ4_XS', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64', 29: 'IQ1_M' },
  ...{ 34: 'TQ1_0', 35: 'TQ2_0', 39: 'MXFP4', 40: 'NVFP4', 41: 'Q1_0' },
};

/** The metadata of a GGUF file, as a plain record: `general.*`, the architecture's own keys, `tokenizer.*`. */
export const ggufMetadata = (path: string): GgufMetadata => readGguf(path).metadata;

/**
 * Reads the header of a GGUF file.
 *
 * @throws UserError `model.unreadable`, `gguf.malformed`, `gguf.type` for a tensor of a type we do not read
 */
export function readGguf(path: string): { readonly metadata: GgufMetadata; readonly tensors: readonly GgufTensor[] } {
  const cursor = openCursor(path);
  try {
    if (cursor.text(4) !== 'GGUF') throw malformed(path, 'does not begin with GGUF', 'is it a GGUF file?');
    const version = cursor.u32();
    if (version !== 2 && version !== 3) throw malformed(path, `version not supported: ${version}`, 'supported: 2 and 3, little-endian');
    const tensorCount = cursor.u64();
    const metadataCount = cursor.u64();
    const entries = Array.from({ length: cursor.atMost(metadataCount) }, () => [cursor.string(), readValue(cursor, cursor.u32())] as const);
    const metadata: GgufMetadata = Object.fromEntries(entries);
    if (Number(metadata['split.count'] ?? 1) > 1)
      throw malformed(path, 'one part of several', 'join the parts with llama-gguf-split --merge');
    const described = Array.from({ length: cursor.atMost(tensorCount) }, () => readDescription(cursor, path));
    const alignment = typeof metadata['general.alignment'] === 'number' ? metadata['general.alignment'] : 32;
    const data = Math.ceil(cursor.position() / alignment) * alignment;
    const tensors = described.map((tensor) => ({ ...tensor, start: data + tensor.start }));
    checkPlaces(tensors, { path, size: cursor.size });
    return { metadata, tensors };
  } finally {
    cursor.close();
  }
}

function readDescription(cursor: Cursor, path: string): GgufTensor {
  const name = cursor.string();
  const shape = Array.from({ length: cursor.atMost(cursor.u32()) }, () => cursor.u64()).reverse();
  const typeNumber = cursor.u32();
  const start = cursor.u64();
  const type = supported[typeNumber];
  if (!type) {
    throw new UserError(
      'gguf.type',
      `gguf: ${basename(path)}: type not supported: ${otherTypes[typeNumber] ?? typeNumber} of ${printable(name)}; supported: ${Object.keys(blockSizes).join(', ')}`,
    );
  }
  const columns = shape.at(-1) ?? 1;
  if (columns % blockSizes[type][0] !== 0) throw malformed(path, `rows do not divide into ${type} blocks: ${name} [${shape}]`, again);
  return { name, shape, type, start, bytes: (sizeOf(shape) / columns) * rowBytes(type, columns) };
}

function checkPlaces(tensors: readonly GgufTensor[], { path, size }: { path: string; size: number }): void {
  const seen = new Set<string>();
  let end = 0;
  let before = '';
  for (const tensor of [...tensors].sort((a, b) => a.start - b.start)) {
    if (seen.has(tensor.name)) throw malformed(path, `tensor named twice: ${tensor.name}`, again);
    seen.add(tensor.name);
    if (tensor.start < end) throw malformed(path, `tensors overlap: ${before} and ${tensor.name}`, again);
    [end, before] = [tensor.start + tensor.bytes, tensor.name];
    if (end > size) throw malformed(path, `truncated: ${tensor.name} ends at byte ${end} of ${size}`, again);
  }
}

const fixedValues: Readonly<Record<number, (cursor: Cursor) => GgufValue>> = {
  0: (cursor) => cursor.take(1).getUint8(0),
  1: (cursor) => cursor.take(1).getInt8(0),
  2: (cursor) => cursor.take(2).getUint16(0, true),
  3: (cursor) => cursor.take(2).getInt16(0, true),
  4: (cursor) => cursor.u32(),
  5: (cursor) => cursor.take(4).getInt32(0, true),
  6: (cursor) => cursor.take(4).getFloat32(0, true),
  7: (cursor) => cursor.take(1).getUint8(0) !== 0,
  8: (cursor) => cursor.string(),
  10: (cursor) => cursor.u64(),
  11: (cursor) => Number(cursor.take(8).getBigInt64(0, true)),
  12: (cursor) => cursor.take(8).getFloat64(0, true),
};

function readValue(cursor: Cursor, type: number): GgufValue {
  if (type === 9) {
    const inner = cursor.u32();
    const length = cursor.atMost(cursor.u64());
    return Array.from({ length }, () => readValue(cursor, inner));
  }
  const read = fixedValues[type];
  if (!read) throw malformed(cursor.path, `metadata type unknown: ${type}`, again);
  return read(cursor);
}

type Cursor = ReturnType<typeof openCursor>;

const windowBytes = 2 ** 20;

/** Reads a file forward through a window; running past its end is the error `truncated`. */
function openCursor(path: string) {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'file not found' : 'file cannot be read';
    throw new UserError('model.unreadable', `model: ${why}: ${path}; check the path and its permissions`, { cause });
  }
  const { size } = fstatSync(file);
  let bytes = Buffer.alloc(0);
  let windowStart = 0;
  let at = 0;
  /** Makes `length` bytes from `at` on lie in the window, and steps over them. */
  const advance = (length: number): number => {
    if (windowStart + at + length > size) throw malformed(path, `truncated: header goes past byte ${size}, the file's end`, again);
    if (at + length > bytes.length) {
      windowStart += at;
      bytes = Buffer.alloc(Math.min(Math.max(windowBytes, length), size - windowStart));
      for (let done = 0; done < bytes.length; ) {
        const count = readSync(file, bytes, done, bytes.length - done, windowStart + done);
        if (count === 0) throw malformed(path, 'file ended while it was read', again);
        done += count;
      }
      at = 0;
    }
    at += length;
    return at - length;
  };
  const text = (length: number) => {
    const from = advance(length);
    return bytes.toString('utf8', from, from + length);
  };
  const u64 = () => {
    const from = advance(8);
    return bytes.readUInt32LE(from) + bytes.readUInt32LE(from + 4) * 2 ** 32;
  };
  return {
    path,
    size,
    position: () => windowStart + at,
    take: (length: number) => new DataView(bytes.buffer, bytes.byteOffset + advance(length), length),
    text,
    u32: () => bytes.readUInt32LE(advance(4)),
    u64,
    string: () => text(u64()),
    /** A count of things that take a byte or more each: more of them than bytes left is a damaged file, not a reason to run out of memory. */
    atMost: (count: number) => {
      if (count > size - windowStart - at) throw malformed(path, `truncated: ${count} entries announced, the file ends before`, again);
      return count;
    },
    close: () => closeSync(file),
  };
}

const again = 'download it again';

const malformed = (path: string, fault: string, hint: string) =>
  new UserError('gguf.malformed', `gguf: ${basename(path)}: ${printable(fault)}; ${hint}`);
