// Why two records are, or are not, one patient: every fact with its weight, in words.

import { join } from 'node:path';

import { explainRecords, loadEvidenceModel, openSession } from '../src/index.ts';

await using session = await openSession(join(import.meta.dirname, 'data'));

// Any two records will do; here, two of the sample that share a last name.
const [pair] = await session.db.rows<{ left: string; right: string }>(
  `select a.record_id as left, b.record_id as right from records a join records b
   on a.last_name = b.last_name and a.facility < b.facility order by a.row, b.row limit 1`,
);
const { facts } = await explainRecords(session, { ...pair!, model: loadEvidenceModel('evidence') });
for (const { text, nats } of facts.slice(0, 12)) {
  console.log(`${nats >= 0 ? 'for    ' : 'against'} x ${Math.exp(Math.abs(nats)).toPrecision(3).padStart(8)}  ${text}`);
}
