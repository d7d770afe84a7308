// The questions of the gray-zone benches: the pair data set of the training population (seed 12345), and 1,000 balanced pairs of the
// evaluation population (seed 67890), whose people nothing was trained on. Made once, into the cache folder.

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { Database, literal } from '../../src/sql/duckdb.ts';
import { clinfuse } from '../clinfuse.ts';
import { cache, evaluation, type Population, runFolders, training } from '../populations.ts';

export const home = join(cache, 'bench', 'er-llm');

/** Tokens of a question. Both records' readings survive the cut: of the pairs that have both heights, all keep them. */
export const maxLength = 256;

/** Pair data set of the population that is trained on. */
export const trainingPairs = (): string => pairDataset(training, 'pairs-12345');

/** File of so many questions about people of the evaluation population, half of them matches, with `text`, `label` and `kind`. */
export const testQuestions = (count: number): Promise<string> => draw(pairDataset(evaluation, 'pairs-67890'), '*', count);

/** File of so many questions of the training population's validation patients, with labels and record ids. */
export const validationQuestions = (count: number): Promise<string> => draw(trainingPairs(), 'validation', count);

function pairDataset(population: Population, name: string): string {
  const folder = join(home, name);
  if (!existsSync(folder)) clinfuse('er', 'llm', 'prepare-dataset', '--in', runFolders(population).augmented, '--out', folder);
  return folder;
}

async function draw(dataset: string, split: string, count: number): Promise<string> {
  const file = `${dataset}-${split === '*' ? 'all' : split}-${count}.parquet`;
  if (existsSync(file)) return file;
  mkdirSync(home, { recursive: true });
  await using db = await Database.open();
  await db.writeParquet(
    `select messages[1].content as text, label, kind, record_id_1, record_id_2
    from read_parquet(${literal(join(dataset, 'data', `${split}.parquet`))})
    qualify row_number() over (partition by label order by md5(record_id_1 || record_id_2)) <= ${count / 2}
    order by md5(record_id_2 || record_id_1)`,
    file,
  );
  return file;
}
