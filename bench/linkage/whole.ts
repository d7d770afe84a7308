// Whole processes, from a Parquet file of records to Parquet files of pairs and clusters: ours and Splink's in turn, on the same file.

import { join } from 'node:path';

import { fastest, type Measured } from '../clinfuse.ts';
import { people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { ourRun, splinkRun } from './engines.ts';
import { speedSettings, speedTraining, writeModel } from './model.ts';

/** Least ratio to Splink 5 at each size, and so many runs of each. */
const musts: Readonly<Record<number, { readonly least: number; readonly rounds: number }>> = {
  10000: { least: 3, rounds: 3 },
  100000: { least: 2.5, rounds: 3 },
  1000000: { least: 6, rounds: 2 },
};

type Sizes = {
  readonly folder: string;
  readonly sizes: readonly number[];
  readonly settings: string;
  /** The same, trained. */
  readonly model: string;
};

export async function* wholeProcess({ folder, sizes, settings, model }: Sizes): AsyncGenerator<Row> {
  for (const count of sizes) {
    const { least, rounds } = musts[count]!;
    const job = { records: await people({ count }), model: settings, folder };
    const { ours, theirs } = inTurn(
      rounds,
      () => ourRun(job),
      () => splinkRun(5, job),
    );
    const what = `${count.toLocaleString('en-US')} records, whole process`;
    yield against(what, ours, theirs, { least, name: 'Splink 5' });
    yield against(`${what}, beside Splink 4`, ours, splinkRun(4, job), { name: 'Splink 4' });
    const trained = { ...job, model };
    const scored = inTurn(
      rounds,
      () => ourRun(trained),
      () => splinkRun(5, trained),
    );
    yield against(`${what}, model trained before`, scored.ours, scored.theirs, { name: 'Splink 5' });
    if (count < 1e6) continue;
    yield atMost(`${count.toLocaleString('en-US')} records, peak memory`, ours.peakMb, 1536, 'MB', {
      ...(theirs ? { peer: `Splink 5: ${theirs.peakMb.toFixed(0)} MB`, ratio: theirs.peakMb / ours.peakMb } : {}),
    });
    const uncapped = { ...job, model: writeModel(join(folder, 'uncapped.json'), speedSettings, { ...speedTraining, max_pairs: 1e9 }) };
    yield against(`${what}, ours with EM on all pairs, too`, ourRun(uncapped), theirs, { name: 'Splink 5' });
    const capped = { ...job, model: writeModel(join(folder, 'capped.json'), speedSettings, { ...speedTraining, max_pairs: 1e6 }) };
    // Shorter runs than the others: what disturbs the machine weighs more.
    const both = inTurn(
      2 * rounds,
      () => ourRun(capped),
      () => splinkRun(5, capped),
    );
    yield against(`${what}, EM capped at 1 M pairs on both sides`, both.ours, both.theirs, { least: 4, name: 'Splink 5' });
  }
}

/** Runs both so often, one after the other, and gives the fastest of each: what disturbs the machine disturbs both. */
export function inTurn<T, P>(rounds: number, us: () => Measured<T>, them: () => Measured<P> | undefined) {
  const [mine, others]: [Measured<T>[], Measured<P>[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    mine.push(us());
    others.push(...[them()].filter((run) => run !== undefined));
  }
  return { ours: fastest(mine), theirs: others.length > 0 ? fastest(others) : undefined };
}

/** A row of two times; without a peer there is nothing to miss. */
export function against(
  figure: string,
  ours: { readonly seconds: number },
  theirs: { readonly seconds: number } | undefined,
  { least, name }: { readonly least?: number; readonly name: string },
): Row {
  const { seconds } = ours;
  if (!theirs) return { figure, value: seconds, unit: 's', peer: `${name} not installed`, ok: true };
  const ratio = theirs.seconds / seconds;
  const must = least === undefined ? {} : { must: `>= ${least}x` };
  return { figure, value: seconds, unit: 's', peer: `${name}: ${theirs.seconds.toFixed(2)} s`, ratio, ...must, ok: ratio >= (least ?? 0) };
}
