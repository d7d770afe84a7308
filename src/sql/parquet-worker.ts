// One thread that packs columns of a Parquet file: takes tasks until none is left and sends back the pages of each.

import { parentPort } from 'node:worker_threads';

import { packer } from './parquet-pages.ts';
import { type PackedTask, type PackJob, takeTask, waitForGroup } from './parquet-tasks.ts';

parentPort!.once('message', ({ table, state }: PackJob) => {
  const pack = packer(table);
  for (let task = takeTask(state); task < state.taskCount; task = takeTask(state)) {
    waitForGroup(state, Math.floor(task / table.columns.length) - 2);
    parentPort!.postMessage({ task, chunk: pack(task) } satisfies PackedTask);
  }
});
