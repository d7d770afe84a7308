// Packs the columns of a Parquet file on several threads. All take the next task from one counter; nobody begins a row group before the one two before
// it is written, so that two are in memory at most.

import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { openPromise } from '../base/open-promise.ts';
import { type FlatTable, type PackedChunk, packer } from './parquet-pages.ts';
import { type PackedTask, type PackJob, packState, takeTask, tellWritten } from './parquet-tasks.ts';

/** A table with fewer values is packed sooner than a thread starts. */
const valuesWorthThreads = 4e6;

/**
 * Packs a table and hands its row groups on, each with its number of rows, one after the other.
 *
 * @param options.threads this one counted; 1 by default
 */
export async function packTable(
  table: FlatTable,
  { threads = 1 }: { readonly threads?: number },
  write: (rows: number, chunks: readonly PackedChunk[]) => Promise<void>,
): Promise<void> {
  const { columns, rowCount, groupRows } = table;
  const groupCount = Math.ceil(rowCount / groupRows);
  const state = packState(groupCount * columns.length);
  const packed = Array.from({ length: state.taskCount }, openPromise<PackedChunk>);
  const written: Promise<void>[] = [];
  for (let group = 0; group < groupCount; group++) {
    const chunks = Promise.all(packed.slice(group * columns.length, (group + 1) * columns.length).map(({ promise }) => promise));
    written.push(
      Promise.all([chunks, written.at(-1)]).then(async ([done]) => {
        await write(Math.min(groupRows, rowCount - group * groupRows), done);
        tellWritten(state);
      }),
    );
    // A fault is reported by what awaits the last group, not by the process.
    written[group]!.catch(() => {});
  }
  const others = rowCount * columns.length < valuesWorthThreads ? 0 : Math.min(threads, state.taskCount) - 1;
  const workers = Array.from({ length: others }, () => {
    // The file runs as .ts in a checkout and as .js in the package.
    const worker = new Worker(new URL(import.meta.url.endsWith('.ts') ? './parquet-worker.ts' : './parquet-worker.js', import.meta.url));
    worker.on('message', ({ task, chunk }: PackedTask) => packed[task]!.resolve(chunk));
    worker.once('error', (fault) => {
      for (const one of packed) one.reject(fault);
    });
    worker.postMessage({ table, state } satisfies PackJob);
    return worker;
  });
  try {
    const pack = packer(table);
    for (let task = takeTask(state); task < state.taskCount; task = takeTask(state)) {
      await written[Math.floor(task / columns.length) - 2];
      packed[task]!.resolve(pack(task));
      // Signals have a turn, and what the others packed.
      await setImmediate();
    }
    await written.at(-1);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
