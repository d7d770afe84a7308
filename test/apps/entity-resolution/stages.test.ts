import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { goldenRecords } from '../../../src/apps/entity-resolution/golden-records.ts';
import { infer, loadEvidenceModel } from '../../../src/apps/entity-resolution/infer.ts';
import { addPredictions, readCandidates } from '../../../src/apps/entity-resolution/pairs.ts';
import { type RunResult, run } from '../../../src/apps/entity-resolution/run.ts';
import { openSession } from '../../../src/apps/entity-resolution/session.ts';
import { type Parameters, readParameters } from '../../../src/apps/entity-resolution/settings.ts';
import { silent } from '../../../src/base/progress.ts';
import { Database, literal } from '../../../src/sql/duckdb.ts';

const sample = resolve(import.meta.dirname, '../../../examples/data');
const parameters = readParameters(resolve(sample, '../../params.yaml'));
const home = mkdtempSync(join(tmpdir(), 'clinfuse-stages-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const job = (out: string, threads: number, changed: Partial<Parameters> = {}): Promise<RunResult> =>
  run({
    folder: sample,
    out: join(home, out),
    model: 'evidence',
    parameters: { ...parameters, ...changed },
    threads,
    progress: silent,
    peakRssMb: () => 0,
  });

/** Files whose content is a result, not a time. */
function results(out: string): Record<string, string> {
  const files = ['resolved', 'inferred', 'golden_records', 'baselines'].flatMap((stage) =>
    readdirSync(join(home, out, stage)).map((name) => join(stage, name)),
  );
  const kept = files.filter((file) => !file.endsWith('inference_metrics.json'));
  return Object.fromEntries(kept.map((file) => [file, readFileSync(join(home, out, file)).toString('base64')]));
}

describe('entity resolution on the sample', () => {
  let found: RunResult;
  beforeAll(async () => {
    found = await job('one', 1);
  });

  test('joins the records of nearly every patient and mixes none', () => {
    expect(found.records).toBe(609);
    expect(found.pairwise!.f1).toBeGreaterThan(0.99);
    expect(found.clusters!.impureClusters).toBe(0);
    expect(found.clusters!.splitPatients).toBeLessThanOrEqual(4);
  });

  test('demographics without labels do nearly as well once the histories are weighed', async () => {
    const em = await job('em', 2, { resolve: { ...parameters.resolve, demographics: 'em' } });
    expect(em.pairwise!.f1).toBeGreaterThan(0.98);
  });

  test('gives the same bytes on one thread and on two', async () => {
    await job('two', 2);
    expect(results('two')).toEqual(results('one'));
  });

  test('the single stages, reading each other’s files, end with the same golden records', async () => {
    await using session = await openSession(sample);
    const [inferred, golden] = ['inferred', 'golden'].map((name) => join(home, 'single', name)) as [string, string];
    for (const folder of [inferred, golden]) mkdirSync(folder, { recursive: true });
    const candidates = await readCandidates(session.db, join(home, 'one', 'resolved'));
    await infer(session, { pairs: candidates, model: loadEvidenceModel('evidence'), parameters, out: inferred });
    const pairs = await addPredictions(session.db, candidates, inferred);
    await goldenRecords(session, { pairs, parameters, out: golden });
    for (const name of readdirSync(golden)) {
      expect({ name, same: readFileSync(join(golden, name)).equals(readFileSync(join(home, 'one', 'golden_records', name))) }).toEqual({
        name,
        same: true,
      });
    }
  });

  test('reads the predictions of a classifier that only says prediction and confidence', async () => {
    await using session = await openSession(sample);
    const folder = join(home, 'classifier');
    mkdirSync(folder);
    await session.db.writeParquet(
      `select record_id_2 as record_id_1, record_id_1 as record_id_2, prediction, round(confidence, 4) as confidence
       from ${literal(join(home, 'one', 'inferred', 'predictions.parquet'))} order by confidence limit 100`,
      join(folder, 'predictions.parquet'),
    );
    const candidates = await readCandidates(session.db, join(home, 'one', 'resolved'));
    const { clinical } = await addPredictions(session.db, candidates, folder);
    const own = (await addPredictions(session.db, candidates, join(home, 'one', 'inferred'))).clinical!;
    const told = clinical!.map((value, p) => (value === 0 ? 0 : value - own[p]!));
    expect(clinical!.filter((value) => value !== 0).length).toBeGreaterThan(90);
    // Four decimals of confidence say the log-odds to about a hundredth where they are small.
    expect(Math.max(...told.map(Math.abs))).toBeLessThan(0.05);
  });

  test('a folder of one facility has nothing to join: every record is a patient', async () => {
    const folder = join(home, 'alone');
    for (const part of ['facilities/facility_002', 'metadata']) cpSync(join(sample, part), join(folder, part), { recursive: true });
    const { records, patients, candidates, pairwise } = await run({
      folder,
      out: join(home, 'alone-out'),
      model: 'evidence',
      parameters,
      progress: silent,
      peakRssMb: () => 0,
    });
    expect({ patients, candidates }).toEqual({ patients: records, candidates: 0 });
    expect(pairwise).toBeDefined();
  });

  test('a folder that the reference system wrote, a handful of records, runs unchanged', async () => {
    const folder = resolve(sample, '../../test/oracle/run-folder/written');
    const { records, patients } = await run({
      folder,
      out: join(home, 'reference'),
      model: 'evidence',
      parameters,
      progress: silent,
      peakRssMb: () => 0,
    });
    expect(records).toBe(4);
    expect(patients).toBeLessThanOrEqual(records);
  });

  test('every pair has its text, with both summaries and the question', async () => {
    await using db = await Database.open();
    const file = literal(join(home, 'one', 'resolved', 'gray_zone_pairs.parquet'));
    const [row] = await db.rows<{ pairs: number; asked: number; ordered: number }>(
      `select count(*) as pairs, count(*) filter (text like '%Record A:%Record B:%Answer only ''True'' or ''False''.') as asked,
         count(*) filter (record_id_1 < record_id_2) as ordered from ${file}`,
    );
    expect(row!.pairs).toBeGreaterThan(0);
    expect(row).toEqual({ pairs: row!.pairs, asked: row!.pairs, ordered: row!.pairs });
  });
});
