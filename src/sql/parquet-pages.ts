// Column chunks of a Parquet file, laid out (parquet-columns.ts) and compressed.
//
// A task is one column of one row group; task t of a table of c columns is column t mod c of row group t / c.

import * as zlib from 'node:zlib';

import { type Chunk, layouters, type Page, type ParquetColumn } from './parquet-columns.ts';
import { codecs, dataHeader, dictionaryHeader, encodings } from './parquet-format.ts';

/** Columns of so many rows, which become row groups of so many. */
export type FlatTable = { readonly columns: readonly ParquetColumn[]; readonly rowCount: number; readonly groupRows: number };

/** One column of one row group as it lies in the file: headers and compressed pages. */
export type PackedChunk = {
  readonly parts: readonly Uint8Array[];
  readonly nulls: number;
  /** 0 for none. */
  readonly dictionaryLength: number;
  readonly size: number;
  readonly compressed: number;
};

/** Does tasks of a table; it holds working space for one at a time, so each thread has its own. */
export function packer({ columns, rowCount, groupRows }: FlatTable): (task: number) => PackedChunk {
  const layOut = layouters(columns, Math.min(rowCount, groupRows));
  return (task) => {
    const from = Math.floor(task / columns.length) * groupRows;
    return packChunk(layOut[task % columns.length]!(from, Math.min(rowCount, from + groupRows)));
  };
}

/** Zstandard came to Node with 22.15. */
export const codec = 'zstdCompress' in zlib ? codecs.zstd : codecs.gzip;

function compress(bytes: Uint8Array): Uint8Array {
  if (codec === codecs.gzip) return zlib.gzipSync(bytes, { level: 1 });
  return zlib.zstdCompressSync(bytes, { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 }, pledgedSrcSize: bytes.length });
}

function packChunk({ nulls, dictionary, data }: Chunk): PackedChunk {
  const encoding = dictionary ? encodings.rleDictionary : encodings.plain;
  const words = dictionary && packPage(dictionary, dictionaryHeader);
  const places = packPage(data, (sizes) => dataHeader(sizes, encoding));
  const dictionaryLength = words ? words.compressed : 0;
  return {
    parts: [...(words?.parts ?? []), ...places.parts],
    nulls,
    dictionaryLength,
    size: (words?.size ?? 0) + places.size,
    compressed: dictionaryLength + places.compressed,
  };
}

function packPage(
  { bytes, values }: Page,
  headerOf: (sizes: { readonly values: number; readonly size: number; readonly compressed: number }) => Uint8Array,
) {
  const packed = compress(bytes);
  const header = headerOf({ values, size: bytes.length, compressed: packed.length });
  return { parts: [header, packed], size: header.length + bytes.length, compressed: header.length + packed.length };
}
