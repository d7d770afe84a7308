import fc from 'fast-check';
import { expect, test } from 'vitest';

import { stopTexts } from '../../src/models/stop-texts.ts';

function run(pieces: readonly string[], stops: readonly string[]) {
  const { push, end } = stopTexts(stops);
  const shown: string[] = [];
  for (const piece of pieces) {
    const found = push(piece);
    shown.push(found.shown);
    if (found.isOver) return shown;
  }
  return [...shown, end()];
}

test.each([
  [['One', '\n', 'two'], ['\n\n'], ['One', '', '\ntwo', '']],
  [['One', '\n', '\nthree'], ['\n\n'], ['One', '', '']],
  [
    ['a', 'b', 'c'],
    ['abd', 'bc'],
    ['', '', 'a'],
  ],
  [['a', 'b'], ['abd'], ['', '', 'ab']],
  [['a', 'b'], [], ['a', 'b', '']],
])('%j with stops %j gives %j', (pieces, stops, shown) => {
  expect(run(pieces, stops)).toEqual(shown);
});

test('however a text is cut into pieces, it ends where the first stop text begins', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 3 }), { maxLength: 2 });
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 6 }), stops, (pieces, found) => {
      const text = pieces.join('');
      const shown = run(pieces, found).join('');
      expect(text.startsWith(shown)).toBe(true);
      if (!found.some((stop) => text.includes(stop))) expect(shown).toBe(text);
      else expect(found.some((stop) => text.startsWith(stop, shown.length))).toBe(true);
      for (const stop of found) expect(shown).not.toContain(stop);
    }),
    { seed: 1 },
  );
});
