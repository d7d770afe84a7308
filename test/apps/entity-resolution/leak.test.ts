import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { run } from '../../../src/apps/entity-resolution/run.ts';
import { readParameters } from '../../../src/apps/entity-resolution/settings.ts';
import { silent } from '../../../src/base/progress.ts';
import { Database, literal, quote } from '../../../src/sql/duckdb.ts';

const sample = resolve(import.meta.dirname, '../../../examples/data');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-leak-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** Columns that hold a patient's or an encounter's id. */
const idColumns = new Set(['PATIENT', 'ENCOUNTER', 'PATIENTID', 'APPOINTMENTID']);
/** Billing tables, places and payers: no evidence may need them, so they are left out altogether. */
const leftOut = new Set(['claims', 'claims_transactions', 'payer_transitions', 'organizations', 'providers', 'payers']);

const renamed = (id: string, facility: string) => createHash('sha256').update(`${facility} ${id}`).digest('hex').slice(0, 32);

/** The sample with every id replaced, by another one at each facility, rows reversed, and what says nothing of a history blanked. */
async function disguise(folder: string): Promise<void> {
  await using db = await Database.open();
  for (const facility of readdirSync(join(sample, 'facilities'))) {
    mkdirSync(join(folder, 'facilities', facility), { recursive: true });
    for (const name of readdirSync(join(sample, 'facilities', facility))) {
      const table = name.replace('.parquet', '');
      if (leftOut.has(table)) continue;
      const from = literal(join(sample, 'facilities', facility, name));
      const columns = await db.describe(from);
      const changed = columns.map(({ name: column }) => {
        const isId = idColumns.has(column) || (column === 'Id' && (table === 'patients' || table === 'encounters'));
        if (isId) return `left(sha256(${literal(`${facility} `)} || ${quote(column)}), 32) as ${quote(column)}`;
        const leaks = /^(DRIVERS|PASSPORT|HEALTHCARE_|INCOME|LAT$|LON$|ORGANIZATION|PROVIDER|PAYER)/.test(column);
        return leaks ? `null as ${quote(column)}` : quote(column);
      });
      const order = table === 'patients' ? ' order by file_row_number desc' : '';
      await db.run(
        `copy (select ${changed.join(', ')} from read_parquet(${from}, file_row_number = true)${order}) to ${literal(join(folder, 'facilities', facility, name))} (format parquet)`,
      );
    }
  }
}

/** Clusters as sets of record ids, each id as `name` gives it. */
async function clusters(out: string, name: (recordId: string) => string): Promise<Set<string>> {
  await using db = await Database.open();
  const rows = await db.rows<{ ids: string[] }>(
    `select list(record_id) as ids from ${literal(join(out, 'golden_records', 'clusters.parquet'))} group by golden_id`,
  );
  return new Set(rows.map(({ ids }) => ids.map(name).sort().join(' ')));
}

describe('what the result may not depend on', () => {
  const [plain, hidden] = [join(home, 'plain'), join(home, 'hidden')];
  beforeAll(async () => {
    await disguise(join(home, 'disguised'));
    const options = {
      model: 'evidence',
      parameters: readParameters(resolve(sample, '../../params.yaml')),
      progress: silent,
      peakRssMb: () => 0,
    };
    await run({ ...options, folder: sample, out: plain });
    await run({ ...options, folder: join(home, 'disguised'), out: hidden });
  });

  test('patient and encounter ids, row order, truth, billing, places, coordinates, income and licences change no cluster', async () => {
    const rename = (recordId: string) => {
      const [facility, id] = [recordId.slice(0, 12), recordId.slice(13)];
      return `${facility}_${renamed(id, facility)}`;
    };
    const same = (id: string) => id;
    expect(await clusters(hidden, same)).toEqual(await clusters(plain, rename));
  });

  test('without ground truth the run says nothing about accuracy', async () => {
    expect(readdirSync(hidden).sort()).toEqual(['golden_records', 'inferred', 'report', 'resolved', 'run.json']);
    expect(readdirSync(join(hidden, 'golden_records'))).not.toContain('evaluation_metrics.json');
  });
});
