// Work for one thread alone that will be wanted: groups of blocking rules. Workers do it while nothing else is asked of them; who wants one that nobody has
// begun does it there and then.
//
// Idea: all threads know the whole list and a shared number for each chore. Who changes a chore's number first does it, so none is done twice, and no
// thread waits for another to be told what to do next.

import { type BlockCount, type Blocks, buildBlocks, countBlocks, type RuleCodes } from './blocking.ts';

/** A rule to line records up for. */
export type Chore = RuleCodes & {
  /** Source of each record when pairs within one are none. */
  readonly origin?: Int32Array;
};

export type ChoreResult = { readonly blocks: Blocks; readonly count: BlockCount };

/** As workers get them. */
export type ChoreList = {
  readonly chores: readonly Chore[];
  /** By chore: 0 where nobody has begun. */
  readonly taken: Int32Array;
  /** Number of the first, as answers name them. */
  readonly first: number;
};

/** Whether this chore is the caller's to do; `who` is not 0. */
export function takeChore({ taken }: Pick<ChoreList, 'taken'>, place: number, who: number): boolean {
  return Atomics.compareExchange(taken, place, 0, who) === 0;
}

export function doChore(chore: Chore): ChoreResult {
  const blocks = buildBlocks(chore);
  return { blocks, count: countBlocks(blocks, chore.origin) };
}
