// What the threads that pack one Parquet file share: which task is next, and how many row groups are written.

import type { FlatTable, PackedChunk } from './parquet-pages.ts';

/** Seen by all threads. */
export type PackState = { readonly taskCount: number; readonly counters: Int32Array };

/** What a thread is given. */
export type PackJob = { readonly table: FlatTable; readonly state: PackState };

/** What it gives back for each task. */
export type PackedTask = { readonly task: number; readonly chunk: PackedChunk };

const [next, written] = [0, 1];

export function packState(taskCount: number): PackState {
  return { taskCount, counters: new Int32Array(new SharedArrayBuffer(8)) };
}

/** The next task nobody has taken; there is none from `taskCount` on. */
export function takeTask({ counters }: PackState): number {
  return Atomics.add(counters, next, 1);
}

/** Tells waiting threads that one more row group is written. */
export function tellWritten({ counters }: PackState): void {
  Atomics.add(counters, written, 1);
  Atomics.notify(counters, written);
}

/** Sleeps until a row group is written; one before the first always is. */
export function waitForGroup({ counters }: PackState, group: number): void {
  for (let count = Atomics.load(counters, written); count <= group; count = Atomics.load(counters, written)) {
    Atomics.wait(counters, written, count);
  }
}
