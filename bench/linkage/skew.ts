// Files that are no friend of blocking or of fast paths. Whole processes, training included, as in whole.ts; only the file with one big block
// is scored with a model trained on an ordinary file: Splink would take seven minutes more to train on it.

import { type PeopleOptions, people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { ourRun, splinkRun } from './engines.ts';
import { timeScoring } from './scoring.ts';
import { against, inTurn } from './whole.ts';

type Job = {
  readonly folder: string;
  readonly count: number;
  /** Records in the one big block. */
  readonly block: number;
  readonly settings: string;
  /** The same, trained. */
  readonly model: string;
};

const files: Readonly<Record<string, Partial<PeopleOptions>>> = {
  'a city with 30 % of people': { biggestCity: 0.3 },
  'names of 60 letters': { nameLetters: 60 },
  'a column without values': { nullColumn: 'address' },
};

export async function* skew({ folder, count, block, settings, model }: Job): AsyncGenerator<Row> {
  for (const [what, options] of Object.entries(files)) {
    const job = { records: await people({ count, ...options }), model: settings, folder };
    const { ours, theirs } = inTurn(
      2,
      () => ourRun(job),
      () => splinkRun(5, job),
    );
    yield against(`${number(count)} records, ${what}`, ours, theirs, { least: 1, name: 'Splink 5' });
  }
  const job = { records: await people({ count, block }), model, folder };
  const { ours, theirs } = inTurn(
    1,
    () => ourRun(job),
    () => splinkRun(5, job),
  );
  const what = `${number(count)} records, one block of ${number(block)}`;
  yield against(`${what}, model trained`, ours, theirs, { least: 1, name: 'Splink 5' });
  const scoring = (threads: number) => timeScoring({ records: job.records, model, threads, times: 1 });
  const [one, two] = [await scoring(1), await scoring(2)];
  const more = { peer: `${one.seconds.toFixed(2)} s and ${two.seconds.toFixed(2)} s` };
  yield atMost(`${what}: scoring on 2 threads against 1`, two.seconds / one.seconds, 0.65, 'x', more);
}

const number = (value: number) => value.toLocaleString('en-US');
