import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ValueMap } from '../../src/pipeline/values.ts';
import { writeYaml } from '../../src/pipeline/write-yaml.ts';
import { parseYaml } from '../../src/pipeline/yaml-values.ts';

type Case = { readonly input: string; readonly text: string; readonly unreadable?: boolean };
const oracle = join(import.meta.dirname, '../oracle/pipeline/cache/yaml.json');
const cases = JSON.parse(readFileSync(oracle, 'utf8')) as readonly Case[];
const read = (text: string): ValueMap => parseYaml(text, { file: 'case' }) as ValueMap;

describe('YAML as DVC writes it', () => {
  const sound = cases.filter(({ unreadable }) => !unreadable);

  test.each(sound)('byte for byte: $input', ({ input, text }) => {
    expect(writeYaml(read(input))).toBe(text);
  });

  test.each(sound)('read and written again: $input', ({ text }) => {
    expect(writeYaml(read(text))).toBe(text);
  });

  test.each(cases.filter(({ unreadable }) => unreadable))('where DVC cannot read what it wrote, ours can be: $input', ({ input }) => {
    expect(read(writeYaml(read(input)))).toEqual(read(input));
  });
});
