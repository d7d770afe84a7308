import { extname } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { mcnemarExact } from '../../evaluation/mcnemar.ts';
import { Database, literal, quote, readingFile } from '../../sql/duckdb.ts';
import type { PairedComparison } from '../../training/promotion.ts';

/** Columns that say which example a row is about; those that both files have are used. */
const keys = ['id', 'row', 'record_id_1', 'record_id_2'];

/**
 * Compares two files of predictions example by example: which has `prediction` equal to `label` where the other has not.
 *
 * @param challenger Parquet, CSV or JSON lines with `label`, `prediction` and at least one of `id`, `row`, `record_id_1`, `record_id_2`
 * @returns nothing where the two share no example
 * @throws UserError `predictions.*` for a file without these columns
 */
export async function comparePredictions(challenger: string, champion: string): Promise<PairedComparison | undefined> {
  await using db = await Database.open({ threads: 1 });
  const columns = [await loadPredictions(db, 'challenger', challenger), await loadPredictions(db, 'champion', champion)];
  const shared = keys.filter((key) => columns.every((names) => names.includes(key)));
  if (shared.length === 0) return undefined;
  const [counts] = await db.rows<{ examples: number; onlyChallenger: number; onlyChampion: number }>(`
    select count(*) as examples,
      count(*) filter (a.is_right and not b.is_right) as "onlyChallenger",
      count(*) filter (b.is_right and not a.is_right) as "onlyChampion"
    from challenger a join champion b using (${shared.map(quote).join(', ')})`);
  const { examples, onlyChallenger, onlyChampion } = counts!;
  if (examples === 0) return undefined;
  return {
    examples,
    onlyChallengerRight: onlyChallenger,
    onlyChampionRight: onlyChampion,
    pValue: mcnemarExact(onlyChallenger, onlyChampion),
  };
}

/**
 * Refuses a file that could not be compared.
 *
 * @throws UserError `predictions.*`
 */
export async function checkPredictions(file: string): Promise<void> {
  await using db = await Database.open({ threads: 1 });
  await loadPredictions(db, 'predictions', file);
}

async function loadPredictions(db: Database, table: string, file: string): Promise<string[]> {
  const readers: Readonly<Record<string, string>> = { '.parquet': 'read_parquet', '.csv': 'read_csv', '.jsonl': 'read_json_auto' };
  const reader = readers[extname(file).toLowerCase()];
  if (!reader)
    throw new UserError('predictions.format', `predictions: unknown kind of file: ${file}; name a .parquet, .csv or .jsonl file`);
  const source = `${reader}(${literal(file)})`;
  const names = await readingFile(file, async () => (await db.describe(source)).map(({ name }) => name));
  const lacking =
    ['label', 'prediction'].find((name) => !names.includes(name)) ?? (keys.some((key) => names.includes(key)) ? undefined : keys[0]);
  if (lacking) throw new UserError('predictions.column', `predictions: no column ${lacking} in ${file}; it has: ${names.join(', ')}`);
  const kept = keys.filter((key) => names.includes(key)).map((key) => `cast(${quote(key)} as varchar) as ${quote(key)}`);
  await db.run(
    `create table ${table} as select ${kept.join(', ')}, coalesce(cast(label as varchar) = cast(prediction as varchar), false) as is_right from ${source}`,
  );
  return names;
}
