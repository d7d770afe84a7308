// The four FEBRL data sets, which the literature quotes, linked without labels: one Splink model and one training plan for both engines.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { bestThreshold, precisionRecallCurve, scoreAtThreshold } from '../../src/evaluation/thresholds.ts';
import type { LinkageSettings } from '../../src/linkage/settings.ts';
import { Database, literal } from '../../src/sql/duckdb.ts';
import { clinfuse } from '../clinfuse.ts';
import { cache } from '../populations.ts';
import { atLeast, type Row } from '../row.ts';
import { pythonOf, splink } from '../splink.ts';
import { alike, comparison, edits, exact, type Training, writeModel } from './model.ts';

const settings: LinkageSettings = {
  linkType: 'dedupe_only',
  uniqueId: 'unique_id',
  prior: 1e-4,
  comparisons: [
    comparison('given_name', [exact('given_name'), alike('given_name', 0.92), alike('given_name', 0.8)], true),
    comparison('surname', [exact('surname'), alike('surname', 0.92), alike('surname', 0.8)], true),
    comparison('date_of_birth', [exact('date_of_birth'), edits('date_of_birth', 1), edits('date_of_birth', 2)]),
    comparison('soc_sec_id', [exact('soc_sec_id'), edits('soc_sec_id', 1), edits('soc_sec_id', 2)]),
    comparison('street_number', [exact('street_number'), edits('street_number', 1)], true),
    comparison('address_1', [exact('address_1'), alike('address_1', 0.9), alike('address_1', 0.75)], true),
    comparison('suburb', [exact('suburb'), alike('suburb', 0.9), alike('suburb', 0.75)], true),
    comparison('postcode', [exact('postcode'), edits('postcode', 1)], true),
  ],
  blockingRules: [
    { on: ['soc_sec_id'] },
    { on: ['given_name', 'surname'] },
    { on: ['date_of_birth'] },
    { on: ['surname', 'postcode'] },
    { on: ['given_name', 'postcode'] },
    { on: ['address_1', 'street_number'] },
    { on: ['suburb', 'street_number'] },
  ],
};
const training: Training = {
  deterministic_rules: [
    'l.soc_sec_id = r.soc_sec_id',
    'l.given_name = r.given_name and l.surname = r.surname and l.date_of_birth = r.date_of_birth',
  ],
  recall: 0.9,
  u_max_pairs: 1e6,
  em_rules: ['l.date_of_birth = r.date_of_birth', 'l.given_name = r.given_name and l.surname = r.surname', 'l.soc_sec_id = r.soc_sec_id'],
};

export async function* febrl({ folder }: { readonly folder: string }): AsyncGenerator<Row> {
  const home = join(cache, 'bench', 'febrl');
  const python = pythonOf('febrl');
  if (!existsSync(join(home, 'febrl4.parquet'))) {
    if (!python) {
      yield { figure: 'FEBRL', value: 0, unit: '', peer: 'not exported: no environment of bench/peers/setup.sh', ok: true };
      return;
    }
    mkdirSync(home, { recursive: true });
    execFileSync(python, [join(import.meta.dirname, '..', 'peers', 'febrl-export.py'), home]);
  }
  for (const set of [1, 2, 3, 4]) yield* oneSet({ folder, set, records: join(home, `febrl${set}.parquet`) });
}

async function* oneSet({
  folder,
  set,
  records,
}: {
  readonly folder: string;
  readonly set: number;
  readonly records: string;
}): AsyncGenerator<Row> {
  await using db = await Database.open();
  const linkOnly = set === 4;
  const model = join(folder, `febrl${set}.json`);
  writeModel(model, linkOnly ? { ...settings, linkType: 'link_only', source: 'source_dataset' } : settings, training);
  const [mine, others] = [join(folder, `febrl${set}.parquet`), join(folder, `febrl${set}-splink.parquet`)];
  clinfuse('link', 'dedupe', '--in', records, '--settings', model, '--out', mine);
  const sources = linkOnly ? await eachSource(db, records, folder) : [records];
  const peer = splink(5, model, others, ...sources);
  const total = await db.value<number>(
    `select count(*) from ${literal(records)} l join ${literal(records)} r using (person)
     where ${linkOnly ? 'l.source_dataset < r.source_dataset' : 'l.unique_id < r.unique_id'}`,
  );
  const ours = await scores(db, mine, total);
  const theirs = peer && (await scores(db, others, total));
  const what = `FEBRL ${set}, ${linkOnly ? 'link only' : 'dedupe'}, F1 of pairs`;
  yield beside(`${what} at P >= 0.5`, ours.half, theirs?.half);
  yield beside(`${what} at its best threshold`, ours.best, theirs?.best);
}

function beside(figure: string, ours: number, theirs: number | undefined): Row {
  if (theirs === undefined) return { figure, value: ours, unit: '', peer: 'Splink 5 not installed', ok: true };
  return atLeast(figure, ours, theirs, '', { peer: `Splink 5: ${theirs.toFixed(4)}`, must: 'no lower' });
}

/** One file per source: what Splink wants where it links only. */
async function eachSource(db: Database, records: string, folder: string): Promise<string[]> {
  const files = [];
  for (const source of ['a', 'b']) {
    const file = join(folder, `febrl-${source}.parquet`);
    await db.run(`copy (select * from ${literal(records)} where source_dataset = ${literal(source)}) to ${literal(file)} (format parquet)`);
    files.push(file);
  }
  return files;
}

/** F1 of a file of pairs. A pair is true where the number in both ids is the same. */
async function scores(db: Database, pairs: string, totalTrue: number) {
  const number = (side: string) => `split_part(unique_id_${side}, '-', 2)`;
  const { p, t } = await db.columns<{ p: Float64Array; t: Int32Array }>(
    `select match_probability as p, (${number('l')} = ${number('r')})::integer as t from ${literal(pairs)}`,
  );
  const curve = precisionRecallCurve({ scores: p, isTrue: t, totalTrue });
  return { half: scoreAtThreshold(curve, 0.5).f1, best: bestThreshold(curve)?.f1 ?? 0 };
}
