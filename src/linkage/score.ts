// The kernel's jobs over batches of pairs: score and keep (scorer.ts), count patterns of levels, or list. What is kept is sorted by (left, right) at the
// end (workers.ts), so neither threads nor task order show.

import { type Collector, collector, type KernelResult } from './collect.ts';
import { compileDeciders, decideBatch } from './deciders.ts';
import type { KernelData } from './kernel.ts';
import { batchPairs, type PairSource, startWalk, type VisitBatch } from './pair-source.ts';
import { type RarityTable, rarityShifts, shiftOf } from './rarity.ts';
import { type ScoreJob, scorer } from './scorer.ts';

export type CountJob = {
  readonly kind: 'count';
  /** Comparisons whose levels make up the pattern; none to count pairs. */
  readonly active: readonly number[];
  /** As for scoring: the rarity of a shared value shifts its pair within its pattern. */
  readonly rarity: RarityTable;
};

/** `tally`: pairs on each level, by comparison; its patterns are places in the row of all comparisons' levels. */
export type KernelJob = ScoreJob | CountJob | { readonly kind: 'tally' } | { readonly kind: 'list' };

/** A job under way: `step` does the next task nobody has taken and says false when there was none. */
export type RunningJob = { readonly step: () => boolean; readonly result: () => KernelResult };

/** Begins a job. The same for one thread and for each of several. */
export function startJob(data: KernelData, source: PairSource, job: KernelJob): RunningJob {
  const found = collector(job.kind === 'score' ? data.comparisons.length : 0, patternCount(data, job));
  return { step: startWalk(source, visitor(data, job, found)), result: found.result };
}

function visitor(data: KernelData, job: KernelJob, found: Collector): VisitBatch {
  switch (job.kind) {
    case 'score':
      return scorer(data, job, found);
    case 'count':
      return counter(data, job, found);
    case 'tally':
      return tallier(data, found);
    case 'list':
      return lister(found);
  }
}

function patternCount({ comparisons }: KernelData, job: KernelJob): number {
  if (job.kind === 'count') return job.active.reduce((product, c) => product * comparisons[c]!.levels.length, 1);
  return job.kind === 'tally' ? comparisons.reduce((sum, { levels }) => sum + levels.length, 0) : 0;
}

function counter(data: KernelData, { active, rarity }: CountJob, found: Collector): VisitBatch {
  const deciders = compileDeciders(data);
  const shifts = rarityShifts(data, rarity);
  const levels = new Uint8Array(batchPairs);
  const patterns = new Float64Array(batchPairs);
  const bits = new Float64Array(batchPairs);
  const isShifted = new Uint8Array(batchPairs);
  return (left, right, count) => {
    patterns.fill(0, 0, count);
    bits.fill(0, 0, count);
    isShifted.fill(0, 0, count);
    for (const c of active) {
      decideBatch(deciders[c]!, left, right, count, levels);
      const base = data.comparisons[c]!.levels.length;
      for (let k = 0; k < count; k++) patterns[k] = patterns[k]! * base + levels[k]!;
      shifts[c]!.forEach((shift, level) => {
        if (shift === undefined) return;
        for (let k = 0; k < count; k++) {
          if (levels[k] !== level) continue;
          bits[k]! += shiftOf(shift, left[k]!, right[k]!);
          isShifted[k] = 1;
        }
      });
    }
    found.countPatterns(patterns, isShifted, bits, count);
  };
}

function tallier(data: KernelData, found: Collector): VisitBatch {
  const deciders = compileDeciders(data);
  const levels = new Uint8Array(batchPairs);
  return (left, right, count) => {
    let place = 0;
    data.comparisons.forEach((comparison, c) => {
      if (comparison.levels.length === 0) return;
      decideBatch(deciders[c]!, left, right, count, levels);
      const tally = new Float64Array(comparison.levels.length);
      for (let k = 0; k < count; k++) tally[levels[k]!]! += 1;
      for (const pairs of tally) found.count(place++, pairs);
    });
  };
}

function lister(found: Collector): VisitBatch {
  const none = new Float64Array(batchPairs);
  return (left, right, count, rule) => found.keep(left, right, count, rule, none, []);
}
