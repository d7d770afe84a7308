import { describe, expect, test } from 'vitest';

import { conditionSql, parseCondition } from '../../src/linkage/conditions.ts';
import type { Condition } from '../../src/linkage/settings.ts';

const exact = (column: string, other?: string): Condition => ({ kind: 'exact', column, ...(other ? { other } : {}) });

describe('level conditions', () => {
  // As Splink's library writes them.
  const known: readonly (readonly [string, Condition])[] = [
    ['"first_name_l" IS NULL OR "first_name_r" IS NULL', { kind: 'null', column: '"first_name"' }],
    ['"first_name_l" = "first_name_r"', exact('"first_name"')],
    ['jaro_winkler_similarity("name_l", "name_r") >= 0.92', { kind: 'jaroWinkler', column: '"name"', atLeast: 0.92 }],
    ['jaro_similarity(name_l, name_r) >= 0.9', { kind: 'jaro', column: '"name"', atLeast: 0.9 }],
    ['levenshtein("name_l", "name_r") <= 2', { kind: 'levenshtein', column: '"name"', atMost: 2 }],
    ['damerau_levenshtein("name_l", "name_r") <= 1', { kind: 'damerauLevenshtein', column: '"name"', atMost: 1 }],
    [
      '"first_l" = "last_r" AND "first_r" = "last_l"',
      { kind: 'and', conditions: [exact('"first"', '"last"'), exact('"last"', '"first"')] },
    ],
    ['("a_l" = "a_r") OR (NOT ("b_l" = "b_r"))', { kind: 'or', conditions: [exact('"a"'), { kind: 'not', condition: exact('"b"') }] }],
    ['SUBSTR("zip_l", 1, 3) = SUBSTR("zip_r", 1, 3)', exact('SUBSTR("zip", 1, 3)'.toLowerCase())],
    ['ABS(EPOCH("born_l") - EPOCH("born_r")) <= 2629800.0', { kind: 'difference', column: 'epoch("born")', atMost: 2629800 }],
    [
      `ABS(EPOCH(try_strptime("dob_l", '%Y-%m-%d')) - EPOCH(try_strptime("dob_r", '%Y-%m-%d'))) <= 2629800.0`,
      { kind: 'difference', column: `epoch(try_strptime("dob", '%Y-%m-%d'))`, atMost: 2629800 },
    ],
    ['date_l = date_r', exact('"date"')],
    ['ELSE', { kind: 'else' }],
  ];
  test.each(known)('%s', (sql, condition) => {
    expect(parseCondition(sql)).toEqual(condition);
    expect(parseCondition(conditionSql(condition))).toEqual(condition);
  });

  // What has no rule is kept word for word: the database decides it.
  test.each([
    'len(list_intersect(tags_l, tags_r)) >= 1',
    'jaro_winkler_similarity(a_l, a_r) > 0.9',
    'jaccard(a_l, a_r) >= 0.7',
    'a_l = a_r and b_l > 3',
    'a_l is null',
    'a_l is not distinct from a_r',
    "a_l in ('x', 'y')",
    'a_l = 3',
    'case when a_l = a_r then true else false end',
    'levenshtein(a_l, a_r) / greatest(length(a_l), length(a_r)) <= 0.2',
    'abs(a_l - a_r) <= 0.1 * a_l',
    'a_l between b_r and c_r',
  ])('%s stays SQL', (sql) => {
    expect(JSON.stringify(parseCondition(sql))).toContain('"kind":"sql"');
    expect(parseCondition(conditionSql(parseCondition(sql)))).toEqual(parseCondition(sql));
  });
});
