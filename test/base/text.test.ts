import { describe, expect, test } from 'vitest';

import { duration, nearest, printable } from '../../src/base/text.ts';

describe('text', () => {
  test.each([
    ['resovle', 'resolve'],
    ['segmnt', 'segment'],
    ['golden', 'golden-records'],
    ['zzzzzz', undefined],
  ])('%s is understood as %s', (typed, meant) => {
    expect(nearest(typed, ['resolve', 'segment', 'golden-records', 'ingest'])).toBe(meant);
  });

  test.each([
    [0.44, '0.4 s'],
    [12.4, '12 s'],
    [185, '3 min 05 s'],
    [59.6, '60 s'],
  ])('%d seconds read as %s', (seconds, read) => {
    expect(duration(seconds)).toBe(read);
  });

  test('text out of a file is one line, and not a long one', () => {
    expect(printable('a\n\tb\u0000c\u2028d')).toBe('a b c d');
    expect(printable('x'.repeat(1000))).toHaveLength(300);
  });
});
