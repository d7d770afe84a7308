// GGUF's quantised rows taken apart into planes: whole numbers q, and per block a scale and perhaps a minimum, value = q * scale + minimum.
//
//   Q8_0  32 numbers  d, 32 int8                                       q d
//   Q4_0  32          d, 16 bytes: low nibbles are 0..15, high 16..31   (q - 8) d
//   Q4_1  32          d, m, the same nibbles                           q d + m
//   Q4_K  256 = 8*32  d, m, 8 six-bit (s, t), nibbles 64 by 64         q d s - m t
//   Q5_K  the same, and a fifth bit for each number: bit j of 32 bytes belongs to block j
//   Q6_K  256 = 16*16 low nibbles, high bit pairs, 16 int8 s, d        (q - 32) d s
//
// Nothing is rounded that the formats' own reference does not round: halves, six-bit products and minimums are exact in float32.
// Rows arrive in file order and go where `order` says, so that rows which a format has shuffled are put back while they are unpacked.
// Source: ggml, ggml-common.h and gguf-py's quants.py (layouts).

import type { GgufType } from './gguf.ts';
import { rowBytes } from './gguf.ts';
import { halfTable } from './half.ts';
import type { BlockTensor } from './stored-tensor.ts';

export type BlockType = Exclude<GgufType, 'F32' | 'F16' | 'BF16'>;

/** Numbers that share a scale; whether there are minimums; the width of q. */
const forms = {
  Q4_0: { blockSize: 32, minimum: true, kind: 'uint4' },
  Q4_1: { blockSize: 32, minimum: true, kind: 'uint4' },
  Q4_K: { blockSize: 32, minimum: true, kind: 'uint4' },
  Q5_K: { blockSize: 32, minimum: true, kind: 'uint8' },
  Q8_0: { blockSize: 32, minimum: false, kind: 'int8' },
  Q6_K: { blockSize: 16, minimum: false, kind: 'int8' },
} as const satisfies Record<BlockType, unknown>;

/** One row's planes. */
type Row = { readonly q: Int8Array; readonly scales: Float32Array; readonly minimums: Float32Array };

const rowReaders: Readonly<Record<BlockType, (bytes: Uint8Array, row: Row) => void>> = {
  Q4_0: (bytes, row) => readNibbleRow(bytes, row, false),
  Q4_1: (bytes, row) => readNibbleRow(bytes, row, true),
  Q8_0: readQ8,
  Q4_K: (bytes, row) => readSuperRow(bytes, row, false),
  Q5_K: (bytes, row) => readSuperRow(bytes, row, true),
  Q6_K: readQ6K,
};

/**
 * Prepares the planes of a matrix; `addRows` takes whole rows in file order, as many at a time as the caller has read.
 *
 * @param order the row a file row becomes
 */
export function blockUnpacker(
  type: BlockType,
  { shape, order }: { readonly shape: readonly number[]; readonly order: (fileRow: number) => number },
): { readonly tensor: BlockTensor; readonly addRows: (bytes: Uint8Array) => void } {
  const { blockSize, minimum, kind } = forms[type];
  const columns = shape.at(-1)!;
  const rows = shape.length === 1 ? 1 : shape[0]!;
  const blocks = columns / blockSize;
  const half = rows / 2;
  // A pair of rows shares its bytes in the packed form: an odd number of rows keeps a byte for each number.
  const packed = kind === 'uint4' && Number.isInteger(half);
  const scales = new Float32Array(rows * blocks);
  const minimums = new Float32Array(minimum ? rows * blocks : blocks);
  const q = packed ? new Uint8Array(half * columns) : kind === 'int8' ? new Int8Array(rows * columns) : new Uint8Array(rows * columns);
  const values: BlockTensor['values'] = q instanceof Int8Array ? { kind: 'int8', q } : { kind: packed ? 'uint4' : 'uint8', q };
  const tensor: BlockTensor = { format: 'blocks', shape, values, blockSize, scales, ...(minimum && { minimums }) };

  const read = rowReaders[type];
  const scratch = new Int8Array(columns);
  const stride = rowBytes(type, columns);
  let fileRow = 0;
  const addRows = (bytes: Uint8Array) => {
    for (let start = 0; start < bytes.length; start += stride) {
      const row = order(fileRow++);
      const planes = {
        q: packed ? scratch : new Int8Array(q.buffer, row * columns, columns),
        scales: scales.subarray(row * blocks, (row + 1) * blocks),
        minimums: minimum ? minimums.subarray(row * blocks, (row + 1) * blocks) : minimums,
      };
      read(bytes.subarray(start, start + stride), planes);
      if (packed) packRow(q as Uint8Array, { row: scratch, start: (row % half) * columns, shift: row < half ? 0 : 4 });
    }
  };
  return { tensor, addRows };
}

function packRow(target: Uint8Array, { row, start, shift }: { row: Int8Array; start: number; shift: number }): void {
  for (let i = 0; i < row.length; i++) target[start + i]! |= row[i]! << shift;
}

const halfAt = (bytes: Uint8Array, at: number): number => halfTable()[bytes[at]! | (bytes[at + 1]! << 8)]!;

function readQ8(bytes: Uint8Array, { q, scales }: Row): void {
  for (let block = 0, at = 0; block < scales.length; block++, at += 34) {
    scales[block] = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) q[block * 32 + i] = bytes[at + 2 + i]!;
  }
}

/** Q4_1, or Q4_0, whose minimum is -8 d. */
function readNibbleRow(bytes: Uint8Array, { q, scales, minimums }: Row, hasMinimum: boolean): void {
  const stride = hasMinimum ? 20 : 18;
  for (let block = 0, at = 0; block < scales.length; block++, at += stride) {
    const scale = halfAt(bytes, at);
    scales[block] = scale;
    minimums[block] = hasMinimum ? halfAt(bytes, at + 2) : -8 * scale;
    const nibbles = at + stride - 16;
    for (let i = 0; i < 16; i++) {
      q[block * 32 + i] = bytes[nibbles + i]! & 15;
      q[block * 32 + 16 + i] = bytes[nibbles + i]! >> 4;
    }
  }
}

/**
 * Q4_K, and Q5_K with its fifth bits. The eight scales s and minimums t have six bits: those of the first four blocks are the low six bits
 * of bytes 0 to 3 and 4 to 7; the last four have their low nibbles in bytes 8 to 11 and their upper two bits atop the first eight.
 */
function readSuperRow(bytes: Uint8Array, { q, scales, minimums }: Row, fifthBits: boolean): void {
  const stride = fifthBits ? 176 : 144;
  for (let block = 0, at = 0; block < scales.length; block += 8, at += stride) {
    const d = halfAt(bytes, at);
    const m = halfAt(bytes, at + 2);
    const six = at + 4;
    for (let j = 0; j < 4; j++) {
      const [s, t, both] = [bytes[six + j]!, bytes[six + 4 + j]!, bytes[six + 8 + j]!];
      scales[block + j] = d * (s & 63);
      minimums[block + j] = -m * (t & 63);
      scales[block + 4 + j] = d * ((both & 15) | ((s >> 2) & 48));
      minimums[block + 4 + j] = -m * ((both >> 4) | ((t >> 2) & 48));
    }
    const fifths = at + 16;
    const nibbles = at + stride - 128;
    for (let j = 0; j < 8; j++) {
      const from = nibbles + (j >> 1) * 32;
      const shift = (j & 1) * 4;
      const target = (block + j) * 32;
      for (let i = 0; i < 32; i++) {
        const fifth = fifthBits ? ((bytes[fifths + i]! >> j) & 1) << 4 : 0;
        q[target + i] = ((bytes[from + i]! >> shift) & 15) | fifth;
      }
    }
  }
}

/** Each half of 128 numbers: 64 bytes of nibbles (the low ones are the first 64 numbers) and 32 bytes of bit pairs, one for each quarter. */
function readQ6K(bytes: Uint8Array, { q, scales }: Row): void {
  for (let block = 0, at = 0; block < scales.length; block += 16, at += 210) {
    const d = halfAt(bytes, at + 208);
    for (let j = 0; j < 16; j++) scales[block + j] = d * ((bytes[at + 192 + j]! << 24) >> 24);
    for (let part = 0; part < 8; part++) {
      const side = part >> 2;
      const quarter = part & 3;
      const low = at + side * 64 + (quarter & 1) * 32;
      const high = at + 128 + side * 32;
      const target = block * 16 + part * 32;
      for (let i = 0; i < 32; i++) {
        const nibble = (bytes[low + i]! >> ((quarter >> 1) * 4)) & 15;
        q[target + i] = (nibble | (((bytes[high + i]! >> (quarter * 2)) & 3) << 4)) - 32;
      }
    }
  }
}
