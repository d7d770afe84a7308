import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { explainTrees, featureUse, parseTrees, predictTrees, serializeTrees, type Trees } from '../../src/evidence/trees.ts';
import { type TreeTraining, trainTrees } from '../../src/evidence/trees-train.ts';

type Toy = Pick<TreeTraining, 'features' | 'rowCount' | 'featureCount' | 'labels'>;

function toy(rows: readonly (readonly number[])[], labels: readonly number[]): Toy {
  return {
    features: Float32Array.from(rows.flat()),
    rowCount: rows.length,
    featureCount: rows[0]!.length,
    labels: Uint8Array.from(labels),
  };
}

function accuracy(trees: Trees, { features, rowCount, labels }: Toy): number {
  const logOdds = predictTrees(trees, features, rowCount);
  return logOdds.filter((score, row) => score > 0 === (labels[row] === 1)).length / rowCount;
}

/** Rows of noise where the label leans on the first two features; about a fifth of the values is missing. */
function noisy(count: number, seed = 1): Toy {
  const draw = random(seed);
  const rows = Array.from({ length: count }, () =>
    Array.from({ length: 5 }, () => (draw.float() < 0.2 ? Number.NaN : Math.round(draw.float() * 50) / 10)),
  );
  return toy(
    rows,
    rows.map(([a, b]) => ((a || 0) + (b || 4) + draw.float() * 2 > 5 ? 1 : 0)),
  );
}

describe('boosted trees', () => {
  const square = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((a) => [0, 1, 2, 3, 4, 5, 6, 7].map((b) => [a, b]));

  test.each([
    { name: 'one threshold needs depth 1', depth: 1, label: ([a]: number[]) => a! > 2, reaches: 1 },
    { name: 'an exclusive or is out of reach of depth 1', depth: 1, label: ([a, b]: number[]) => a! > 3 !== b! > 3, reaches: 0.5 },
    {
      name: 'an exclusive or needs depth 2',
      depth: 2,
      label: ([a, b]: number[]) => a! > 2 !== b! > 4,
      reaches: 1,
    },
  ])('$name', ({ depth, label, reaches }) => {
    const data = toy(
      square,
      square.map((row) => Number(label(row))),
    );
    const trees = trainTrees({ ...data, rounds: 60, depth, minChildWeight: 0.01, learningRate: 0.3 });
    expect(accuracy(trees, data)).toBeCloseTo(reaches, 9);
  });

  test('missing values learn their own side, also when nothing else tells the classes apart', () => {
    const values = [1, 2, 3, 4, Number.NaN, Number.NaN, Number.NaN, Number.NaN];
    for (const [first, last] of [
      [0, 1],
      [1, 0],
    ]) {
      const data = toy(
        values.map((x) => [x]),
        values.map((x) => (Number.isNaN(x) ? last! : first!)),
      );
      const trees = trainTrees({ ...data, rounds: 20, depth: 1, minChildWeight: 0.1, learningRate: 0.3 });
      expect(accuracy(trees, data)).toBe(1);
    }
  });

  test('a strictly increasing change of a feature changes no prediction', () => {
    const data = noisy(300);
    const changed = { ...data, features: data.features.map((x) => Math.exp(x)) };
    const settings = { rounds: 20, depth: 4 };
    const before = predictTrees(trainTrees({ ...data, ...settings }), data.features, data.rowCount);
    expect(predictTrees(trainTrees({ ...changed, ...settings }), changed.features, data.rowCount)).toEqual(before);
  });

  test('equals scikit-learn on the same rows and settings', () => {
    const oracle = JSON.parse(readFileSync('test/oracle/trees/oracle.json', 'utf8')) as {
      features: (number | null)[][];
      labels: number[];
      weights: number[];
      logOdds: number[];
    };
    const data = toy(
      oracle.features.map((row) => row.map((x) => x ?? Number.NaN)),
      oracle.labels,
    );
    const weights = Float32Array.from(oracle.weights);
    const trees = trainTrees({ ...data, weights, rounds: 25, depth: 3, learningRate: 0.1, lambda: 1, minChildWeight: 1e-3 });
    const logOdds = predictTrees(trees, data.features, data.rowCount);
    // Leaf values are float32 here, so 25 of them agree to about 1e-6.
    expect(Math.max(...logOdds.map((score, row) => Math.abs(score - oracle.logOdds[row]!)))).toBeLessThan(1e-5);
  });

  test('the same seed gives the same trees, another seed others', () => {
    const train = (seed: number) =>
      serializeTrees(trainTrees({ ...noisy(400), rounds: 10, depth: 3, subsample: 0.6, columnShare: 0.6, seed }));
    expect(train(5)).toEqual(train(5));
    expect(train(5)).not.toEqual(train(6));
  });

  test('a weight of two counts as the row twice', () => {
    const once = noisy(200);
    const weights = Float32Array.from({ length: 200 }, (_, row) => 1 + (row % 2));
    const rows = Array.from({ length: 200 }, (_, row) => [...once.features.slice(row * 5, row * 5 + 5)]);
    const order = rows.flatMap((_, row) => (row % 2 ? [row, row] : [row]));
    const twice = toy(
      order.map((row) => rows[row]!),
      order.map((row) => once.labels[row]!),
    );
    const settings = { rounds: 10, depth: 3 };
    const weighted = predictTrees(trainTrees({ ...once, ...settings, weights }), once.features, 200);
    const repeated = predictTrees(trainTrees({ ...twice, ...settings }), once.features, 200);
    expect(Math.max(...weighted.map((score, row) => Math.abs(score - repeated[row]!)))).toBeLessThan(1e-6);
  });

  test('held-out rows shape nothing, and patience stops when their loss no longer falls', () => {
    const data = noisy(600);
    const heldOut = Uint8Array.from({ length: 600 }, (_, row) => (row < 200 ? 1 : 0));
    const flipped = { ...data, labels: data.labels.map((label, row) => (row < 200 ? 1 - label : label)) };
    const settings = { rounds: 300, depth: 4, learningRate: 0.3, heldOut };
    expect(serializeTrees(trainTrees({ ...flipped, ...settings, rounds: 5 }))).toEqual(
      serializeTrees(trainTrees({ ...data, ...settings, rounds: 5 })),
    );
    const losses: number[] = [];
    const trees = trainTrees({ ...data, ...settings, patience: 10, onRound: (_, loss) => losses.push(loss) });
    expect(trees.roots.length).toBe(losses.indexOf(Math.min(...losses)) + 1);
    expect(losses.length).toBeLessThan(300);
  });

  test('only features that may be asked are asked, and useless ones hardly', () => {
    const use = featureUse(trainTrees({ ...noisy(500), rounds: 20, depth: 2, minChildWeight: 5 }));
    expect(use[0]! + use[1]!).toBeGreaterThan(use[2]! + use[3]! + use[4]!);
  });

  test('one class alone is refused', () => {
    expect(() => trainTrees(toy([[1], [2]], [1, 1]))).toThrow('only one class');
  });

  const data = noisy(400);
  const trees = trainTrees({ ...data, rounds: 15, depth: 4 });

  test('writing and reading keeps every prediction, bit by bit', () => {
    const again = parseTrees(JSON.parse(JSON.stringify(serializeTrees(trees))));
    expect(again).toEqual(trees);
    expect(() => parseTrees({ ...serializeTrees(trees), featureCount: 1 })).toThrow('feature out of range');
  });

  test('the parts of an explanation sum to the prediction', () => {
    const value = fc.oneof(fc.constant(Number.NaN), fc.double({ min: -1, max: 6, noNaN: true }));
    fc.assert(
      fc.property(fc.array(value, { minLength: 5, maxLength: 5 }), (row) => {
        const features = Float32Array.from(row);
        const parts = explainTrees(trees, features);
        expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(predictTrees(trees, features, 1)[0]!, 5);
      }),
    );
  });
});
