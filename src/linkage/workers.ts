// Runs a kernel job on worker threads, or in place when it is small, and joins what they found into one result sorted by (left, right).

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

import { taskWidth } from './blocking.ts';
import type { KernelData } from './kernel.ts';
import { type KernelJob, type KernelResult, type PairSource, runJob } from './score.ts';

/** Below this many pairs a thread costs more than it saves. */
const pairsWorthThreads = 300_000;

/** Worker threads at work; `stop` ends them at once. */
export type Pool = {
  readonly run: (data: KernelData, source: PairSource, job: KernelJob, pairs: number) => Promise<KernelResult>;
  readonly stop: () => Promise<void>;
};

export function createPool({ threads = availableParallelism() }: { readonly threads?: number } = {}): Pool {
  const alive = new Set<Worker>();
  const inWorker = (data: KernelData, source: PairSource, job: KernelJob) =>
    new Promise<KernelResult>((done, failed) => {
      // The file runs as .ts in a checkout and as .js in the package.
      const file = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
      const worker = new Worker(file, { workerData: { data, source, job } });
      alive.add(worker);
      let result: KernelResult | undefined;
      worker.once('message', (message: KernelResult) => {
        result = message;
      });
      worker.once('error', failed);
      worker.once('exit', () => {
        alive.delete(worker);
        if (result) done(result);
        else failed(new Error('linkage: a worker ended without a result'));
      });
    });
  return {
    run: async (data, source, job, pairs) => {
      const workers = pairs < pairsWorthThreads ? 1 : Math.min(threads, Math.max(1, source.tasks.length / taskWidth));
      if (workers === 1) return sorted([runJob(data, source, job)]);
      // This thread works too, so one worker fewer is started.
      const others = Array.from({ length: workers - 1 }, () => inWorker(data, source, job));
      const own = runJob(data, source, job);
      return sorted([own, ...(await Promise.all(others))]);
    },
    stop: async () => {
      await Promise.all([...alive].map((worker) => worker.terminate()));
    },
  };
}

/** Joins the parts; pairs by (left, right), patterns and shifts by their numbers, so that no trace of the threads remains. */
function sorted(parts: readonly KernelResult[]): KernelResult {
  const size = parts.reduce((sum, part) => sum + part.left.length, 0);
  const join = <T extends Int32Array | Float64Array | Uint8Array>(pick: (part: KernelResult) => T): T => {
    const first = pick(parts[0]!);
    if (parts.length === 1) return first;
    const joined = new (first.constructor as new (length: number) => T)(parts.reduce((sum, part) => sum + pick(part).length, 0));
    parts.reduce((at, part) => {
      joined.set(pick(part) as never, at);
      return at + pick(part).length;
    }, 0);
    return joined;
  };
  const [left, right] = [join((part) => part.left), join((part) => part.right)];
  const order = countingOrder(
    left,
    countingOrder(
      right,
      Uint32Array.from(left, (_, i) => i),
    ),
  );
  const arrange = <T extends Int32Array | Float64Array | Uint8Array>(values: T): T => {
    const arranged = new (values.constructor as new (length: number) => T)(size);
    for (let i = 0; i < size; i++) arranged[i] = values[order[i]!]!;
    return arranged;
  };
  const counts = new Map<number, number>();
  for (const part of parts) part.patterns.forEach((pattern, i) => counts.set(pattern, (counts.get(pattern) ?? 0) + part.counts[i]!));
  const patterns = [...counts.keys()].sort((a, b) => a - b);
  const [shiftedPattern, shift] = [join((part) => part.shiftedPattern), join((part) => part.shift)];
  const byPattern = Uint32Array.from(shift, (_, i) => i).sort((a, b) => shiftedPattern[a]! - shiftedPattern[b]! || shift[a]! - shift[b]!);
  return {
    left: arrange(left),
    right: arrange(right),
    weight: arrange(join((part) => part.weight)),
    rule: arrange(join((part) => part.rule)),
    levels: parts[0]!.levels.map((_, c) => arrange(join((part) => part.levels[c]!))),
    patterns: Float64Array.from(patterns),
    counts: Float64Array.from(patterns, (pattern) => counts.get(pattern)!),
    shiftedPattern: Float64Array.from(byPattern, (i) => shiftedPattern[i]!),
    shift: Float64Array.from(byPattern, (i) => shift[i]!),
  };
}

/** Stable counting sort: the given order, rearranged by key. */
function countingOrder(keys: Int32Array, order: Uint32Array): Uint32Array {
  const starts = new Uint32Array(keys.reduce((most, key) => Math.max(most, key), -1) + 2);
  for (const key of keys) starts[key + 1]! += 1;
  for (let key = 1; key < starts.length; key++) starts[key]! += starts[key - 1]!;
  const arranged = new Uint32Array(order.length);
  for (const place of order) arranged[starts[keys[place]!]!++] = place;
  return arranged;
}
