import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { readParameters } from '../../../src/apps/entity-resolution/settings.ts';
import { UserError } from '../../../src/base/errors.ts';

const home = mkdtempSync(join(tmpdir(), 'clinfuse-params-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function read(text: string) {
  const file = join(home, 'params.yaml');
  writeFileSync(file, text);
  return readParameters(file);
}

const weights = (name: number, missing: number) =>
  `augment: {assignment_seed: 1, error_seed: 1, confusable_pct: 5, min_errors: 8, max_errors: 12, error_weights: {name_variation: ${name}, missing_data: ${missing}}}`;

describe('params.yaml', () => {
  test('the checked-in file is accepted and says what the defaults are', () => {
    const file = readParameters(resolve(import.meta.dirname, '../../../params.yaml'));
    const { resolve: stage, golden_records } = read('');
    expect(file).toMatchObject({ resolve: stage, golden_records });
  });

  test('what is not said keeps its default', () => {
    expect(read('resolve: {demographics: em}').resolve).toEqual({ ...read('').resolve, demographics: 'em' });
  });

  test.each([
    {
      name: 'an unknown key, with the nearest',
      text: 'resolve: {auto_mach_probability: 0.9}',
      message: 'unknown key: resolve.auto_mach_probability; did you mean auto_match_probability?',
    },
    { name: 'an unknown block', text: 'golden_record: {}', message: 'unknown key: golden_record; did you mean golden_records?' },
    {
      name: 'weights that do not sum to 1',
      text: weights(0.5, 0.3),
      message: 'augment.error_weights: weights must sum to 1, they sum to 0.8',
    },
    {
      name: 'an unknown key of a simulator block',
      text: 'augment: {eror_seed: 1}',
      message: 'unknown key: augment.eror_seed; did you mean error_seed?',
    },
    { name: 'a probability above 1', text: 'resolve: {predict_threshold: 2}', message: 'resolve.predict_threshold' },
    { name: 'an unknown choice', text: 'golden_records: {same_gender: maybe}', message: 'golden_records.same_gender' },
    { name: 'text that is not YAML', text: 'a: [', message: 'not valid YAML' },
  ])('$name is refused in one line', ({ text, message }) => {
    const refusal = (): unknown => {
      try {
        return read(text);
      } catch (error) {
        return error;
      }
    };
    const error = refusal();
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toContain(message);
    expect((error as UserError).message).not.toContain('\n');
  });

  test('a file that is not there is named', () => {
    expect(() => readParameters(join(home, 'nowhere.yaml'))).toThrow('params: file not found');
  });

  test('weights that sum to 1 are accepted', () => {
    expect(read(weights(0.7, 0.3)).augment?.inject.weights).toEqual({ name_variation: 0.7, missing_data: 0.3 });
  });
});
