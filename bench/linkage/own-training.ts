// What training finds, ours beside Splink 5's on the same records and rules: the prior is counted by both, m comes from EM, u from samples.
//
// Splink takes u from all pairs of n = 1,414 records (1 M pairs), so its u is a U-statistic: with h(i) the share of the other sampled records that
// are on the level with record i, its standard error is sqrt(4 / n * var h). Ours is exact or from 1 M independent pairs: sqrt(u (1 - u) / pairs).
// Both are added. h is measured on a sample of our own, in DuckDB, by the SQL of the model's own levels.
// Worked case: city, the biggest has 5 % of people: u = 0.008, var h = 2e-4, so one standard error is 8e-4, ten times that of independent pairs.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Database, literal } from '../../src/sql/duckdb.ts';
import { clinfuse } from '../clinfuse.ts';
import { people } from '../people.ts';
import { atMost, type Row } from '../row.ts';
import { splink } from '../splink.ts';

type Level = { sql_condition: string; is_null_level?: boolean; m_probability?: number; u_probability?: number };
type Model = {
  probability_two_random_records_match: number;
  comparisons: { output_column_name: string; comparison_levels: Level[] }[];
};

type Sizes = { readonly folder: string; readonly sizes: readonly number[]; readonly settings: string };

export async function* ownTraining({ folder, sizes, settings }: Sizes): AsyncGenerator<Row> {
  for (const count of sizes) {
    const records = await people({ count });
    const [ours, theirs] = [join(folder, 'trained.json'), join(folder, 'splink-trained.parquet')];
    const what = `${count.toLocaleString('en-US')} records, training`;
    const run = clinfuse('link', 'train', '--in', records, '--settings', settings, '--out', ours);
    if (!splink(5, settings, theirs, records, '--threshold', 0.99, '--whole-u-sample')) {
      yield { figure: what, value: run.seconds, unit: 's', peer: 'Splink 5 not installed', ok: true };
      continue;
    }
    yield* compare(what, readModel(ours), readModel(`${theirs}.model.json`), records);
  }
}

async function* compare(what: string, ours: Model, theirs: Model, records: string): AsyncGenerator<Row> {
  const [one, two] = [ours.probability_two_random_records_match, theirs.probability_two_random_records_match];
  yield atMost(`${what}: prior, relative difference`, Math.abs(one / two - 1), 1e-9, '', { peer: `Splink 5: ${two.toPrecision(6)}` });
  const errors = await standardErrors(ours, records);
  const levels = ours.comparisons.flatMap(({ output_column_name, comparison_levels }, c) =>
    comparison_levels.map((level, l) => {
      const peer = theirs.comparisons[c]!.comparison_levels[l]!;
      return {
        name: `${output_column_name}: ${level.sql_condition === 'ELSE' ? 'else' : `level ${l}`}`,
        // A level that Splink's sample did not meet has no u there, one that its EM did not meet no m.
        m: Math.abs((level.m_probability ?? Number.NaN) - (peer.m_probability ?? Number.NaN)),
        u: Math.abs((level.u_probability ?? Number.NaN) - (peer.u_probability ?? Number.NaN)) / errors[c]![l]!,
      };
    }),
  );
  const worst = (key: 'm' | 'u') => levels.filter((level) => !Number.isNaN(level[key])).reduce((a, b) => (b[key] > a[key] ? b : a));
  yield atMost(`${what}: largest difference of m`, worst('m').m, 0.01, '', { peer: worst('m').name });
  yield atMost(`${what}: largest difference of u`, worst('u').u, 4, 'standard errors', { peer: worst('u').name });
}

/** Standard error of the difference of u between the two engines, per comparison and level; NaN for the null level. */
async function standardErrors({ comparisons }: Model, records: string): Promise<number[][]> {
  const sampled = 1414;
  await using db = await Database.open();
  await db.run(`create table sampled as select * from ${literal(records)} order by hash(unique_id || 'se') limit ${sampled}`);
  const columns = (await db.describe('sampled')).map(({ name }) => name);
  const side = (letter: string) => `(select ${columns.map((name) => `${name} as ${name}_${letter}`).join(', ')} from sampled)`;
  const errors: number[][] = [];
  for (const { comparison_levels } of comparisons) {
    const cases = comparison_levels.map(({ sql_condition }, l) =>
      sql_condition === 'ELSE' ? `else ${l}` : `when ${sql_condition} then ${l}`,
    );
    const rows = await db.rows<{ level: number; variance: number; records: number; pairs: number }>(`
      with pairs as (select unique_id_l as id, case ${cases.join(' ')} end as level from ${side('l')}, ${side('r')} where unique_id_l <> unique_id_r),
        told as (select * from pairs where level not in (${comparison_levels.flatMap((level, l) => (level.is_null_level ? [l] : [])).join(', ')})),
        totals as (select id, count(*) as total from told group by id),
        shares as (select id, level.level, coalesce(n, 0) / total as share from totals
          cross join (select distinct level from told) level left join (select id, level, count(*) as n from told group by all) using (id, level))
      select level, var_samp(share) as variance, count(*) as records, (select count(*) / 2 from told) as pairs from shares group by level`);
    const byLevel = new Map(rows.map((row) => [row.level, row]));
    const { pairs, records: told } = rows[0]!;
    errors.push(
      comparison_levels.map(({ u_probability: u, is_null_level }, l) => {
        if (is_null_level || u === undefined) return Number.NaN;
        return Math.sqrt((4 / told) * (byLevel.get(l)?.variance ?? 0) + (2 * u * (1 - u)) / pairs);
      }),
    );
  }
  return errors;
}

function readModel(file: string): Model {
  return JSON.parse(readFileSync(file, 'utf8')) as Model;
}
