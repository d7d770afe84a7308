// What DVC did in each step of a case, as test/oracle/dvc-cases/make.ts stored it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Remains, Report } from './observe.ts';

const oracle = join(import.meta.dirname, '..', 'oracle', 'dvc-cases');

export type Seen = Report &
  // What is as in the step before is left out.
  Partial<Pick<Remains, 'cache' | 'runs'>> & {
    readonly about: string;
    /** Stages that `status` named before the repro; null where it refused. */
    readonly changed: readonly string[] | null;
    /** MD5 of the lines of the tree. */
    readonly tree: string;
    /** Text of the lock; null where there is none. The first step's is a file of its own. */
    readonly lock?: string | null;
  };

/** DVC's answers with everything spelt out for each step. */
export function seenByDvc(name: string): readonly Required<Seen>[] {
  const first = join(oracle, name, 'dvc.lock');
  let rest: Required<Pick<Seen, 'cache' | 'runs' | 'lock'>> = {
    cache: [],
    runs: [],
    lock: existsSync(first) ? readFileSync(first, 'utf8') : null,
  };
  return (JSON.parse(readFileSync(join(oracle, name, 'seen.json'), 'utf8')) as Seen[]).map((seen) => {
    const whole = { ...rest, ...seen };
    rest = { cache: whole.cache, runs: whole.runs, lock: whole.lock };
    return whole;
  });
}
