import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { classReport } from '../../src/evaluation/classes.ts';

const numbers = (text: string) => Int32Array.from(text, Number);

describe('class report', () => {
  test('the worked case', () => {
    const report = classReport(numbers('011'), numbers('001'), ['a', 'b']);
    expect(report).toMatchObject({
      accuracy: 2 / 3,
      precision: 1 / 2,
      recall: 1,
      confusion: [
        [1, 1],
        [0, 1],
      ],
    });
    expect(report.f1).toBeCloseTo(2 / 3, 12);
  });

  test('more than two classes are averaged, each counting the same however rare', () => {
    // By hand: a 3 of 4 both ways, b found once and claimed twice, c never.
    const report = classReport(numbers('000110'), numbers('000012'), ['a', 'b', 'c']);
    expect(report.precision).toBeCloseTo((3 / 4 + 1 / 2 + 0) / 3, 12);
    expect(report.recall).toBeCloseTo((3 / 4 + 1 + 0) / 3, 12);
    expect(report.classes[2]).toEqual({ label: 'c', count: 1, precision: 0, recall: 0, f1: 0 });
  });

  test('every row is counted once, right ones on the diagonal', () => {
    const pairs = fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { minLength: 1 });
    fc.assert(
      fc.property(pairs, (rows) => {
        const { accuracy, confusion } = classReport(
          Int32Array.from(rows, ([a]) => a),
          Int32Array.from(rows, ([, b]) => b),
          ['a', 'b', 'c', 'd'],
        );
        expect(confusion.flat().reduce((sum, count) => sum + count, 0)).toBe(rows.length);
        expect(confusion.reduce((sum, row, k) => sum + row[k]!, 0)).toBe(Math.round(accuracy * rows.length));
      }),
    );
  });

  test('no rows at all', () => {
    expect(classReport(numbers(''), numbers(''), ['a', 'b'])).toMatchObject({ accuracy: 0, f1: 0 });
  });
});
