import { describe, expect, test } from 'vitest';

import { parseYaml } from '../../src/pipeline/yaml-values.ts';

const read = (text: string) => parseYaml(text, { file: 'p.yaml' });

describe('YAML values', () => {
  test.each<[string, unknown]>([
    ['1', 1n],
    ['+1_000', 1000n],
    ['017', 17n],
    ['0o17', 15n],
    ['-0x1f', -31n],
    ['0b11', 3n],
    ['123456789012345678901234567890', 123456789012345678901234567890n],
    ['1.0', 1],
    ['5.', 5],
    ['.5', 0.5],
    ['1e-5', 1e-5],
    ['1_0.5', 10.5],
    ['-.inf', Number.NEGATIVE_INFINITY],
    ['.NaN', Number.NaN],
    ['-0.0', -0],
    ['yes', 'yes'],
    ['On', 'On'],
    ['TRUE', true],
    ['~', null],
    ['', null],
    ['1:30', '1:30'],
    ['0o8', '0o8'],
    ['"1.0"', '1.0'],
    ['!!float 5', 5],
    ['!!str 5', '5'],
    ['2020-1-2', '2020-1-2'],
    ['[1, 2.5, x]', [1n, 2.5, 'x']],
  ])('%s is read as ruamel.yaml reads it', (written, value) => {
    expect(read(`a: ${written}`)).toEqual(new Map([['a', value]]));
  });

  test('maps keep their order and the types of their keys', () => {
    expect([...(read('10: a\n2: b\ntrue: c\n"2": d') as Map<unknown, unknown>).keys()]).toEqual([10n, 2n, true, '2']);
  });

  test('a merge brings in what is not written, the first source first', () => {
    const text = 'x: &a {p: 1}\nz: &b {p: 2, r: 3}\ny: {<<: [*a, *b], q: 4}';
    expect((read(text) as Map<string, unknown>).get('y')).toEqual(
      new Map([
        ['p', 1n],
        ['r', 3n],
        ['q', 4n],
      ]),
    );
  });

  test.each([
    ['a: 1\na: 2', 'pipeline: not readable as YAML (Map keys must be unique): p.yaml:2'],
    ['a: 1\n---\nb: 2', 'Source contains multiple documents'],
    ['a: 1\nb: 2020-01-31', 'pipeline: dates are not supported: p.yaml:2: 2020-01-31; write it in quotes'],
    ['a: !mine x', 'Unresolved tag: !mine'],
    ['a: !!binary aGk=', 'pipeline: tag is not supported: p.yaml:1'],
    ['? [a]\n: b', 'pipeline: a list or map as a key is not supported: p.yaml'],
    ['%YAML 1.1\n---\na: yes', 'pipeline: %YAML 1.1 is not supported'],
    ['a: &x [*x]', 'pipeline: alias *x holds itself: p.yaml:1'],
    ['a: *x', 'pipeline: unknown alias *x: p.yaml:1'],
  ])('%j is refused with its place', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test('a date in dvc.yaml itself is text', () => {
    expect(parseYaml('a: 2020-01-31', { file: 'dvc.yaml', dates: 'text' })).toEqual(new Map([['a', '2020-01-31']]));
  });
});
