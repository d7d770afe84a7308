import { expect, test } from 'vitest';

import { lengthBatches } from '../../src/models/length-batches.ts';

test('texts of like length come together, longest first, and every text once', () => {
  const texts = [[1], [2, 2, 2], [3, 3], [4, 4, 4, 4, 4, 4, 4], [5]];
  const found = [...lengthBatches(texts, 6)].map(({ rows, tokens, ids, lengths, places }) => ({
    rows,
    tokens,
    ids: [...ids],
    lengths: [...lengths],
    places,
  }));
  expect(found).toEqual([
    { rows: 1, tokens: 7, ids: [4, 4, 4, 4, 4, 4, 4], lengths: [7], places: [3] },
    { rows: 2, tokens: 3, ids: [2, 2, 2, 3, 3, 0], lengths: [3, 2], places: [1, 2] },
    { rows: 2, tokens: 1, ids: [1, 5], lengths: [1, 1], places: [0, 4] },
  ]);
});
