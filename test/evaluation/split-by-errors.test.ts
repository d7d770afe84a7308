import { describe, expect, test } from 'vitest';

import { splitByErrors } from '../../src/evaluation/split-by-errors.ts';

describe('split patients by errors and facilities', () => {
  // Patients: a split over 2 facilities with 3 + 9 errors, b whole over 2 with none, c whole over 3 with 40, d a single record.
  const rows = splitByErrors({
    predicted: [1, 2, 3, 3, 4, 4, 4, 5],
    truth: [...'aabbcccd'],
    errors: [3, 9, 0, 0, 20, 10, 10, 8],
    facility: [1, 2, 1, 3, 1, 2, 3, 4],
  });

  test('errors are summed over a patient’s records and put into classes', () => {
    expect(rows.errors).toEqual([
      { label: '0', patients: 1, split: 0, share: 0 },
      { label: '11–15', patients: 1, split: 1, share: 1 },
      { label: '31+', patients: 1, split: 0, share: 0 },
    ]);
  });

  test('facilities are counted per patient; a patient with one record is not in the chart', () => {
    expect(rows.facilities).toEqual([
      { label: '2', patients: 2, split: 1, share: 0.5 },
      { label: '3', patients: 1, split: 0, share: 0 },
    ]);
  });
});
