import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { parseSettings, readConfigFile } from '../../src/synth/config.ts';
import { augmentSettings, generateSettings, injectSettings, segmentSettings } from '../../src/synth/settings.ts';
import { temporaryFolder } from './csv-fixture.ts';

describe('settings', () => {
  test('the defaults are those of the evaluation run', () => {
    expect(generateSettings.parse({})).toEqual({ population: 2500, seed: 67890, state: 'Massachusetts' });
    expect(augmentSettings.parse({})).toEqual({ segment: segmentSettings.parse({}), inject: injectSettings.parse({}) });
    expect(segmentSettings.parse({})).toMatchObject({ seed: 99, facilities: 5, primaryShare: 0.6, confusablePercent: 5 });
    expect(injectSettings.parse({})).toMatchObject({ seed: 99, errorRate: 1, manyProbability: 0.7, minErrors: 8, maxErrors: 12 });
    expect(injectSettings.parse({}).weights.gender_error ?? 0).toBe(0);
  });

  test('error weights may be JSON text, as older params.yaml hold them', () => {
    const weights = '{"name_variation": 0.7, "missing_data": 0.3}';
    expect(injectSettings.parse({ error_weights: weights }).weights).toEqual({ name_variation: 0.7, missing_data: 0.3 });
  });

  test.each([
    { name: 'an unknown key', schema: injectSettings, value: { eror_seed: 1 }, says: 'unknown key: eror_seed' },
    {
      name: 'weights above 1',
      schema: injectSettings,
      value: { error_weights: { name_variation: 1.02 } },
      says: 'must sum to 1, they sum to 1.02',
    },
    {
      name: 'weights below 1',
      schema: segmentSettings,
      value: { facility_count_weights: { 1: 0.5 } },
      says: 'must sum to 1, they sum to 0.5',
    },
    { name: 'an unknown kind of error', schema: injectSettings, value: { error_weights: { names: 1 } }, says: 'error_weights' },
    {
      name: 'a negative weight',
      schema: injectSettings,
      value: { error_weights: { name_variation: -1, missing_data: 2 } },
      says: 'negative',
    },
    { name: 'weights that are not JSON', schema: injectSettings, value: { error_weights: '{' }, says: 'not JSON' },
    { name: 'no facility at all', schema: segmentSettings, value: { facility_count_weights: { 0: 1 } }, says: '1 or more' },
    {
      name: 'too few facilities',
      schema: segmentSettings,
      value: { num_facilities: 3 },
      says: 'fewer facilities (3) than the largest facility count (5)',
    },
    { name: 'a share above 1', schema: segmentSettings, value: { primary_facility_weight: 1.5 }, says: 'from 0 to 1' },
    { name: 'least above most', schema: augmentSettings, value: { min_errors: 13 }, says: 'min_errors (13) above max_errors (12)' },
  ])('$name is refused, and the line says so', ({ schema, value, says }) => {
    expect(() => parseSettings<unknown>(schema, value, 'here')).toThrow(says);
  });

  test.each([0.99, 1, 1.01])('weights that sum to %d are taken', (sum) => {
    expect(injectSettings.safeParse({ error_weights: { name_variation: sum - 0.5, missing_data: 0.5 } }).success).toBe(true);
  });
});

describe('config file', () => {
  const file = (text: string) => {
    const path = join(temporaryFolder(), 'config.yaml');
    writeFileSync(path, text);
    return path;
  };

  test('nested keys become settings; a number of pairs replaces the percentage', () => {
    const config = readConfigFile(
      file('random_seed: 7\nconfusable_groups: {total_pairs: 3}\nerror_injection: {min_errors: 2}\nvalidate_output: false\n'),
    );
    expect(segmentSettings.parse(config.segment)).toMatchObject({ seed: 7, confusablePercent: 0, confusablePairs: 3 });
    expect(injectSettings.parse(config.inject)).toMatchObject({ seed: 7, minErrors: 2, maxErrors: 12 });
    expect(config.validate).toBe(false);
  });

  test.each([
    { name: 'an unknown key', text: 'seed: 1', says: /unknown key: seed; in .*config\.yaml/ },
    { name: 'an unknown nested key', text: 'error_injection: {rate: 1}', says: /error_injection: unknown key: rate/ },
    { name: 'another strategy', text: 'facility_distribution: {strategy: random}', says: /only chronological_switching/ },
    { name: 'text that is not YAML', text: 'a: [', says: /not YAML/ },
  ])('$name is refused', ({ text, says }) => {
    expect(() => readConfigFile(file(text))).toThrow(says);
  });

  test('a file that is not there is named', () => {
    expect(() => readConfigFile('/nowhere.yaml')).toThrow('cannot be read: /nowhere.yaml');
  });
});
