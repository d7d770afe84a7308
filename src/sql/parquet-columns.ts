// Columns that are known as codes and their distinct values, laid out as Parquet's pages.
//
// Idea: a Parquet column may be stored as a dictionary page (each distinct value once) and a page of places in it. Who already holds codes needs no
// hash of values to get there: of each row group the values that occur are numbered as they appear, their bytes are copied one after another, and the
// places are written in as few bits as the largest needs, after a bit for each row that says whether it holds a value at all.
//
// Worked case: codes 7 7 -1 3, one row group: presence 1 1 0 1; places 0 0 1, a bit each; dictionary [value 7, value 3].
// Cost: per row and column one look at the code and one at its place; each value's bytes once per row group.
// Source: Apache Parquet format, Encodings.md (plain, RLE / bit-packing hybrid, dictionary).

import type { ParquetType } from './parquet-format.ts';

/** Distinct values as Parquet stores them: value v is `bytes[offsets[v] .. offsets[v + 1])`: UTF-8, or a number's bytes, lowest first. */
export type DistinctValues = { readonly bytes: Uint8Array; readonly offsets: Uint32Array };

/** Row r holds value `codes[rows[r]]`; a negative code is a missing value. Without `rows`, `codes[r]`; without `codes`, value `rows[r]`. */
type Coded = {
  readonly kind: 'coded';
  readonly name: string;
  readonly type: ParquetType;
  readonly values: DistinctValues;
  readonly codes?: Int32Array | Int8Array | Uint8Array;
  readonly rows?: Int32Array;
};

/** Row r holds `numbers[r]`. */
type Doubles = { readonly kind: 'doubles'; readonly name: string; readonly numbers: Float64Array };

export type ParquetColumn = Coded | Doubles;

/** Numbers as the values of a coded column. */
export function distinctNumbers(numbers: Int32Array | Float32Array | Float64Array | BigInt64Array): DistinctValues {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return { bytes, offsets: Uint32Array.from({ length: numbers.length + 1 }, (_, i) => i * numbers.BYTES_PER_ELEMENT) };
}

/** Texts as the values of a coded column. */
export function distinctTexts(texts: readonly string[]): DistinctValues {
  const parts = texts.map((one) => Buffer.from(one));
  const offsets = new Uint32Array(texts.length + 1);
  for (let i = 0; i < parts.length; i++) offsets[i + 1] = offsets[i]! + parts[i]!.length;
  return { bytes: Buffer.concat(parts), offsets };
}

/** One column of one row group before compression; its bytes are the layouters' working space, to be used before the next column is laid out. */
export type Chunk = { readonly nulls: number; readonly dictionary?: Page; readonly data: Page };
export type Page = { readonly bytes: Uint8Array; readonly values: number };

/** Lays out rows [from, until) of one column. */
export type LayOut = (from: number, until: number) => Chunk;

/** One function per column; they share their working space, so one is to be run after the other. */
export function layouters(columns: readonly ParquetColumn[], rows: number): LayOut[] {
  const scratch = makeScratch(rows);
  const numberings = new Map<DistinctValues, Numbering>();
  return columns.map((column) => {
    if (column.kind === 'doubles') return doublesLayouter(column.numbers, scratch);
    const { values } = column;
    const numbering = numberings.get(values) ?? { placeOf: new Uint32Array(values.offsets.length - 1), before: 0 };
    numberings.set(values, numbering);
    return codedLayouter(column, scratch, numbering);
  });
}

function doublesLayouter(numbers: Float64Array, { page }: Scratch): LayOut {
  return (from, until) => {
    const part = numbers.subarray(from, until);
    const levels = presenceLevels(part.length);
    const bytes = page(levels.length + part.byteLength);
    bytes.set(levels);
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), levels.length);
    return { nulls: 0, data: { bytes, values: part.length } };
  };
}

function codedLayouter({ type, values, codes, rows }: Coded, scratch: Scratch, numbering: Numbering): LayOut {
  const codeOf = gather(codes, rows);
  const { placeOf } = numbering;
  return (from, until) => {
    const { found, places, occurring } = scratch;
    const size = until - from;
    const { before } = numbering;
    codeOf(found, from, until);
    let count = 0;
    let present = 0;
    for (let i = 0; i < size; i++) {
      const code = found[i]!;
      if (code < 0) continue;
      let place = placeOf[code]! - before;
      if (place <= 0) {
        occurring[count++] = code;
        place = count;
        placeOf[code] = before + count;
      }
      places[present++] = place - 1;
    }
    numbering.before += count;
    const levels = presenceLevels(size, present < size ? found : undefined);
    const nulls = size - present;
    if (present === 0) return { nulls, data: { bytes: levels, values: size } };
    const wanted = occurring.subarray(0, count);
    const dictionary = { bytes: copyValues(values, wanted, type === 'VARCHAR', scratch.dictionary), values: count };
    return { nulls, dictionary, data: { bytes: packPlaces(levels, places.subarray(0, present), count, scratch.page), values: size } };
  };
}

/** Room for one column of one row group at a time. */
type Scratch = {
  readonly found: Int32Array;
  readonly places: Int32Array;
  readonly occurring: Int32Array;
  readonly page: Space;
  readonly dictionary: Space;
};

/** So many bytes of the same memory at each call: new ones of megabytes would have to be cleared and collected each time. */
type Space = (size: number) => Uint8Array;

function space(): Space {
  let bytes = new Uint8Array(0);
  return (size) => {
    if (bytes.length < size) bytes = new Uint8Array(size + (size >> 2));
    return bytes.subarray(0, size);
  };
}

function makeScratch(rows: number): Scratch {
  const [found, places, occurring] = [new Int32Array(rows), new Int32Array(rows), new Int32Array(rows)];
  return { found, places, occurring, page: space(), dictionary: space() };
}

/** Places of values in the dictionary at hand: value v has place placeOf[v] - before - 1, or none yet when that is negative. Nothing is cleared between two. */
type Numbering = { readonly placeOf: Uint32Array; before: number };

/** Codes of rows [from, until), one function for each way to find them: the loops stay short. */
function gather(codes: Coded['codes'], rows: Coded['rows']): (found: Int32Array, from: number, until: number) => void {
  if (codes && rows)
    return (found, from, until) => {
      for (let row = from; row < until; row++) found[row - from] = codes[rows[row]!]!;
    };
  const direct = codes ?? rows;
  return (found, from, until) => {
    for (let row = from; row < until; row++) found[row - from] = direct ? direct[row]! : row;
  };
}

/** Values one after another, texts with their lengths before them. */
function copyValues({ bytes, offsets }: DistinctValues, wanted: Int32Array, withLengths: boolean, room: Space): Uint8Array {
  let size = withLengths ? 4 * wanted.length : 0;
  for (const value of wanted) size += offsets[value + 1]! - offsets[value]!;
  const copied = room(size);
  // Four bytes at a time: views read and write them wherever they lie.
  const [of, to] = [viewOf(bytes), viewOf(copied)];
  let at = 0;
  for (const value of wanted) {
    const from = offsets[value]!;
    const until = offsets[value + 1]!;
    if (withLengths) {
      to.setUint32(at, until - from, true);
      at += 4;
    }
    let i = from;
    for (; i + 4 <= until; i += 4, at += 4) to.setInt32(at, of.getInt32(i));
    for (; i < until; i++) copied[at++] = bytes[i]!;
  }
  return copied;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** After the levels, places below `count`, each in as few bits as the largest needs: the width, then one run of packed bits. */
function packPlaces(levels: Uint8Array, places: Int32Array, count: number, room: Space): Uint8Array {
  const width = Math.max(1, 32 - Math.clz32(count - 1));
  const header = [width, ...runHeader(places.length, true)];
  const size = Math.ceil(places.length / 8) * width;
  const start = levels.length + header.length;
  // Bits are written in words, of which the last may reach beyond the end.
  const bytes = room(start + size + 4);
  bytes.set(levels);
  bytes.set(header, levels.length);
  const words = viewOf(bytes);
  let [word, used, at] = [0, 0, start];
  for (let i = 0; i < places.length; i++) {
    const place = places[i]!;
    word |= place << used;
    used += width;
    if (used < 32) continue;
    words.setInt32(at, word, true);
    at += 4;
    used -= 32;
    // What of the place did not fit.
    word = used === 0 ? 0 : place >>> (width - used);
  }
  if (used > 0) {
    words.setInt32(at, word, true);
    at += 4;
  }
  bytes.fill(0, at);
  return bytes.subarray(0, start + size);
}

/** Which rows hold a value: their number of bytes, then one run of ones, or of a bit a row where some are missing (a negative code). */
function presenceLevels(rows: number, codes?: Int32Array): Uint8Array {
  const header = runHeader(rows, codes !== undefined);
  const bits = new Uint8Array(codes ? Math.ceil(rows / 8) : 1);
  if (codes) for (let row = 0; row < rows; row++) bits[row >> 3]! |= codes[row]! < 0 ? 0 : 1 << (row & 7);
  else bits[0] = 1;
  const length = new Uint8Array(new Uint32Array([header.length + bits.length]).buffer);
  return Buffer.concat([length, Uint8Array.from(header), bits]);
}

/** Length of a run, in values of one kind, or in eights of packed ones. */
function runHeader(values: number, isPacked: boolean): number[] {
  const bytes: number[] = [];
  let rest = isPacked ? 2 * Math.ceil(values / 8) + 1 : 2 * values;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return bytes;
}
