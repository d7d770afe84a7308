// A Parquet file from columns in memory, without a table or a text per row.
//
// The columns of a row group are laid out and compressed (parquet-pages.ts) by several threads, whichever is free taking the next one. A row group is
// written when all of its columns are, in their order, so the same columns give the same bytes, whatever the threads; the footer says where all lies.
//
// Worked case: 1.2 million rows in groups of 500,000: three row groups; the third is begun when the first is written.
// Cost: memory of two row groups. Readers: whatever reads Parquet 1.0 with Zstandard.

import { open } from 'node:fs/promises';

import { type ChunkPlace, fileMetadata } from './parquet-format.ts';
import { codec, type FlatTable, type PackedChunk } from './parquet-pages.ts';
import { packTable } from './parquet-workers.ts';

/** Writes columns of so many rows as a Parquet file: the same columns give the same bytes. */
export async function writeParquetColumns(file: string, table: FlatTable, options: { readonly threads?: number } = {}): Promise<void> {
  const { columns } = table;
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
    const groups: { rows: number; chunks: ChunkPlace[] }[] = [];
    await packTable(table, options, async (rows, packed) => {
      let place = at;
      const chunks = packed.map((chunk) => {
        const dictionaryAt = chunk.dictionaryLength > 0 ? { dictionaryAt: place } : {};
        const dataAt = place + chunk.dictionaryLength;
        place += chunk.compressed;
        return { ...dictionaryAt, dataAt, values: rows, nulls: chunk.nulls, size: chunk.size, compressed: chunk.compressed };
      });
      await append(packed.flatMap(({ parts }: PackedChunk) => parts));
      groups.push({ rows, chunks });
    });
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
