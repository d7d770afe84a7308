// The same files to the byte: whatever the number of threads, whatever the order of the rows.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Database, literal } from '../../src/sql/duckdb.ts';
import { people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { ourRun, outputs } from './engines.ts';

export async function* sameBytes({
  folder,
  count,
  settings,
}: {
  readonly folder: string;
  readonly count: number;
  readonly settings: string;
}): AsyncGenerator<Row> {
  const records = await people({ count });
  const shuffled = join(folder, 'shuffled.parquet');
  await using db = await Database.open();
  await db.run(`copy (select * from ${literal(records)} order by hash(unique_id || 'shuffle')) to ${literal(shuffled)} (format parquet)`);
  const files = (file: string, threads: number) => {
    ourRun({ records: file, model: settings, folder, threads });
    const { pairs, clusters } = outputs(folder);
    return [readFileSync(pairs), readFileSync(clusters)];
  };
  const first = files(records, 2);
  const runs = { 'one thread': files(records, 1), 'shuffled rows': files(shuffled, 2), again: files(records, 2) };
  for (const [what, run] of Object.entries(runs)) {
    const different = run.filter((bytes, i) => !bytes.equals(first[i]!)).length;
    yield atMost(`${count.toLocaleString('en-US')} records, ${what}: output files that differ`, different, 0);
  }
}
