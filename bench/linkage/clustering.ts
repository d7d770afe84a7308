// Links to clusters: our union-find beside Splink 5's SQL, on the same links of one run at P >= 0.95. Reading the file counts for neither.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { connectedComponents, strongLinks } from '../../src/linkage/cluster.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { best, clinfuse } from '../clinfuse.ts';
import { people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { pythonOf } from '../splink.ts';
import { against } from './whole.ts';

const threshold = 0.95;

type Job = { readonly folder: string; readonly count: number; readonly model: string };

export async function* clustering({ folder, count, model }: Job): AsyncGenerator<Row> {
  const records = await people({ count });
  const pairs = join(folder, 'links.parquet');
  clinfuse('link', 'predict', '--in', records, '--model', model, '--out', pairs);
  const links = await readLinks(records, pairs);
  const ours = best(3, () => {
    const start = performance.now();
    const { left, right } = strongLinks({ left: links.l, right: links.r, weight: links.p }, threshold);
    const clusters = connectedComponents(count, left, right).reduce((most, one) => Math.max(most, one), -1) + 1;
    return { seconds: (performance.now() - start) / 1000, clusters };
  });
  const what = `clusters of ${count.toLocaleString('en-US')} records, ${links.p.length.toLocaleString('en-US')} links`;
  const python = pythonOf('splink5');
  const script = join(import.meta.dirname, '..', 'peers', 'splink-cluster.py');
  const theirs =
    python && (JSON.parse(execFileSync(python, [script, records, pairs, String(threshold)], { encoding: 'utf8' })) as typeof ours);
  yield against(what, ours, theirs || undefined, { least: 10, name: 'Splink 5' });
  if (theirs)
    yield atMost(`${what}: difference in number`, Math.abs(ours.clusters - theirs.clusters), 0, '', {
      peer: `Splink 5: ${theirs.clusters}`,
    });
}

/** Links as record numbers in order of id. */
async function readLinks(records: string, pairs: string) {
  await using db = await Database.open();
  await db.run(
    `create table nodes as select unique_id, (row_number() over (order by unique_id) - 1)::integer as row from ${literal(records)}`,
  );
  return await db.columns<{ l: Int32Array; r: Int32Array; p: Float64Array }>(
    `select l.row as l, r.row as r, match_probability as p from ${literal(pairs)}
     join nodes l on l.unique_id = unique_id_l join nodes r on r.unique_id = unique_id_r`,
  );
}
