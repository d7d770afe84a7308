import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { compileDeciders, decideBatch } from '../../src/linkage/deciders.ts';
import { Encoder } from '../../src/linkage/encode.ts';
import { compileLevels } from '../../src/linkage/kernel.ts';
import { createPairSource, listSource } from '../../src/linkage/pair-source.ts';
import { prepareKernel } from '../../src/linkage/prepare.ts';
import type { Comparison, Condition, LinkageSettings } from '../../src/linkage/settings.ts';
import { createPool } from '../../src/linkage/workers.ts';
import { Database } from '../../src/sql/duckdb.ts';

const comparison = (column: string, ...conditions: Condition[]): Comparison => ({
  name: column,
  levels: [
    { condition: { kind: 'null', column }, isNull: true },
    { condition: { kind: 'exact', column } },
    ...conditions.map((condition) => ({ condition })),
    { condition: { kind: 'else' } },
  ],
});
const alike = (column: string, atLeast: number): Condition => ({ kind: 'jaroWinkler', column, atLeast });
const within = (atMost: number): Condition => ({ kind: 'difference', column: "epoch(try_strptime(born, '%Y-%m-%d'))", atMost });
const settings: LinkageSettings = {
  linkType: 'dedupe_only',
  uniqueId: 'id',
  prior: 0.01,
  comparisons: [
    comparison('name', alike('name', 0.92), alike('name', 0.8), alike('name', 0.7)),
    // Text that is no date, longer than signatures tell, and missing; then limits that fall again.
    comparison('born', { kind: 'damerauLevenshtein', column: 'born', atMost: 1 }, within(2_629_800), within(315_576_000), within(86_400)),
    comparison('code', { kind: 'levenshtein', column: 'code', atMost: 1.5 }),
  ],
  blockingRules: [],
};

let db: Database;
let encoder: Encoder;
beforeAll(async () => {
  db = await Database.open();
  const { integer, pick } = random(7, 'deciders');
  const digits = (size: number) => Array.from({ length: size }, () => pick([...'0123'])).join('');
  const born = () => pick([null, 'unknown', `19${digits(2)}-0${integer(1, 3)}-1${integer(0, 2)}`, `1950-01-1${integer(0, 9)}`]);
  const rows = Array.from({ length: 160 }, (_, n) => ({
    id: `r${1000 + n}`,
    name: pick([null, '', `mari${pick(['a', 'e', 'ana', 'o'])}`, `${pick(['an', 'Zoë', 'jo'])}${pick(['na', 'hn', 'ton'])}`]),
    born: born(),
    code: pick([null, '', 'x'.repeat(integer(250, 258)), digits(3)]),
  }));
  await db.createTable(
    'people',
    Object.fromEntries(
      (['id', 'name', 'born', 'code'] as const).map((name) => [name, { type: 'VARCHAR' as const, values: rows.map((row) => row[name]) }]),
    ),
  );
  encoder = await Encoder.open(db, 'people', settings);
});
afterAll(() => db.close());

function allPairs(count: number) {
  const [left, right] = [new Int32Array((count * (count - 1)) / 2), new Int32Array((count * (count - 1)) / 2)];
  for (let a = 0, p = 0; a < count; a++) for (let b = a + 1; b < count; b++, p++) [left[p], right[p]] = [a, b];
  return { left, right };
}

describe('a batch', () => {
  test.each(settings.comparisons.map(({ name }, c) => [name, c] as const))(
    'is on the levels that its pairs are on one by one: %s',
    async (_, c) => {
      const data = await prepareKernel(encoder, settings);
      const { left, right } = allPairs(encoder.recordCount);
      const levels = new Uint8Array(left.length);
      decideBatch(compileDeciders(data)[c]!, left, right, left.length, levels);
      const levelOf = compileLevels(data)[c]!;
      expect([...levels]).toEqual(Array.from(left, (a, p) => levelOf(a, right[p]!)));
      expect(new Set(levels).size).toBeGreaterThan(3);
    },
  );

  // Weights that make signatures ask about the first limit, about the last, and about one in between.
  test.each([
    [[0, 6, 5, -3, -3.1, -3.2], 'first'],
    [[0, 6, 5, 4.9, 4.8, -3], 'last'],
    [[0, 6, 5, 4.9, -2.9, -3], 'middle'],
  ])('keeps the pairs whose weights reach the threshold, whatever is asked first: %j (%s)', async (nameWeights) => {
    const data = await prepareKernel(encoder, settings);
    const { left, right } = allPairs(encoder.recordCount);
    const weights = [nameWeights, [0, 4, 3, 1, -1, -2, -4], [0, 3, 2, -2]].map((one) => Float64Array.from(one));
    const source = createPairSource([listSource(encoder.recordCount, left, right)]);
    const job = { kind: 'score', weights, rarity: weights.map(() => []), prior: -2, threshold: 1, undecided: [] } as const;
    const found = await createPool({ threads: 1 }).run({ data, source, job, pairs: left.length });
    const levelOf = compileLevels(data);
    const expected = Array.from(left, (a, p) => ({
      pair: [a, right[p]!],
      weight: weights.reduce((sum, one, c) => sum + one[levelOf[c]!(a, right[p]!)]!, -2),
    })).filter(({ weight }) => weight >= 1);
    expect(Array.from(found.left, (a, p) => ({ pair: [a, found.right[p]!], weight: found.weight[p]! }))).toEqual(expected);
    expect(expected.length).toBeGreaterThan(100);
  });
});
