// The models of the Splink oracle: the reference's, ours, and one whose levels only DuckDB can decide.

import type { TrainingPlan } from '../../../src/linkage/training.ts';
import { clinicalRecordSettings, clinicalRecordTraining, referenceSettings, referenceTraining } from '../../../src/linkage/presets.ts';
import type { Condition, LinkageSettings } from '../../../src/linkage/settings.ts';

const missing = (column: string) => ({ condition: { kind: 'null', column }, isNull: true }) as const;
const otherwise = { condition: { kind: 'else' } } as const;
const sql = (text: string): { readonly condition: Condition } => ({ condition: { kind: 'sql', sql: text } });

/** Rarity on several levels, one of them with a minimum and half its weight; SQL of every kind; columns compared crosswise. */
const customSettings: LinkageSettings = {
  linkType: 'dedupe_only',
  uniqueId: 'record_id',
  prior: 1e-4,
  comparisons: [
    {
      name: 'given',
      levels: [
        missing('first_name'),
        { condition: { kind: 'exact', column: 'first_name' }, termFrequency: { column: 'first_name', weight: 0.5, minimumU: 0.02 } },
        { condition: { kind: 'damerauLevenshtein', column: 'first_name', atMost: 1 }, termFrequency: { column: 'first_name', weight: 0.25 } },
        { condition: { kind: 'jaro', column: 'first_name', atLeast: 0.7 } },
        otherwise,
      ],
    },
    {
      name: 'family',
      levels: [
        { ...sql('last_name_l is null or last_name_r is null or length(last_name_r) < 2'), isNull: true },
        { condition: { kind: 'exact', column: 'last_name' }, termFrequency: { column: 'last_name', minimumU: 0.001 } },
        { condition: { kind: 'exact', column: 'last_name', other: 'maiden_name' } },
        { condition: { kind: 'exact', column: 'maiden_name', other: 'last_name' } },
        sql('starts_with(last_name_l, substr(last_name_r, 1, 2)) and not (length(last_name_l) > 9)'),
        otherwise,
      ],
    },
    {
      name: 'place',
      levels: [
        { ...sql('latitude_l is null or latitude_r is null'), isNull: true },
        sql('sqrt(pow(latitude_l - latitude_r, 2) + pow(longitude_l - longitude_r, 2)) < 0.001'),
        sql('abs(latitude_l - latitude_r) < 0.02'),
        otherwise,
      ],
    },
    {
      name: 'tags',
      levels: [
        { ...sql('tags_l is null or tags_r is null or len(tags_l) = 0 or len(tags_r) = 0'), isNull: true },
        sql('len(list_intersect(tags_l, tags_r)) >= 2'),
        sql('len(list_intersect(tags_l, tags_r)) >= 1'),
        otherwise,
      ],
    },
    {
      name: 'ssn',
      levels: [
        missing('ssn'),
        { condition: { kind: 'exact', column: 'ssn' } },
        { condition: { kind: 'levenshtein', column: 'ssn', atMost: 2 } },
        otherwise,
      ],
    },
    {
      name: 'born',
      levels: [
        missing('birthdate'),
        { condition: { kind: 'exact', column: 'birthdate' } },
        { condition: { kind: 'and', conditions: [{ kind: 'difference', column: 'birth_year', atMost: 1 }, { kind: 'not', condition: { kind: 'exact', column: 'gender' } }] } },
        { condition: { kind: 'difference', column: 'birth_year', atMost: 1 } },
        otherwise,
      ],
    },
  ],
  blockingRules: [{ on: ['ssn'] }, { on: ['substr(last_name, 1, 2)', 'zip'] }, { on: ['birthdate'] }, { on: ['first_name', 'gender'] }],
};

const customTraining: TrainingPlan = {
  deterministicRules: [{ on: ['ssn'] }],
  recall: 0.6,
  emRules: [{ on: ['ssn'] }, { on: ['birthdate'] }],
};

export const oracleModels: Readonly<Record<string, { readonly settings: LinkageSettings; readonly training: TrainingPlan }>> = {
  reference: { settings: referenceSettings, training: referenceTraining },
  clinical: { settings: clinicalRecordSettings, training: clinicalRecordTraining },
  custom: { settings: customSettings, training: customTraining },
};
