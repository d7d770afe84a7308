import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { editDistance, jaroWinkler } from '../../src/base/edit-distance.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** The definition, cell by cell: what the bit-parallel form must equal. */
function slowDistance(a: string, b: string): number {
  const d = Array.from({ length: a.length + 1 }, (_, i) => Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)));
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      d[i]![j] = Math.min(d[i - 1]![j]! + 1, d[i]![j - 1]! + 1, d[i - 1]![j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) d[i]![j] = Math.min(d[i]![j]!, d[i - 2]![j - 2]! + 1);
    }
  }
  return d[a.length]![b.length]!;
}

describe('edit distance', () => {
  test.each([
    ['smith', 'smith', 0],
    ['smith', 'simth', 1],
    ['smith', 'smyht', 2],
    ['', 'abc', 3],
    ['ca', 'abc', 3],
    ['999112222', '999121222', 1],
    ['a'.repeat(40), `b${'a'.repeat(39)}`, 1],
  ])('%s to %s takes %i edits', (a, b, edits) => {
    expect(editDistance(bytes(a), bytes(b))).toBe(edits);
  });

  test('the fast forms equal the definition, whatever the lengths', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 45 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(editDistance(bytes(a), bytes(b))).toBe(slowDistance(a, b));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('jaro-winkler', () => {
  test.each([
    ['martha', 'marhta', 0.961111],
    ['dwayne', 'duane', 0.84],
    ['dixon', 'dicksonx', 0.813333],
    ['abc', 'xyz', 0],
    ['', '', 1],
  ])('%s and %s are %f alike', (a, b, similarity) => {
    expect(jaroWinkler(bytes(a), bytes(b))).toBeCloseTo(similarity, 5);
  });
});
