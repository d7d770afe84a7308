// The whole job on one run folder: records in, golden records out, and what the result is worth where the truth is known.
//
// run: npm run -s clinfuse -- er run does the same from the command line.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Database, readParameters, run, silent } from '../src/index.ts';

const folder = join(import.meta.dirname, 'data');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-example-'));
const out = join(home, 'out');

const { records, patients, pairwise } = await run({
  folder,
  out,
  model: 'evidence',
  parameters: readParameters(join(import.meta.dirname, '..', 'params.yaml')),
  progress: silent,
  peakRssMb: () => Math.round(process.resourceUsage().maxRSS / 1024),
});
console.log(`${records} records are ${patients} patients; pairwise F1 ${pairwise?.f1.toFixed(4)}`);

// Whom the master index holds, and how sure each value is: votes over the records it came from.
await using db = await Database.open();
const rows = await db.rows<{ golden_id: string; field: string; votes: number; candidates: number }>(
  `select golden_id, field, votes, candidates from '${join(out, 'golden_records', 'provenance.parquet')}'
   where candidates > 2 order by candidates desc, golden_id limit 3`,
);
for (const { golden_id, field, votes, candidates } of rows) {
  console.log(`${golden_id}: ${field} chosen with ${votes} votes among ${candidates} different values`);
}
rmSync(home, { recursive: true });
