import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { demographicFeatureNames } from '../../src/evidence/demographic-features.ts';
import { clinicalFeatureNames } from '../../src/evidence/features.ts';
import { type EvidenceModel, type PairScorer, readEvidenceModel, writeEvidenceModel } from '../../src/evidence/model-file.ts';

const place = mkdtempSync(join(tmpdir(), 'clinfuse-model-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** One tree: is feature 0 at most 1.5? */
const scorer = (featureNames: readonly string[]): PairScorer => ({
  featureNames,
  calibration: { kind: 'platt', slope: 1.1, intercept: -0.2 },
  trainingLogOdds: -3,
  trees: {
    featureCount: featureNames.length,
    baseScore: -3,
    roots: Int32Array.of(0),
    feature: Int16Array.of(0, -1, -1),
    threshold: Float32Array.of(1.5, 0, 0),
    missingLeft: Uint8Array.of(1, 0, 0),
    left: Int32Array.of(1, 0, 0),
    value: Float32Array.of(0.1, -0.4, 0.7),
  },
});
const model: EvidenceModel = {
  metadata: { data: 'a test', seed: 1 },
  trainingRecords: 100,
  demographic: scorer(demographicFeatureNames),
  clinical: { ...scorer(clinicalFeatureNames), calibration: { kind: 'isotonic', scores: [0, 1], logOdds: [-1, 2] } },
  statistics: { codes: { 'conditions 1': [1, 2, 3] }, vaccines: { 20: [2, 4] }, ages: { temper: 0.1, prior: [0], facts: {} } },
};

const write = async (change: (file: Record<string, unknown>) => void): Promise<string> => {
  const path = join(place, 'model.json');
  await writeEvidenceModel(path, model);
  const file = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(file);
  writeFileSync(path, JSON.stringify(file));
  return path;
};

describe('the model file', () => {
  test('what is read is what was written', async () => {
    expect(readEvidenceModel(await write(() => {}))).toEqual(model);
  });

  test('the same model gives the same bytes', async () => {
    const [one, other] = [join(place, 'one.json'), join(place, 'other.json')];
    await writeEvidenceModel(one, model);
    await writeEvidenceModel(other, model);
    expect(readFileSync(one).equals(readFileSync(other))).toBe(true);
  });

  test.each<{ name: string; change: (file: Record<string, unknown>) => void; fault: RegExp }>([
    { name: 'of a later version', change: (file) => (file['version'] = 2), fault: /not an evidence model of version 1: .*: version: / },
    { name: 'without a part', change: (file) => delete file['clinical'], fault: /: clinical: / },
    {
      name: 'made for other features',
      change: (file) => ((file['demographic'] as { featureNames: string[] }).featureNames[0] = 'shoeSize'),
      fault: /made for other demographic features: .*; train it again/,
    },
    {
      name: 'with a tree cut short',
      change: (file) => ((file['clinical'] as { trees: { trees: { value: number[] }[] } }).trees.trees[0]!.value.length = 2),
      fault: /clinical: .*damaged/,
    },
  ])('a file $name is refused in one line', async ({ change, fault }) => {
    const path = await write(change);
    expect(() => readEvidenceModel(path)).toThrow(fault);
    expect(() => readEvidenceModel(path)).not.toThrow(/\n/);
  });

  test('a missing file and one that is not JSON are told apart', () => {
    const text = join(place, 'text.json');
    writeFileSync(text, 'not JSON');
    expect(() => readEvidenceModel(join(place, 'none.json'))).toThrow(/cannot be read/);
    expect(() => readEvidenceModel(text)).toThrow(/not JSON/);
  });
});
