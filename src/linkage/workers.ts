// Runs a kernel job on worker threads, or in place when it is small, and joins what they found into one result sorted by (left, right). Workers with
// nothing to run do chores (chores.ts).

import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { type OpenPromise, openPromise } from '../base/open-promise.ts';
import { type Chore, type ChoreList, type ChoreResult, doChore, takeChore } from './chores.ts';
import type { KernelResult } from './collect.ts';
import { joinResults } from './join-results.ts';
import type { KernelData } from './kernel.ts';
import { type PairSource, taskWidth } from './pair-source.ts';
import { type KernelJob, startJob } from './score.ts';

/** This long this thread works before it lets signals, `stop` and progress have a turn. */
const turnMs = 40;

type Run = { readonly data: KernelData; readonly source: PairSource; readonly job: KernelJob };

export type PoolRun = Run & {
  /** Pairs the source holds. */
  readonly pairs: number;
  /** Told how many more of them are done. */
  readonly advance?: (pairs: number) => void;
};

/** What a worker is asked: to take part in a run, or to do what it can of a list of chores. */
export type Question = Run | ChoreList;

/** What it says: of runs in the order they were asked, of every chore of a list, though another thread may have made it. */
export type Answer = { readonly found: KernelResult } | { readonly chore: number; readonly made?: ChoreResult };

/** Worker threads at work; `stop` ends them at once and rejects what runs. */
export type Pool = {
  /** At work at once at most, the calling one counted. */
  readonly threads: number;
  readonly run: (work: PoolRun) => Promise<KernelResult>;
  /** Begins chores where there are workers already; each function waits for one, and does what nobody has begun rather than be idle. */
  readonly begin: (chores: readonly Chore[]) => readonly (() => Promise<ChoreResult>)[];
  /** Forgets chores that nobody wanted and ends idle workers; the next run starts new ones. */
  readonly rest: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

/** A worker, what runs it takes part in, how many answers it owes, and whether it has been told to end. */
type Hand = { readonly worker: Worker; readonly runs: OpenPromise<KernelResult>[]; owed: number; isEnding: boolean };

/** A chore's place in its list, and whoever waits for it. */
type Begun = OpenPromise<ChoreResult> & { readonly list: ChoreList; readonly place: number };

/** Who takes a chore. */
const [aWorker, thisThread] = [1, 2];

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
  const hands = new Set<Hand>();
  /** By number; done ones are left out. */
  const begun = new Map<number, Begun>();
  let numbered = 0;
  let isStopped = false;

  /** Workers stay between jobs: code that has run hot once stays fast. An idle one does not keep the process alive. */
  const hire = (): Hand => {
    // The file runs as .ts in a checkout and as .js in the package.
    const worker = new Worker(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url));
    worker.unref();
    const hand: Hand = { worker, runs: [], owed: 0, isEnding: false };
    const gone = (fault: Error) => {
      hands.delete(hand);
      for (const { reject } of hand.runs.splice(0)) reject(fault);
      for (const [number, { list, place, reject }] of begun) {
        if (list.taken[place] !== aWorker) continue;
        reject(fault);
        begun.delete(number);
      }
    };
    worker.on('message', (answer: Answer) => {
      if ('found' in answer) hand.runs.shift()!.resolve(answer.found);
      else if (answer.made) settle(answer.chore, answer.made);
      // One that ends keeps the process alive until it has: an answer on its way must not undo that.
      if (--hand.owed === 0 && !hand.isEnding) worker.unref();
    });
    worker.once('error', gone);
    worker.once('exit', () => gone(new Error('linkage: stopped before the end')));
    hands.add(hand);
    return hand;
  };
  const ask = (hand: Hand, question: Question, answers: number) => {
    hand.owed += answers;
    hand.worker.ref();
    hand.worker.postMessage(question);
  };
  const inWorker = (hand: Hand, { data, source, job }: Run) => {
    const found = openPromise<KernelResult>();
    hand.runs.push(found);
    ask(hand, { data, source, job }, 1);
    return found.promise;
  };
  const settle = (number: number, made: ChoreResult | Promise<ChoreResult>) => {
    begun.get(number)?.resolve(made);
    begun.delete(number);
  };
  /** Does a chore in this thread, unless it is taken. */
  const doHere = ({ list, place }: Begun): boolean => {
    if (!takeChore(list, place, thisThread)) return false;
    const doing = async () => doChore(list.chores[place]!);
    settle(list.first + place, doing());
    return true;
  };
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
  if (isReady) while (hands.size < threads - 1) hire();
  const end = (some: Iterable<Hand>) =>
    Promise.all(
      [...some].map((hand) => {
        hand.isEnding = true;
        return hand.worker.terminate();
      }),
    );
  return {
    threads,
    run: async (work) => {
      if (isStopped) throw new Error('linkage: closed');
      const { source, pairs } = work;
      const wanted = pairs < pairsWorthThreads ? 1 : Math.min(threads, Math.max(1, source.tasks.length / taskWidth));
      // This thread works too, so one worker fewer is wanted.
      while (hands.size < wanted - 1) hire();
      const others = Promise.all([...hands].slice(0, wanted - 1).map((hand) => inWorker(hand, work)));
      // A worker may fail while this thread is still busy; the fault is reported by the await below, not by the process.
      others.catch(() => {});
      try {
        const own = await inPlace(work);
        return joinResults([own, ...(await others)]);
      } catch (fault) {
        await end(hands);
        throw fault;
      }
    },
    begin: (chores) => {
      const list: ChoreList = { chores, taken: new Int32Array(new SharedArrayBuffer(4 * chores.length)), first: numbered };
      numbered += chores.length;
      const own = chores.map((_, place): Begun => ({ list, place, ...openPromise<ChoreResult>() }));
      for (const one of own) {
        begun.set(list.first + one.place, one);
        // A fault is told to whoever wants the chore.
        one.promise.catch(() => {});
      }
      for (const hand of hands) ask(hand, list, chores.length);
      return own.map((one) => async () => {
        doHere(one);
        while (begun.has(list.first + one.place) && [...begun.values()].some(doHere)) await setImmediate();
        return one.promise;
      });
    },
    rest: async () => {
      begun.clear();
      await end([...hands].filter(({ owed }) => owed === 0));
    },
    stop: async () => {
      isStopped = true;
      await end(hands);
    },
  };
}
