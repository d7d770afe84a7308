// One worker thread of the kernel: for each job it is given, takes tasks until none is left and sends back what it found.

import { parentPort } from 'node:worker_threads';

import type { KernelData } from './kernel.ts';
import type { PairSource } from './pair-source.ts';
import { type KernelJob, startJob } from './score.ts';

parentPort!.on('message', ({ data, source, job }: { data: KernelData; source: PairSource; job: KernelJob }) => {
  const running = startJob(data, source, job);
  while (running.step());
  const result = running.result();
  const { left, right, weight, rule, patterns, counts, shiftedPattern, shift, levels } = result;
  const arrays = [left, right, weight, rule, patterns, counts, shiftedPattern, shift, ...levels];
  parentPort!.postMessage(
    result,
    arrays.map(({ buffer }) => buffer as ArrayBuffer),
  );
});
