import { readModelFile } from '../../src/apps/linkage/input.ts';
import { Linker } from '../../src/linkage/linker.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { fastest } from '../clinfuse.ts';

export type Scoring = { readonly seconds: number /** Pairs of all rules, overlaps counted for each. */; readonly pairs: number };

/** Times blocking and scoring by themselves: one engine opened, its code warm, the fastest of so many further runs. */
export async function timeScoring({
  records,
  model,
  threads,
  times = 3,
}: {
  readonly records: string;
  readonly model: string;
  readonly threads: number;
  readonly times?: number;
}): Promise<Scoring> {
  await using db = await Database.open({ threads });
  await db.run(`create view people as from ${literal(records)}`);
  await using linker = await Linker.open({ db, table: 'people', settings: readModelFile(model).settings, threads });
  const pairs = (await linker.countPairs()).reduce((sum, rule) => sum + rule.pairs, 0);
  await linker.predict();
  const runs = [];
  for (let run = 0; run < times; run++) {
    const start = performance.now();
    await linker.predict();
    runs.push({ seconds: (performance.now() - start) / 1000, pairs });
  }
  return fastest(runs);
}
