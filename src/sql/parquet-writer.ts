// A Parquet file from columns in memory, without a table or a text per row.
//
// Columns are laid out one after another (parquet-columns.ts) and compressed by Node's thread pool meanwhile. A row group is written when all of its
// columns are, in their order, so the same columns give the same bytes; the footer says where everything lies.
//
// Worked case: 1.2 million rows in groups of 500,000: three row groups; the first is written while the third is laid out.
// Cost: memory of two row groups. Readers: whatever reads Parquet 1.0 with Zstandard.

import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import * as zlib from 'node:zlib';

import { type Chunk, layouters, type Page, type ParquetColumn } from './parquet-columns.ts';
import { type ChunkPlace, codecs, dataHeader, dictionaryHeader, encodings, fileMetadata } from './parquet-format.ts';

/** Writes columns of so many rows as a Parquet file: the same columns give the same bytes. */
export async function writeParquetColumns(
  file: string,
  { columns, rowCount, groupRows }: { readonly columns: readonly ParquetColumn[]; readonly rowCount: number; readonly groupRows: number },
): Promise<void> {
  const handle = await open(file, 'w');
  try {
    let at = 0;
    const append = async (parts: readonly Uint8Array[]) => {
      for (const bytes of parts) {
        for (let written = 0; written < bytes.length; ) written += (await handle.write(bytes, written)).bytesWritten;
        at += bytes.length;
      }
    };
    await append([magic]);
    const layOut = layouters(columns, Math.min(rowCount, groupRows));
    const groups: { rows: number; chunks: ChunkPlace[] }[] = [];
    const write = async (rows: number, packed: Promise<readonly PackedChunk[]>) => {
      const parts: Uint8Array[] = [];
      let place = at;
      const chunks = (await packed).map((chunk) => {
        parts.push(...chunk.parts);
        const dictionaryAt = chunk.dictionaryLength > 0 ? { dictionaryAt: place } : {};
        const dataAt = place + chunk.dictionaryLength;
        place += chunk.compressed;
        return { ...dictionaryAt, dataAt, values: rows, nulls: chunk.nulls, size: chunk.size, compressed: chunk.compressed };
      });
      await append(parts);
      groups.push({ rows, chunks });
    };
    let writing = Promise.resolve();
    for (let from = 0; from < rowCount; from += groupRows) {
      const rows = Math.min(groupRows, rowCount - from);
      const packed: Promise<PackedChunk>[] = [];
      for (const one of layOut) {
        packed.push(packChunk(one(from, from + rows)));
        // Signals have a turn.
        await setImmediate();
      }
      // The group before this one is compressed by now, or soon.
      await writing;
      writing = write(rows, Promise.all(packed));
      writing.catch(() => {});
    }
    await writing;
    const described = columns.map((column) => ({ name: column.name, type: column.kind === 'doubles' ? 'DOUBLE' : column.type }) as const);
    const footer = fileMetadata({ columns: described, groups, codec });
    const length = new Uint8Array(new Uint32Array([footer.length]).buffer);
    await append([footer, length, magic]);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const magic = Buffer.from('PAR1');

/** Zstandard came to Node with 22.15. */
const codec = 'zstdCompress' in zlib ? codecs.zstd : codecs.gzip;

function compress(bytes: Uint8Array): Promise<Uint8Array> {
  // Room for all of the result: else it comes in pieces, each of which takes its turn in the thread pool.
  const chunkSize = bytes.length + 1024;
  return new Promise((done, failed) => {
    const packed = (fault: Error | null, result: Uint8Array) => (fault ? failed(fault) : done(result));
    if (codec === codecs.gzip) zlib.gzip(bytes, { level: 1, chunkSize }, packed);
    else
      zlib.zstdCompress(
        bytes,
        { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 }, chunkSize, pledgedSrcSize: bytes.length },
        packed,
      );
  });
}

type PackedChunk = {
  readonly parts: readonly Uint8Array[];
  readonly nulls: number;
  /** 0 for none. */
  readonly dictionaryLength: number;
  readonly size: number;
  readonly compressed: number;
};

async function packChunk({ nulls, dictionary, data }: Chunk): Promise<PackedChunk> {
  const encoding = dictionary ? encodings.rleDictionary : encodings.plain;
  const [words, places] = await Promise.all([
    dictionary && packPage(dictionary, dictionaryHeader),
    packPage(data, (sizes) => dataHeader(sizes, encoding)),
  ]);
  const dictionaryLength = words ? words.compressed : 0;
  return {
    parts: [...(words?.parts ?? []), ...places.parts],
    nulls,
    dictionaryLength,
    size: (words?.size ?? 0) + places.size,
    compressed: dictionaryLength + places.compressed,
  };
}

async function packPage(
  { bytes, values }: Page,
  headerOf: (sizes: { readonly values: number; readonly size: number; readonly compressed: number }) => Uint8Array,
) {
  const packed = await compress(bytes);
  const header = headerOf({ values, size: bytes.length, compressed: packed.length });
  return { parts: [header, packed], size: header.length + bytes.length, compressed: header.length + packed.length };
}
