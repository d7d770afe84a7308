// What Splink's library emits (recipe: test/oracle/splink/emitted_levels.py) is all recognised.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

import { conditionSql, parseCondition } from '../../src/linkage/conditions.ts';
import { needsSql } from '../../src/linkage/settings.ts';

const folder = resolve(import.meta.dirname, '../oracle/splink');
const emitted = ['splink4', 'splink5'].flatMap((version) =>
  (JSON.parse(readFileSync(join(folder, version, 'emitted-levels.json'), 'utf8')) as [string, string[]][]).map(([written, sql]) => ({
    version,
    written,
    sql,
  })),
);

/** Levels that DuckDB decides, and why. */
const decidedByDatabase: Readonly<Record<string, string>> = {
  'cll.DistanceFunctionLevel("name", "hamming", 2, higher_is_more_similar=False)': 'any function the database has may be named',
};

describe('levels of the Splink library', () => {
  test.each(emitted)('$version: $written', ({ written, sql }) => {
    for (const one of sql) {
      const condition = parseCondition(one);
      expect(needsSql(condition), one).toBe(written in decidedByDatabase);
      expect(parseCondition(conditionSql(condition)), one).toEqual(condition);
    }
  });

  test('no exception is out of date', () => {
    const written = new Set(emitted.map((one) => one.written));
    expect(Object.keys(decidedByDatabase).filter((one) => !written.has(one))).toEqual([]);
  });
});
