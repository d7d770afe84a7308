import { expect, test } from 'vitest';

import { emHistory } from '../../src/linkage/em-history.ts';

test('a history has one path per level, in bits; none for missing values, nothing where no match was', () => {
  const comparison = {
    name: 'zip',
    levels: [
      { condition: { kind: 'null', column: 'zip' }, isNull: true },
      { condition: { kind: 'exact', column: 'zip' }, u: 0.25 },
      { condition: { kind: 'else' }, u: 0.5 },
    ],
  } as const;
  const steps = [
    { m: [[Number.NaN, 0.5, 0.5]], prior: 0.1 },
    { m: [[Number.NaN, 1, Number.NaN]], prior: 0.2 },
  ];
  expect(emHistory([comparison], steps)).toEqual({
    prior: [0.1, 0.2],
    comparisons: [
      {
        name: 'zip',
        levels: [
          { label: 'equal', weights: [1, 2] },
          { label: 'anything else', weights: [0, null] },
        ],
      },
    ],
  });
});
