import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type ClinicalStatistics, greatestRarity, learnClinicalStatistics } from '../../src/evidence/clinical-statistics.ts';
import {
  clinicalFeatureGroupOf,
  clinicalFeatureGroups,
  clinicalFeatureNames,
  clinicalFeatures,
  prepareClinical,
} from '../../src/evidence/features.ts';
import { buildProfiles, type Profiles } from '../../src/evidence/profile.ts';
import { clinicalDatabase, drawnTables, moment, type Row, type Tables } from './clinical-tables.ts';

const nothingLearned: ClinicalStatistics = {
  codes: { 'conditions 59621000': [1, 0.5, -0.25], 'immunizations 20': [2, 0, 0] },
  vaccines: { 20: [2, 4] },
  ages: { temper: 1, prior: Array<number>(130).fill(0), facts: {} },
};

function compare(profiles: Profiles, left = 0, right = 1, statistics = nothingLearned): Record<string, number> {
  const out = new Float32Array(clinicalFeatureNames.length);
  clinicalFeatures(prepareClinical(profiles, statistics), Int32Array.of(left), Int32Array.of(right), 0, 1, out);
  return Object.fromEntries(clinicalFeatureNames.map((name, i) => [name, out[i]!]));
}

async function featuresOf(tables: Tables): Promise<Record<string, number>> {
  await using db = await clinicalDatabase({
    patients: [
      { facility: 1, Id: 'ann' },
      { facility: 2, Id: 'ann' },
    ],
    ...tables,
  });
  return compare(await buildProfiles(db));
}

const at = (facility: number, date: string, month: number, rest: Row): Row => ({
  facility,
  PATIENT: 'ann',
  [date]: moment(month, 0.5),
  ...rest,
});
const measured = (code: string) => (facility: number, month: number, value: number) =>
  at(facility, 'DATE', month, { CODE: code, CATEGORY: 'vital-signs', VALUE: value.toFixed(1) });
const height = measured('8302-2');
const visit = (facility: number, month: number, kind = 'ambulatory') =>
  at(facility, 'START', month, { ENCOUNTERCLASS: kind, CODE: 185349003 });
const shot = (facility: number, month: number, code = 140) => at(facility, 'DATE', month, { CODE: code });
const condition = (facility: number, month: number, stop: number | null, code = 59621000) =>
  at(facility, 'START', month, { CODE: code, STOP: stop === null ? null : moment(stop, 0.5) });

describe('clinical features', () => {
  test.each<{ name: string; tables: Tables; expected: Record<string, number> }>([
    {
      name: 'the points nearest in time are compared, not the nearest values',
      tables: { observations: [height(1, 400, 170), height(1, 420, 172), height(2, 421, 172.5), height(2, 460, 170)] },
      expected: {
        'height nearest difference': 0.5,
        'height nearest gap': 1,
        'height growth a month': 0.5 / 4,
        'height last difference': 2,
        'height median difference': 0.25,
        'height greatest difference': 0.5,
        'height lower last': 170,
        'weight nearest difference': Number.NaN,
      },
    },
    {
      name: 'a point between two of the other record is held against the line through them',
      tables: { observations: [height(1, 400, 100), height(1, 420, 110), height(2, 410, 108)] },
      expected: { 'height off the line': 3 },
    },
    {
      name: 'spans apart: a gap, no overlap, one turn',
      tables: { encounters: [visit(1, 400), visit(1, 409), visit(2, 415), visit(2, 430)] },
      expected: {
        'months between spans': 6,
        'share of the shorter span overlapped': 0,
        'turns between the records': 1,
        'months visited in both records': 0,
        'fewer encounters': 2,
        'ratio of encounters': 1,
      },
    },
    {
      name: 'spans interleaved: every visit but the first is a turn',
      tables: { encounters: [visit(1, 400), visit(2, 405), visit(1, 410), visit(2, 415)] },
      expected: { 'months between spans': -5, 'turns between the records': 3, 'share of turns between the records': 0.75 },
    },
    {
      name: 'check-ups within ten months of each other collide',
      tables: { encounters: [visit(1, 400, 'wellness'), visit(2, 402, 'wellness'), visit(1, 414, 'wellness')] },
      expected: {
        'check-ups nearest gap': 2,
        'check-ups too close together': 1,
        'share of check-ups too close together': 0.5,
      },
    },
    {
      name: 'two influenza shots of one season, and doses of a vaccine beyond the usual',
      tables: {
        immunizations: [
          shot(1, 400),
          shot(2, 401),
          shot(1, 410, 20),
          shot(1, 412, 20),
          shot(1, 414, 20),
          shot(2, 413, 20),
          shot(2, 415, 20),
        ],
      },
      expected: {
        'influenza shots nearest gap': 1,
        'influenza shots too close together': 1,
        'vaccine doses too close together': 3,
        'vaccine doses beyond the usual number': 1,
        'vaccines in both records': 2,
      },
    },
    {
      name: 'a shared condition weighs by its rarity; two that never ended are counted',
      tables: { conditions: [condition(1, 400, null), condition(2, 402, null), condition(2, 300, 301, 15777000)] },
      expected: {
        'conditions shared weight': 1,
        'conditions rarest shared': 1,
        'conditions share shared': 1,
        'conditions unshared weight': greatestRarity,
        'conditions carried on weight': 1,
        'conditions never ended in both': 1,
        'conditions episodes at once': 1,
        'conditions likelihood': 0.5,
      },
    },
    {
      name: 'a condition of one record only counts by what was learned of one',
      tables: { conditions: [condition(1, 400, null)] },
      expected: { 'conditions shared weight': Number.NaN, 'conditions likelihood': -0.25, 'conditions unshared weight': 1 },
    },
    {
      name: 'visits after a death are counted in months',
      tables: {
        encounters: [visit(1, 400), at(1, 'START', 405, { ENCOUNTERCLASS: 'wellness', CODE: 308646001 }), visit(2, 417)],
      },
      expected: { 'months lived after death': 12 },
    },
  ])('$name', async ({ tables, expected }) => {
    const features = await featuresOf(tables);
    for (const [name, value] of Object.entries(expected)) {
      if (Number.isNaN(value)) expect.soft(features[name], name).toBeNaN();
      else expect.soft(features[name], name).toBeCloseTo(value, 4);
    }
  });

  test('a record without any clinical row has nothing to compare', async () => {
    const features = await featuresOf({ encounters: [visit(1, 400)] });
    const present = Object.entries(features).filter(([, value]) => !Number.isNaN(value) && value !== 0);
    expect(present.map(([name]) => name)).toEqual(['more encounters', 'encounters unshared weight']);
  });

  test('every feature has one name, and the groups hold them all', () => {
    expect(new Set(clinicalFeatureNames).size).toBe(clinicalFeatureNames.length);
    expect([...new Set(clinicalFeatureGroupOf)]).toEqual(clinicalFeatureGroups);
    const vitals = clinicalFeatureNames.filter((_, column) => clinicalFeatureGroupOf[column] === 'vitals');
    expect(vitals.every((name) => /^(systolic|diastolic|heartRate) /.test(name))).toBe(true);
  });
});

describe('clinical features of drawn records', async () => {
  const count = 24;
  await using db = await clinicalDatabase(drawnTables({ patients: count / 2, seed: 2 }));
  const profiles = await buildProfiles(db);
  const people = {
    patient: Int32Array.from({ length: count }, (_, row) => row % (count / 2)),
    birthYear: Float32Array.from({ length: count }, (_, row) => 1950 + (row % (count / 2))),
  };
  const statistics = learnClinicalStatistics(profiles, people);
  const record = fc.nat(count - 1);

  test('swapping the records changes nothing', () => {
    fc.assert(
      fc.property(record, record, (left, right) => {
        expect(compare(profiles, left, right, statistics)).toEqual(compare(profiles, right, left, statistics));
      }),
    );
  });

  test('a pair scores the same alone and among others', () => {
    const left = Int32Array.from({ length: 30 }, (_, i) => i % count);
    const right = Int32Array.from({ length: 30 }, (_, i) => (i * 7 + 3) % count);
    const width = clinicalFeatureNames.length;
    const context = prepareClinical(profiles, statistics);
    const all = new Float32Array(30 * width);
    clinicalFeatures(context, left, right, 0, 30, all);
    const some = new Float32Array(5 * width);
    clinicalFeatures(context, left, right, 20, 25, some);
    expect(some).toEqual(all.slice(20 * width, 25 * width));
  });

  test('held-out patients teach the statistics nothing', () => {
    const patient = people.patient.map((person) => (person < 6 ? -1 : person));
    const birthYear = people.birthYear.map((year, row) => (patient[row]! < 0 ? 2020 : year));
    expect(learnClinicalStatistics(profiles, { patient, birthYear })).toEqual(learnClinicalStatistics(profiles, { ...people, patient }));
  });
});
