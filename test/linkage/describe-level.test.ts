import { describe, expect, test } from 'vitest';

import { conditionSql, parseCondition } from '../../src/linkage/conditions.ts';
import { describeLevel } from '../../src/linkage/describe-level.ts';
import { oneLine } from '../../src/linkage/sql-text.ts';

describe('a level in words', () => {
  test.each([
    ['name_l is null or name_r is null', 'missing'],
    ['name_l = name_r', 'equal'],
    ['name_l = maiden_r', 'name = maiden'],
    ['substr(name_l, 1, 3) = substr(name_r, 1, 3)', 'substr(name, 1, 3) equal'],
    ['jaro_winkler_similarity(name_l, name_r) >= 0.9', 'Jaro-Winkler ≥ 0.9'],
    ['levenshtein(maiden_l, maiden_r) <= 2', 'maiden Levenshtein ≤ 2'],
    ['damerau_levenshtein(name_l, maiden_r) <= 2', 'name and maiden Damerau-Levenshtein ≤ 2'],
    ['damerau_levenshtein(name_l, name_r) <= 2 and jaro_similarity(name_l, name_r) >= 0.7', 'Damerau-Levenshtein ≤ 2 and Jaro ≥ 0.7'],
    ['abs(year_l - year_r) <= 1', 'year differs by ≤ 1'],
    ['abs(epoch(born_l) - epoch(born_r)) <= 86400', 'born at most 1 day apart'],
    ['abs(epoch(born_l) - epoch(born_r)) <= 2678400', 'born at most 31 days apart'],
    ['abs(epoch(born_l) - epoch(born_r)) <= 315576000', 'born at most 10 years apart'],
    ['not (name_l = name_r)', 'not equal'],
    ['jaccard(name_l, name_r) >= 0.7', 'Jaccard ≥ 0.7'],
    ['array_cosine_similarity(v_l, v_r) >= 0.7', 'v cosine ≥ 0.7'],
    ['len(list_intersect(tags_l, tags_r)) >= 1', 'tags shares ≥ 1'],
    ['len(list_intersect(a_l, a_r)) = least(len(a_l), len(a_r))', 'a is part of the other'],
    ['(abs(p_l - p_r) / (case when p_r > p_l then p_r else p_l end)) < 0.07', 'p differs by < 7%'],
    [conditionSql({ kind: 'distanceKm', latitude: 'lat', longitude: 'long', atMost: 5 }), 'at most 5 km apart'],
    [conditionSql({ kind: 'pairwise', measure: 'levenshtein', column: 'names', atMost: 1 }), 'names nearest Levenshtein ≤ 1'],
    ["sex_r = 'F'", "right: sex = 'F'"],
    ['starts_with("name_l",\n name_r)', 'starts_with(name_l, name_r)'],
    ['ELSE', 'anything else'],
  ])('%s: %s', (sql, words) => {
    const levels = [{ condition: parseCondition('name_l = name_r') }, { condition: parseCondition(sql) }];
    expect(describeLevel({ name: 'name', levels }, 1)).toBe(words);
  });

  test('a label of its own is kept, unless it is only the SQL', () => {
    const condition = parseCondition('name_l = name_r');
    const comparison = {
      name: 'name',
      levels: [
        { condition, label: 'the same name' },
        { condition, label: oneLine(conditionSql(condition)) },
      ],
    };
    expect(describeLevel(comparison, 0)).toBe('the same name');
    expect(describeLevel(comparison, 1)).toBe('equal');
  });
});
