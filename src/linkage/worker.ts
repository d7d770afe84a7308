// One worker thread of the kernel: takes tasks until none is left, sends back what it found.

import { parentPort, workerData } from 'node:worker_threads';

import type { KernelData } from './kernel.ts';
import { type KernelJob, type PairSource, startJob } from './score.ts';

const { data, source, job } = workerData as { data: KernelData; source: PairSource; job: KernelJob };
const running = startJob(data, source, job);
while (running.step());
const result = running.result();
const buffers = [
  result.left,
  result.right,
  result.weight,
  result.rule,
  result.patterns,
  result.counts,
  result.shiftedPattern,
  result.shift,
  ...result.levels,
];
parentPort!.postMessage(
  result,
  buffers.map((array) => array.buffer as ArrayBuffer),
);
