import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { buildGraph, selectStages } from '../../src/pipeline/graph.ts';
import type { Stage } from '../../src/pipeline/stage.ts';
import { home, stage } from './stages.ts';

const order = (stages: readonly Stage[]) => buildGraph(stages, home).stages.map(({ name }) => name);

describe('the graph of a pipeline', () => {
  test.each([
    ['equals the dependency', 'data.csv', 'data.csv'],
    ['holds the dependency', 'data', 'data/deep/x.csv'],
    ['lies inside the dependency', 'data/deep/x.csv', 'data'],
    ['is written another way', './data/../data', 'data/'],
  ])('an output feeds a dependency when it %s', (_, output, dependency) => {
    const graph = buildGraph([stage('reads', { dependencies: [dependency] }), stage('writes', { out: [output] })], home);
    expect(graph.stages.map(({ name }) => name)).toEqual(['writes', 'reads']);
    expect(graph.upstream.get('reads')).toEqual(['writes']);
    expect(graph.downstream.get('writes')).toEqual(['reads']);
  });

  test('names that only begin alike are apart', () => {
    const graph = buildGraph([stage('reads', { dependencies: ['data-2'] }), stage('writes', { out: ['data'] })], home);
    expect(graph.upstream.get('reads')).toEqual([]);
  });

  test('paths start at the workdir of each stage', () => {
    const stages = [stage('b', { workdir: `${home}/deep`, dependencies: ['../x'] }), stage('a', { out: ['x'] })];
    expect(order(stages)).toEqual(['a', 'b']);
  });

  test('a file of parameters that a stage writes comes before those that read it', () => {
    expect(order([stage('b', { parameters: [{ file: 'found.yaml', keys: ['x'] }] }), stage('a', { out: ['found.yaml'] })])).toEqual([
      'a',
      'b',
    ]);
  });

  test('without edges the order is that of the file', () => {
    expect(order(['z', 'a', 'm'].map((name) => stage(name)))).toEqual(['z', 'a', 'm']);
  });

  test.each<[string, readonly Stage[], RegExp]>([
    ['the same output twice', [stage('a', { out: ['x'] }), stage('b', { out: ['./x'] })], /a and b/],
    ['an output inside another', [stage('a', { out: ['x'] }), stage('b', { out: ['x/y'] })], /x\/y of b in x of a/],
    ['an output that holds dvc.yaml', [stage('a', { out: ['..'] })], /holds dvc.yaml itself: a/],
    ['a stage that reads its output', [stage('a', { dependencies: ['x'], out: ['x/y'] })], /its own output: a/],
    [
      'a circle',
      [
        stage('a', { dependencies: ['c'], out: ['a'] }),
        stage('b', { dependencies: ['a'], out: ['b'] }),
        stage('c', { dependencies: ['b'], out: ['c'] }),
      ],
      /a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c/,
    ],
  ])('%s is refused with the stages named', (_, stages, says) => {
    expect(() => buildGraph(stages, home)).toThrow(says);
  });

  test('a chain of 20,000 stages is no trouble', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => stage(`s${i}`, { dependencies: [`o${i - 1}`], out: [`o${i}`] }));
    expect(order(chain).at(-1)).toBe('s19999');
  });

  test('every stage comes after those that feed it, whatever the file order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 12 }),
        fc.array(fc.tuple(fc.nat(11), fc.nat(11))),
        fc.infiniteStream(fc.nat()),
        (count, edges, keys) => {
          const stages = Array.from({ length: count }, (_, i) =>
            stage(`s${i}`, {
              out: [`o${i}`],
              dependencies: edges.filter(([from, to]) => to === i && from < to && from < count).map(([from]) => `o${from}`),
            }),
          );
          const shuffled = stages
            .map((one) => ({ one, key: keys.next().value }))
            .sort((a, b) => a.key - b.key)
            .map(({ one }) => one);
          const graph = buildGraph(shuffled, home);
          const place = new Map(graph.stages.map(({ name }, i) => [name, i]));
          for (const [name, from] of graph.upstream) for (const one of from) expect(place.get(one)!).toBeLessThan(place.get(name)!);
          expect(graph.stages).toHaveLength(count);
        },
      ),
    );
  });
});

describe('targets', () => {
  const graph = buildGraph(
    [
      stage('get', { out: ['raw'] }),
      stage('train@small', { dependencies: ['raw'], out: ['model/small'] }),
      stage('train@large', { dependencies: ['raw'], out: ['model/large'] }),
      stage('pin', { dependencies: ['model/small'], out: ['pinned'], frozen: true }),
      stage('report', { dependencies: ['model', 'pinned'], out: ['report.md'] }),
      stage('other'),
    ],
    home,
  );

  test.each<[string, Parameters<typeof selectStages>[2], readonly string[]]>([
    ['none: all', {}, ['get', 'train@small', 'train@large', 'pin', 'report', 'other']],
    ['a stage with all that leads to it', { targets: ['train@small'] }, ['get', 'train@small']],
    ['all of a loop', { targets: ['train'] }, ['get', 'train@small', 'train@large']],
    ['the path of an output', { targets: ['model/large'] }, ['get', 'train@large']],
    ['a frozen stage pulls in nothing', { targets: ['pin'] }, ['pin']],
    ['downstream: from it onward', { targets: ['train@small'], downstream: true }, ['train@small', 'report']],
    ['single item: it alone', { targets: ['report'], singleItem: true }, ['report']],
    ['several', { targets: ['other', 'get'] }, ['get', 'other']],
    ['the file itself', { targets: ['dvc.yaml'] }, ['get', 'train@small', 'train@large', 'pin', 'report', 'other']],
  ])('%s', (_, selection, names) => {
    expect(selectStages(graph, home, selection).map(({ name }) => name)).toEqual(names);
  });

  test.each([
    ['reprot', /no such stage or output: reprot; did you mean report\?/],
    ['sub/dvc.yaml:train', /only stages of one dvc.yaml/],
  ])('%s is unknown, and something is said that helps', (target, says) => {
    expect(() => selectStages(graph, home, { targets: [target] })).toThrow(says);
  });
});
