// Runs a kernel job on worker threads, or in place when it is small, and joins what they found into one result sorted by (left, right).

import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import type { KernelResult } from './collect.ts';
import type { KernelData } from './kernel.ts';
import { type PairSource, taskWidth } from './pair-source.ts';
import { type KernelJob, startJob } from './score.ts';

/** This long this thread works before it lets signals, `stop` and progress have a turn. */
const turnMs = 40;

export type PoolRun = {
  readonly data: KernelData;
  readonly source: PairSource;
  readonly job: KernelJob;
  /** Pairs the source holds. */
  readonly pairs: number;
  /** Told how many more of them are done. */
  readonly advance?: (pairs: number) => void;
};

/** Worker threads at work; `stop` ends them at once and rejects what runs. */
export type Pool = {
  /** At work at once at most, the calling one counted. */
  readonly threads: number;
  readonly run: (work: PoolRun) => Promise<KernelResult>;
  /** Ends idle workers; the next run starts new ones. */
  readonly rest: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

/** A pool of so many threads (all cores by default), this one counted. A run on fewer than `pairsWorthThreads` pairs stays in this thread. */
export function createPool({
  threads = availableParallelism(),
  pairsWorthThreads = 300_000,
  isReady = false,
}: {
  readonly threads?: number;
  readonly pairsWorthThreads?: number;
  /** Starts the workers now, not when the first run wants them. */
  readonly isReady?: boolean;
} = {}): Pool {
  const idle: Worker[] = [];
  const alive = new Set<Worker>();
  let isStopped = false;
  const start = (): Worker => {
    // The file runs as .ts in a checkout and as .js in the package.
    const worker = new Worker(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url));
    alive.add(worker);
    worker.once('exit', () => alive.delete(worker));
    return worker;
  };
  const ready = () => {
    const worker = start();
    worker.unref();
    return worker;
  };
  if (isReady) idle.push(...Array.from({ length: threads - 1 }, ready));
  /** Workers stay between jobs: code that has run hot once stays fast. An idle one does not keep the process alive. */
  const inWorker = (work: Pick<PoolRun, 'data' | 'source' | 'job'>) =>
    new Promise<KernelResult>((done, failed) => {
      const worker = idle.pop() ?? start();
      worker.ref();
      const rest = () => {
        worker.removeAllListeners('message').removeAllListeners('error').off('exit', gone);
        worker.unref();
      };
      const gone = () => failed(new Error('linkage: stopped before the end'));
      worker.once('message', (result: KernelResult) => {
        rest();
        idle.push(worker);
        done(result);
      });
      worker.once('error', failed);
      worker.once('exit', gone);
      worker.postMessage(work);
    });
  const inPlace = async ({ data, source, job, pairs, advance = () => {} }: PoolRun): Promise<KernelResult> => {
    const running = startJob(data, source, job);
    const taskCount = source.tasks.length / taskWidth;
    let [turn, told] = [performance.now(), 0];
    const tell = () => {
      const done = Math.floor((pairs * Math.min(taskCount, Atomics.load(source.next, 0))) / Math.max(1, taskCount));
      if (done > told) advance(done - told);
      told = Math.max(told, done);
    };
    while (running.step()) {
      if (performance.now() - turn < turnMs) continue;
      tell();
      await setImmediate();
      if (isStopped) throw new Error('linkage: stopped before the end');
      turn = performance.now();
    }
    tell();
    return running.result();
  };
  const endWorkers = () => {
    idle.length = 0;
    return Promise.all([...alive].map((worker) => worker.terminate()));
  };
  return {
    threads,
    run: async (work) => {
      if (isStopped) throw new Error('linkage: closed');
      const { data, source, job, pairs } = work;
      const wanted = pairs < pairsWorthThreads ? 1 : Math.min(threads, Math.max(1, source.tasks.length / taskWidth));
      // This thread works too, so one worker fewer is started.
      const others = Promise.all(Array.from({ length: wanted - 1 }, () => inWorker({ data, source, job })));
      // A worker may fail while this thread is still busy; the fault is reported by the await below, not by the process.
      others.catch(() => {});
      try {
        const own = await inPlace(work);
        return joined([own, ...(await others)]);
      } catch (fault) {
        await endWorkers();
        throw fault;
      }
    },
    rest: async () => {
      await Promise.all(idle.splice(0).map((worker) => worker.terminate()));
    },
    stop: async () => {
      isStopped = true;
      await endWorkers();
    },
  };
}

/** Joins the parts; pairs by (left, right), patterns and shifts by their numbers, so that no trace of the threads remains. */
function joined(parts: readonly KernelResult[]): KernelResult {
  const size = parts.reduce((sum, part) => sum + part.left.length, 0);
  const join = <T extends Int32Array | Float64Array | Uint8Array>(pick: (part: KernelResult) => T): T => {
    const first = pick(parts[0]!);
    if (parts.length === 1) return first;
    const whole = new (first.constructor as new (length: number) => T)(parts.reduce((sum, part) => sum + pick(part).length, 0));
    parts.reduce((at, part) => {
      whole.set(pick(part) as never, at);
      return at + pick(part).length;
    }, 0);
    return whole;
  };
  const [left, right] = [join((part) => part.left), join((part) => part.right)];
  const order = orderOf(left, right);
  const arrange = <T extends Int32Array | Float64Array | Uint8Array>(values: T): T => {
    const arranged = new (values.constructor as new (length: number) => T)(size);
    for (let i = 0; i < size; i++) arranged[i] = values[order[i]!]!;
    return arranged;
  };
  const counts = new Map<number, number>();
  for (const { patterns, counts: many } of parts) {
    for (let i = 0; i < patterns.length; i++) counts.set(patterns[i]!, (counts.get(patterns[i]!) ?? 0) + many[i]!);
  }
  const patterns = [...counts.keys()].sort((a, b) => a - b);
  const [shiftedPattern, shift] = [join((part) => part.shiftedPattern), join((part) => part.shift)];
  sortShifts(shiftedPattern, shift);
  return {
    left: arrange(left),
    right: arrange(right),
    weight: arrange(join((part) => part.weight)),
    rule: arrange(join((part) => part.rule)),
    levels: parts[0]!.levels.map((_, c) => arrange(join((part) => part.levels[c]!))),
    patterns: Float64Array.from(patterns),
    counts: Float64Array.from(patterns, (pattern) => counts.get(pattern)!),
    shiftedPattern,
    shift,
  };
}

/** Sorts by pattern, then by shift, in place: pattern by pattern, since numbers alone sort ten times as fast as pairs of them. */
function sortShifts(patterns: Float64Array, shift: Float64Array): void {
  const sizes = new Map<number, number>();
  for (const pattern of patterns) sizes.set(pattern, (sizes.get(pattern) ?? 0) + 1);
  const lists = new Map([...sizes].map(([pattern, size]) => [pattern, { list: new Float64Array(size), next: 0 }]));
  for (let i = 0; i < shift.length; i++) {
    const one = lists.get(patterns[i]!)!;
    one.list[one.next++] = shift[i]!;
  }
  let at = 0;
  for (const pattern of [...lists.keys()].sort((a, b) => a - b)) {
    const { list } = lists.get(pattern)!;
    shift.set(list.sort(), at);
    patterns.fill(pattern, at, at + list.length);
    at += list.length;
  }
}

/** Places of the pairs by (left, right): a counting sort by left, then each left record's few pairs by right. */
function orderOf(left: Int32Array, right: Int32Array): Uint32Array {
  let most = -1;
  for (const record of left) if (record > most) most = record;
  const starts = new Uint32Array(most + 2);
  for (const record of left) starts[record + 1]! += 1;
  for (let record = 1; record < starts.length; record++) starts[record]! += starts[record - 1]!;
  const next = starts.slice();
  const order = new Uint32Array(left.length);
  for (let pair = 0; pair < left.length; pair++) order[next[left[pair]!]!++] = pair;
  for (let record = 0; record <= most; record++) sortPart(order, right, starts[record]!, starts[record + 1]!);
  return order;
}

const fewPairs = 24;

/** Sorts order[from .. until) by key, in place. */
function sortPart(order: Uint32Array, keys: Int32Array, from: number, until: number): void {
  if (until - from > fewPairs) {
    order.subarray(from, until).sort((a, b) => keys[a]! - keys[b]!);
    return;
  }
  for (let i = from + 1; i < until; i++) {
    const pair = order[i]!;
    const key = keys[pair]!;
    let at = i;
    for (; at > from && keys[order[at - 1]!]! > key; at--) order[at] = order[at - 1]!;
    order[at] = pair;
  }
}
