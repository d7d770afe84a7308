import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { pairwiseFromClusters, pairwiseFromEdges, truePairCount } from '../../src/evaluation/pairwise.ts';

type Partition = { predicted: number[]; truth: number[]; truePositives: number; falsePositives: number; falseNegatives: number };
const oracle = JSON.parse(readFileSync('test/oracle/evaluation/scikit-learn.json', 'utf8')) as { partitions: Partition[] };

describe('pairwise scores of clusters', () => {
  test.each([
    { name: 'the worked case', predicted: 'xxyy', truth: '1112', counts: [1, 1, 2], f1: 0.4 },
    { name: 'all right', predicted: 'xxyz', truth: '1123', counts: [1, 0, 0], f1: 1 },
    { name: 'all apart', predicted: 'abcd', truth: '1111', counts: [0, 0, 6], f1: 0 },
    { name: 'all together', predicted: 'aaaa', truth: '1234', counts: [0, 6, 0], f1: 0 },
    { name: 'nothing to find and nothing claimed scores 0, as the reference', predicted: 'ab', truth: '12', counts: [0, 0, 0], f1: 0 },
    { name: 'no records', predicted: '', truth: '', counts: [0, 0, 0], f1: 0 },
  ])('$name', ({ predicted, truth, counts, f1 }) => {
    const score = pairwiseFromClusters([...predicted], [...truth]);
    expect([score.truePositives, score.falsePositives, score.falseNegatives]).toEqual(counts);
    expect(score.f1).toBeCloseTo(f1, 12);
  });

  test.each(oracle.partitions)('counts as scikit-learn pair_confusion_matrix', ({ predicted, truth, ...counts }) => {
    expect(pairwiseFromClusters(predicted, truth)).toMatchObject(counts);
  });

  test('swapping the two partitions swaps precision and recall', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(5))), (pairs) => {
        const [a, b] = [pairs.map((p) => p[0]), pairs.map((p) => p[1])];
        expect(pairwiseFromClusters(a, b).precision).toBe(pairwiseFromClusters(b, a).recall);
      }),
    );
  });
});

describe('pairwise scores of edges', () => {
  test('edges are scored as they stand, clusters by all they imply', () => {
    const truth = ['p', 'p', 'p', 'q'];
    const edges = { left: [0, 1, 2], right: [1, 2, 3] };
    expect(pairwiseFromEdges({ ...edges, truth })).toMatchObject({ truePositives: 2, falsePositives: 1, falseNegatives: 1 });
    expect(pairwiseFromClusters([0, 0, 0, 0], truth)).toMatchObject({ truePositives: 3, falsePositives: 3, falseNegatives: 0 });
  });

  test('a pair given twice or turned round counts once', () => {
    expect(pairwiseFromEdges({ left: [0, 1, 0], right: [1, 0, 1], truth: [7, 7] })).toMatchObject({ truePositives: 1, falsePositives: 0 });
  });

  test('all edges inside clusters score as the clusters', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 20 }), (records) => {
        const [clusters, truth] = [records.map((r) => r[0]), records.map((r) => r[1])];
        const left: number[] = [];
        const right: number[] = [];
        for (let a = 0; a < clusters.length; a++) {
          for (let b = a + 1; b < clusters.length; b++) {
            if (clusters[a] !== clusters[b]) continue;
            left.push(a);
            right.push(b);
          }
        }
        expect(pairwiseFromEdges({ left, right, truth })).toEqual(pairwiseFromClusters(clusters, truth));
      }),
    );
  });

  test('true pairs are counted per patient', () => {
    expect(truePairCount(['a', 'b', 'a', 'a', 'b', 'c'])).toBe(4);
  });
});
