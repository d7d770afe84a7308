// The same answers on real sizes: five models trained by Splink, each then run by both engines. The pairs kept at P >= 1e-4 must be the same
// set, the weights equal to the last digits of a double. With it, training of ours against Splink's own on the same records.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { Database, literal } from '../../src/sql/duckdb.ts';
import { clinfuse } from '../clinfuse.ts';
import { people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { pythonOf, splink } from '../splink.ts';

const modelNames = ['names', 'addresses', 'dates', 'arrays', 'sql'];

export async function* parity({ folder, sizes }: { readonly folder: string; readonly sizes: readonly number[] }): AsyncGenerator<Row> {
  const python = pythonOf('splink5');
  if (!python) {
    yield { figure: 'parity with Splink 5', value: 0, unit: '', peer: 'Splink 5 not installed', ok: true };
    return;
  }
  execFileSync(python, [join(import.meta.dirname, '..', 'peers', 'parity-models.py'), folder]);
  for (const count of sizes) {
    const records = await people({ count });
    for (const name of modelNames) yield* oneModel({ name, records, folder, count });
  }
}

async function* oneModel({
  name,
  records,
  folder,
  count,
}: {
  readonly name: string;
  readonly records: string;
  readonly folder: string;
  readonly count: number;
}): AsyncGenerator<Row> {
  const [theirs, ours] = [join(folder, `${name}-splink.parquet`), join(folder, `${name}.parquet`)];
  const peer = splink(5, join(folder, `${name}.json`), theirs, records)!;
  clinfuse('link', 'predict', '--in', records, '--model', `${theirs}.model.json`, '--out', ours);
  const { common, extra, missing, difference } = await comparePairs(ours, theirs);
  const what = `${count.toLocaleString('en-US')} records, model ${name}`;
  const more = { peer: `Splink ${peer.output.splink}: ${(common + missing).toLocaleString('en-US')} pairs` };
  yield atMost(`${what}: pairs only one engine keeps`, extra + missing, 0, '', more);
  yield atMost(`${what}: largest difference of a weight`, difference, 1e-6, 'bits', more);
}

/** How two files of pairs differ: pairs only in the first (extra), only in the second (missing), and by weight among the common ones. */
async function comparePairs(ours: string, theirs: string) {
  await using db = await Database.open({ memoryMb: 6000 });
  const [row] = await db.rows<{ common: number; extra: number; missing: number; difference: number | null }>(`
    select count(*) filter (o.match_weight is not null and s.match_weight is not null) as common,
      count(*) filter (s.match_weight is null) as extra, count(*) filter (o.match_weight is null) as missing,
      max(abs(o.match_weight - s.match_weight)) as difference
    from ${literal(ours)} o full join ${literal(theirs)} s using (unique_id_l, unique_id_r)`);
  return { ...row!, difference: row!.difference ?? 0 };
}
