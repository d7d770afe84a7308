// Files that are no friend of blocking or of fast paths, each scored by both engines with one model trained on an ordinary file.

import { join } from 'node:path';

import { clinfuse } from '../clinfuse.ts';
import { type PeopleOptions, people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { splink } from '../splink.ts';
import { timeScoring } from './scoring.ts';
import { against, inTurn } from './whole.ts';

type Job = {
  readonly folder: string;
  readonly count: number;
  readonly model: string /** Records in the one big block. */;
  readonly block: number;
};

export async function* skew({ folder, count, model, block }: Job): AsyncGenerator<Row> {
  const files: Readonly<Record<string, Partial<PeopleOptions>>> = {
    'a city with 30 % of people': { biggestCity: 0.3 },
    'names of 60 letters': { nameLetters: 60 },
    'a column without values': { nullColumn: 'address' },
    [`one block of ${block.toLocaleString('en-US')} records`]: { block },
  };
  for (const [what, options] of Object.entries(files)) {
    const records = await people({ count, ...options });
    const rounds = options.block ? 1 : 2;
    const [mine, others] = [join(folder, 'skew.parquet'), join(folder, 'skew-splink.parquet')];
    const { ours, theirs } = inTurn(
      rounds,
      () => clinfuse('link', 'predict', '--in', records, '--model', model, '--out', mine),
      () => splink(5, model, others, records),
    );
    yield against(`${count.toLocaleString('en-US')} records, ${what}`, ours, theirs, { least: 1, name: 'Splink 5' });
    if (!options.block) continue;
    const [one, two] = [
      await timeScoring({ records, model, threads: 1, times: 2 }),
      await timeScoring({ records, model, threads: 2, times: 2 }),
    ];
    const more = { peer: `${one.seconds.toFixed(2)} s and ${two.seconds.toFixed(2)} s` };
    yield atMost(`${what}: scoring on 2 threads against 1`, two.seconds / one.seconds, 0.65, 'x', more);
  }
}
