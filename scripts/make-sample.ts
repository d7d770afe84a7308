// npm run sample: makes examples/data anew, from real Synthea to a damaged run folder. Needs what `clinfuse er generate` needs (Java and Maven, or
// docker); takes about two minutes. The seed gives the same people; Synthea, working in parallel, may write them in another order.
//
// 275 living people of seed 67890 come with some 50 who have died. The 30 with the longest bills are left out: they hold half
// of all claim lines, and a claim line's random id does not compress. All else is whole: segmented and damaged with the defaults,
// which are the evaluation run's settings, then packed as tightly as Parquet allows.

import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { writeFolder } from '../src/base/files.ts';
import { drawnProgress } from '../src/cli/progress.ts';
import { Database, literal } from '../src/sql/duckdb.ts';
import { generate } from '../src/synth/generate.ts';
import { ingest } from '../src/synth/ingest.ts';
import { injectErrors } from '../src/synth/inject-errors.ts';
import { segment } from '../src/synth/segment.ts';
import { generateSettings, injectSettings, segmentSettings } from '../src/synth/settings.ts';

const target = join(import.meta.dirname, '..', 'examples', 'data');
const leftOut = 30;
const packed = '(format parquet, compression zstd, compression_level 22, parquet_version v2, row_group_size 1000000)';

const work = mkdtempSync(join(tmpdir(), 'clinfuse-sample-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
const at = (name: string) => join(work, name);
const progress = drawnProgress(process.stderr);

await generate({
  output: at('synthea'),
  settings: generateSettings.parse({ population: 275 }),
  cache: join(homedir(), '.cache', 'clinfuse', 'synthea-3.3.0'),
  environment: process.env,
  progress,
  onStart: (stop) => process.once('exit', stop),
});
await ingest({ input: at('synthea/csv'), output: at('parquet'), progress });
await leaveOutLongestBills(at('parquet'));
// Relative names, so that run_config.yaml does not tell where it was made.
process.chdir(work);
const { records, patients } = await segment({ input: 'parquet', output: 'segmented', settings: segmentSettings.parse({}), progress });
await injectErrors({
  input: 'segmented',
  output: 'augmented',
  settings: injectSettings.parse({}),
  timestamp: '2026-01-01T00:00:00',
  progress,
});
process.chdir(join(import.meta.dirname, '..'));
await writeFolder(target, { names: ['facilities', 'metadata', 'statistics'] }, (folder) => pack(at('augmented'), folder));
console.log(`${patients} patients, ${records} records; examples/data`);

/** Rewrites the patients and encounters tables without those people; every other table follows its encounters. */
async function leaveOutLongestBills(folder: string): Promise<void> {
  await using db = await Database.open();
  await db.run(`create table heavy as select "PATIENTID" as patient from read_parquet(${literal(join(folder, 'claims_transactions.parquet'))})
    group by 1 order by count(*) desc, 1 limit ${leftOut}`);
  for (const [table, column] of [
    ['patients', 'Id'],
    ['encounters', 'PATIENT'],
  ]) {
    const file = literal(join(folder, `${table}.parquet`));
    await db.run(`create table kept as select * from read_parquet(${file}) where "${column}" not in (select patient from heavy)`);
    await db.run(`copy kept to ${file} (format parquet)`);
    await db.run('drop table kept');
  }
}

/** Copies a folder tree, every Parquet file packed anew. */
async function pack(from: string, to: string): Promise<void> {
  await using db = await Database.open();
  cpSync(from, to, { recursive: true });
  for (const name of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.parquet')) continue;
    await db.run(`copy (select * from read_parquet(${literal(join(from, name))})) to ${literal(join(to, name))} ${packed}`);
  }
}
