import { describe, expect, test } from 'vitest';

import { requireColumns } from '../../src/sql/columns.ts';

const ask = (wanted: string[], more: { file?: string; hint?: string } = {}) =>
  requireColumns(wanted, ['id', 'birth_date', 'sex'], { part: 'part', code: 'part.column', ...more });

describe('requireColumns', () => {
  test.each([
    { wanted: ['birth_dat'], more: {}, says: 'part: column not found: birth_dat; did you mean birth_date?' },
    { wanted: ['id', 'street'], more: {}, says: 'part: column not found: street; table has: id, birth_date, sex' },
    {
      wanted: ['idd'],
      more: { file: 'a.csv', hint: '--id names it' },
      says: 'part: column not found: idd in a.csv; did you mean id? --id names it',
    },
  ])('$wanted: $says', ({ wanted, more, says }) => {
    expect(() => ask(wanted, more)).toThrow(says);
    expect(() => ask(wanted, more)).toThrow(expect.objectContaining({ code: 'part.column' }));
  });

  test('a wide table is not listed whole', () => {
    const names = Array.from({ length: 40 }, (_, n) => `measure_${n}`);
    expect(() => requireColumns(['x'], names, { part: 'part', code: 'c', hint: 'look' })).toThrow(/measure_9 and 30 more; look$/);
  });

  test('case does not matter, as in DuckDB', () => {
    expect(() => ask(['ID', 'Birth_Date'])).not.toThrow();
  });
});
