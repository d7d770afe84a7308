import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { TrainingFigures } from '../../../src/apps/entity-resolution/evidence-measure.ts';
import { trainEvidence } from '../../../src/apps/entity-resolution/evidence-train.ts';
import { explainRecords } from '../../../src/apps/entity-resolution/explain.ts';
import { openSession } from '../../../src/apps/entity-resolution/session.ts';
import { buildDemographics } from '../../../src/evidence/demographics.ts';
import { type EvidenceModel, readEvidenceModel } from '../../../src/evidence/model-file.ts';
import { buildProfiles } from '../../../src/evidence/profile.ts';
import { scoreClinical, scoreDemographics } from '../../../src/evidence/score.ts';

const sample = join(import.meta.dirname, '../../../examples/data');
const place = mkdtempSync(join(tmpdir(), 'clinfuse-train-'));
const out = join(place, 'model.json');
let figures: TrainingFigures;
let model: EvidenceModel;

beforeAll(async () => {
  figures = await trainEvidence({ folder: sample, out, seed: 7, otherPairs: 4000, command: 'a test' });
  model = readEvidenceModel(out);
}, 60_000);
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('training on the sample', () => {
  test('learns to tell histories apart even from some two hundred patients', () => {
    expect(figures.heldOut.balanced.f1).toBeGreaterThan(0.85);
    expect(figures.heldOut.fused.clustered.precision).toBeGreaterThan(0.95);
  });

  test('the model is small, says what it was trained on, and its card holds the same figures', () => {
    expect(statSync(out).size).toBeLessThan(5_000_000);
    expect(model.metadata).toMatchObject({ seed: 7, records: figures.data.records, command: 'a test' });
    const card = readFileSync(join(place, 'model.md'), 'utf8');
    expect(card).toContain(figures.heldOut.balanced.f1.toFixed(4));
    expect(card).toContain(`error ${figures.heldOut.fused.calibration.error.toFixed(4)}`);
  });

  test('an explanation adds up to what the scorer says', async () => {
    await using session = await openSession(sample);
    const rows = await session.db.rows<{ left: number; right: number; left_id: string; right_id: string }>(
      `select a.row as "left", b.row as "right", a.record_id as left_id, b.record_id as right_id from records a join records b
       on a.row < b.row and a.facility <> b.facility and a.gender = b.gender and (a.patient_id = b.patient_id or a.birthdate = b.birthdate)
       order by md5(a.record_id || b.record_id) limit 12`,
    );
    const pairs = { left: Int32Array.from(rows, (row) => row.left), right: Int32Array.from(rows, (row) => row.right) };
    const demographic = scoreDemographics(model, await buildDemographics(session.db), pairs);
    const clinical = scoreClinical(model, await buildProfiles(session.db), pairs);
    for (const [i, { left_id, right_id }] of rows.entries()) {
      const explained = await explainRecords(session, { left: left_id, right: right_id, model });
      expect(explained.demographic).toBeCloseTo(demographic[i]!, 4);
      expect(explained.clinical).toBeCloseTo(clinical[i]!, 4);
      expect(explained.prior + explained.facts.reduce((sum, fact) => sum + fact.nats, 0)).toBeCloseTo(explained.total, 6);
    }
  });

  test('a record id that is not there is refused in one line', async () => {
    await using session = await openSession(sample);
    await expect(explainRecords(session, { left: 'facility_001_x', right: 'facility_002_y', model })).rejects.toThrow(
      /^explain: no such record: facility_001_x; record ids look like facility_00\d_UUID$/,
    );
  });
});
