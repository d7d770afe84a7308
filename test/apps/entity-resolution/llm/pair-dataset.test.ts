import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PairDatasetReport } from '../../../../src/apps/entity-resolution/llm/dataset-card.ts';
import { drawNegatives } from '../../../../src/apps/entity-resolution/llm/negatives.ts';
import { writePairDataset } from '../../../../src/apps/entity-resolution/llm/pair-dataset.ts';
import { splitByPatient, splitNames, splitShares } from '../../../../src/apps/entity-resolution/llm/patient-splits.ts';
import { openSession } from '../../../../src/apps/entity-resolution/session.ts';
import { splitPairPrompt } from '../../../../src/records/summary.ts';
import { Database } from '../../../../src/sql/duckdb.ts';
import { datasetFiles } from '../../../../src/training/dataset-files.ts';

const sample = resolve(import.meta.dirname, '../../../../examples/data');

describe('splits', () => {
  const records = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 120 });

  test('hold a patient on one side, and look-alikes together', () => {
    fc.assert(
      fc.property(records, fc.array(fc.tuple(fc.nat(40), fc.nat(40)), { maxLength: 8 }), fc.nat(), (list, together, seed) => {
        const patients = Int32Array.from(list);
        const splits = splitByPatient({ patients, together: together.filter(([a, b]) => list.includes(a) && list.includes(b)), seed });
        const sideOf = new Map<number, number>();
        for (const [record, patient] of patients.entries()) {
          expect(sideOf.get(patient) ?? splits[record]).toBe(splits[record]);
          sideOf.set(patient, splits[record]!);
        }
        for (const [a, b] of together) if (list.includes(a) && list.includes(b)) expect(sideOf.get(a)).toBe(sideOf.get(b));
      }),
    );
  });

  test('come near their shares, and follow the seed', () => {
    const patients = Int32Array.from({ length: 1000 }, (_, record) => record >> 1);
    const splits = splitByPatient({ patients, together: [], seed: 1 });
    for (const [split, name] of splitNames.entries()) {
      expect(splits.filter((one) => one === split).length / 1000).toBeCloseTo(splitShares[name], 2);
    }
    expect(splitByPatient({ patients, together: [], seed: 1 })).toEqual(splits);
    expect(splitByPatient({ patients, together: [], seed: 2 })).not.toEqual(splits);
  });
});

describe('pairs of two people', () => {
  // 40 people of two records; the first four are look-alikes in pairs; tens of people share sex and birth year.
  const patients = Int32Array.from({ length: 80 }, (_, record) => record >> 1);
  const splits = Uint8Array.from(patients, (patient) => (patient < 20 ? 0 : 2));
  const groupsOf = (size: number) =>
    Array.from({ length: 80 / size }, (_, group) => Array.from({ length: size }, (_, i) => group * size + i));
  const options = { patients, splits, households: groupsOf(4), sexAndBirthYears: groupsOf(20), split: 0, hardShare: 0.5, seed: 7 };
  const confusables = [
    [0, 1],
    [2, 3],
  ] as const;

  test.each([
    { hardShare: 0, expected: { random: 60 } },
    { hardShare: 0.5, expected: { random: 30, confusable: 8, household: 10, same_sex_and_birth_year: 12 } },
    { hardShare: 1, expected: { confusable: 8, household: 20, same_sex_and_birth_year: 32 } },
  ])('of which $hardShare are hard: $expected', ({ hardShare, expected }) => {
    const { left, right, kinds } = drawNegatives({ ...options, confusables, hardShare, count: 60 });
    const counts: Record<string, number> = {};
    for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
    expect(counts).toEqual(expected);
    expect(new Set(left.map((a, i) => a * 80 + right[i]!)).size).toBe(60);
    for (const [i, a] of left.entries()) {
      expect(a).toBeLessThan(right[i]!);
      expect(patients[a]).not.toBe(patients[right[i]!]);
      expect([splits[a], splits[right[i]!]]).toEqual([0, 0]);
    }
  });

  test('are fewer than asked where there are no more', () => {
    const two = Int32Array.of(0, 1);
    const drawn = drawNegatives({
      ...options,
      patients: two,
      splits: new Uint8Array(2),
      households: [],
      sexAndBirthYears: [],
      confusables: [],
      count: 5,
    });
    expect([...drawn.left, ...drawn.right]).toEqual([0, 1]);
  });
});

describe('the data set of the sample', () => {
  const folder = mkdtempSync(join(tmpdir(), 'clinfuse-pairs-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const write = async (
    name: string,
    options: { readonly hardShare?: number; readonly maxPairs?: number } = {},
  ): Promise<PairDatasetReport> => {
    await using session = await openSession(sample);
    return await writePairDataset(session, {
      hardShare: 0.5,
      seed: 42,
      timestamp: 'then',
      source: 'sample',
      ...options,
      out: join(folder, name),
    });
  };
  type Row = {
    readonly label: number;
    readonly kind: string;
    readonly a: string;
    readonly b: string;
    readonly question: string;
    readonly answer: string;
  };
  const read = async (name: string): Promise<Record<string, Row[]>> => {
    await using db = await Database.open();
    const rows: Record<string, Row[]> = {};
    for (const [split, files] of Object.entries(datasetFiles(join(folder, name)))) {
      rows[split] = await db.rows<Row>(`select cast(label as INTEGER) as label, kind, record_id_1 as a, record_id_2 as b,
        messages[1].content as question, messages[2].content as answer from read_parquet('${files[0]}')`);
    }
    return rows;
  };
  let report: PairDatasetReport;
  beforeAll(async () => {
    report = await write('one');
  });

  test('is balanced, answered as it is labelled, and asks with record A first', async () => {
    const rows = await read('one');
    for (const name of splitNames) {
      const split = rows[name]!;
      expect(split.length).toBe(report.splits[name]);
      expect(split.filter(({ label }) => label === 1).length).toBe(split.length / 2);
      expect(
        split.filter(({ label, answer, kind }) => (label === 1) !== (answer === 'True') || (label === 1) !== (kind === 'match')),
      ).toEqual([]);
      expect(split.filter(({ a, b }) => a >= b)).toEqual([]);
      expect(split.filter(({ question }) => splitPairPrompt(question) === undefined)).toEqual([]);
    }
  });

  test('has no patient, and so no history, in two splits', async () => {
    const rows = await read('one');
    const patientsOf = (name: string) => new Set(rows[name]!.flatMap(({ a, b }) => [a.slice(13), b.slice(13)]));
    const [train, validation, held] = splitNames.map(patientsOf);
    expect([...train!].filter((patient) => validation!.has(patient) || held!.has(patient))).toEqual([]);
    expect([...validation!].filter((patient) => held!.has(patient))).toEqual([]);
  });

  test('is the same for the same seed, to the byte, and says so in its fingerprint', async () => {
    expect(await write('two')).toEqual(report);
    for (const file of ['README.md', 'dataset_info.json', ...splitNames.map((name) => `data/${name}.parquet`)]) {
      expect(readFileSync(join(folder, 'two', file)).equals(readFileSync(join(folder, 'one', file))), file).toBe(true);
    }
  });

  test('can be made smaller, and without hard pairs', async () => {
    const small = await write('small', { maxPairs: 40, hardShare: 0 });
    expect(small.splits.train).toBe(40);
    expect(Object.keys(small.kinds.train).sort()).toEqual(['match', 'random']);
    expect(small.fingerprint).not.toBe(report.fingerprint);
  });
});
