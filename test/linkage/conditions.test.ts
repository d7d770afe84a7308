import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { conditionSql, parseCondition } from '../../src/linkage/conditions.ts';
import { type Condition, conditionColumns } from '../../src/linkage/settings.ts';

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
    ['abs((a_l + b_l) - (a_r + b_r)) <= 2', { kind: 'difference', column: '"a" + "b"', atMost: 2 }],
    ['abs(a_l + 1 - b_r) <= 2', { kind: 'difference', column: '"a" + 1', other: '"b"', atMost: 2 }],
    ['jaccard("name_l", "name_r") >= 0.9', { kind: 'jaccard', column: '"name"', atLeast: 0.9 }],
    ['array_cosine_similarity(v_l, v_r) >= 0.5', { kind: 'cosine', column: '"v"', atLeast: 0.5 }],
    ['len(list_intersect(tags_l, labels_r)) >= 1', { kind: 'arrayIntersect', column: '"tags"', other: '"labels"', atLeast: 1 }],
    [
      'least(len(a_l), len(a_r)) <> 0 and len(array_intersect(a_l, a_r)) = least(len(a_l), len(a_r))',
      { kind: 'arraySubset', column: '"a"' },
    ],
    ['(abs(p_l - p_r) / (case when p_r > p_l then p_r else p_l end)) < 0.1', { kind: 'percentageDifference', column: '"p"', below: 0.1 }],
    [
      'list_min(list_transform(flatten(list_transform(n_l, x -> list_transform(n_r, y -> [x, y]))), pair -> levenshtein(pair[1], pair[2]))) <= 2',
      { kind: 'pairwise', measure: 'levenshtein', column: '"n"', atMost: 2 },
    ],
    // Of one record alone: the database says once per record what it says.
    ['a_l is null', { kind: 'holds', side: 'left', column: '"a" is null' }],
    ["a_r in ('x', 'y')", { kind: 'holds', side: 'right', column: `"a" in ('x', 'y')` }],
    [
      'a_l = 3 and b_r between 1 and 2',
      {
        kind: 'and',
        conditions: [
          { kind: 'holds', side: 'left', column: '"a" = 3' },
          { kind: 'holds', side: 'right', column: '"b" between 1 and 2' },
        ],
      },
    ],
    [
      'a_l is null or a_r is null or length(a_r) < 2',
      {
        kind: 'or',
        conditions: [
          { kind: 'null', column: '"a"' },
          { kind: 'holds', side: 'right', column: 'length("a") < 2' },
        ],
      },
    ],
    ['ELSE', { kind: 'else' }],
  ];
  test.each(known)('%s', (sql, condition) => {
    expect(parseCondition(sql)).toEqual(condition);
    expect(parseCondition(conditionSql(condition))).toEqual(condition);
  });

  // What has no rule is kept word for word: the database decides it.
  test.each([
    'jaro_winkler_similarity(a_l, a_r) > 0.9',
    'len(list_intersect(tags_l, tags_r)) > 1',
    'len(list_intersect(tags_r, tags_l)) >= 1',
    'least(len(a_l), len(a_r)) <> 0',
    'a_l is not distinct from a_r',
    'a_l = b_r is true',
    'a_l || a_r = 3',
    'case when a_l = a_r then true else false end',
    'levenshtein(a_l, a_r) / greatest(length(a_l), length(a_r)) <= 0.2',
    'abs(a_l - a_r) <= 0.1 * a_l',
    'abs(a_l - a_r) < 2',
    'abs(a_l + b_l - a_r + b_r) <= 2',
    'abs(a_l || b_l - a_r || b_r) <= 2',
    '(abs(p_l - p_r) / (case when p_r < p_l then p_r else p_l end)) < 0.1',
    'list_max(list_transform(flatten(list_transform(n_l, x -> list_transform(n_r, y -> [y, x]))), p -> jaro_similarity(p[1], p[2]))) >= 0.9',
    'list_max(list_transform(flatten(list_transform(n_l, x -> list_transform(n_r, y -> [x, y]))), p -> levenshtein(p[1], p[2]))) >= 2',
    'cast(acos(sin(radians(a_l)) * sin(radians(a_r))) * 6371 as float) <= 1',
    'a_l between b_r and c_r',
  ])('%s stays SQL', (sql) => {
    expect(JSON.stringify(parseCondition(sql))).toContain('"kind":"sql"');
    expect(parseCondition(conditionSql(parseCondition(sql)))).toEqual(parseCondition(sql));
  });

  test('a parameter of a lambda is no column', () => {
    expect(conditionColumns(parseCondition('len(list_filter(tags_l, x -> x = name_r)) > 1'))).toEqual(['tags', 'name']);
  });

  // Written as DuckDB's expressions are after reading: columns in quotes, words in lower case.
  const column = fc.constantFrom(
    '"a"',
    '"first name"',
    '"it\'s"',
    'lower("a")',
    '"place" [\'lat\']',
    'substr("a", 1, 3)',
    '"a" || "b"',
    '"a" + "b"',
    '"a" - 2',
    '"a" * 2',
  );
  const other = fc.option(fc.constantFrom('"z"', 'upper("z")'), { nil: undefined });
  const sides = fc.tuple(column, other).map(([one, two]) => (two === undefined ? { column: one } : { column: one, other: two }));
  const share = fc.constantFrom(0, 0.5, 0.88, 1);
  const amount = fc.constantFrom(0, 1, 2.5, 1e-7, 31557600);
  const leaf: fc.Arbitrary<Condition> = fc.oneof(
    fc.record({ kind: fc.constant('null' as const), column }),
    sides.map((both): Condition => ({ kind: 'exact', ...both })),
    fc
      .tuple(fc.constantFrom('jaroWinkler' as const, 'jaro' as const, 'jaccard' as const, 'cosine' as const), sides, share)
      .map(([kind, both, atLeast]) => ({ kind, ...both, atLeast }) as Condition),
    fc
      .tuple(fc.constantFrom('levenshtein' as const, 'damerauLevenshtein' as const, 'difference' as const), sides, amount)
      .map(([kind, both, atMost]) => ({ kind, ...both, atMost }) as Condition),
    fc.tuple(sides, amount).map(([both, below]): Condition => ({ kind: 'percentageDifference', ...both, below })),
    fc
      .tuple(column, column, amount)
      .map(([latitude, longitude, atMost]): Condition => ({ kind: 'distanceKm', latitude, longitude, atMost })),
    fc.tuple(sides, amount).map(([both, atLeast]): Condition => ({ kind: 'arrayIntersect', ...both, atLeast })),
    fc
      .tuple(sides, fc.constantFrom({}, { emptyIsSubset: true }))
      .map(([both, empty]): Condition => ({ kind: 'arraySubset', ...both, ...empty })),
    fc.tuple(sides, share).map(([both, atLeast]): Condition => ({ kind: 'pairwise', measure: 'jaro', ...both, atLeast })),
    fc.tuple(sides, amount).map(([both, atMost]): Condition => ({ kind: 'pairwise', measure: 'levenshtein', ...both, atMost })),
    fc
      .tuple(fc.constantFrom('left' as const, 'right' as const), column)
      .map(([side, one]): Condition => ({ kind: 'holds', side, column: `${one} in ('x', 'y')` })),
  );
  const tree = fc.letrec<{ whole: Condition }>((tie) => ({
    whole: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc
        .tuple(fc.constantFrom('and' as const, 'or' as const), fc.array(tie('whole'), { minLength: 2, maxLength: 3 }))
        .map(([kind, conditions]): Condition => ({ kind, conditions })),
      tie('whole').map((condition): Condition => ({ kind: 'not', condition })),
    ),
  })).whole;

  test('every condition is read back from what is written for it', () => {
    fc.assert(
      fc.property(tree, (condition) => {
        expect(parseCondition(conditionSql(condition))).toEqual(condition);
      }),
      { seed: 5, numRuns: 2000 },
    );
  });
});
