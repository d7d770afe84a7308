import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type BestLinksOptions, bestLinks } from '../../src/linkage/best-links.ts';

const oracle = resolve(import.meta.dirname, '../oracle/splink-sources');

describe('single best links', () => {
  const cases: readonly (Omit<BestLinksOptions, 'count'> & { readonly name: string; readonly clusters: readonly number[] })[] = [
    { name: 'the better of two', left: [0, 0], right: [1, 2], probability: [0.9, 0.8], source: [0, 1, 1], clusters: [0, 0, 1] },
    { name: 'a tie: the lowest', left: [0, 0], right: [2, 1], probability: [0.9, 0.9], source: [0, 1, 1], clusters: [0, 0, 1] },
    { name: 'a tie: none', left: [0, 0], right: [2, 1], probability: [0.9, 0.9], source: [0, 1, 1], ties: 'drop', clusters: [0, 1, 2] },
    {
      name: 'a tie with a weaker link',
      left: [0, 0, 0],
      right: [1, 2, 3],
      probability: [0.9, 0.9, 0.8],
      source: [0, 1, 1, 1],
      ties: 'drop',
      clusters: [0, 1, 2, 0],
    },
    {
      name: 'a tie between sources is none',
      left: [0, 0],
      right: [1, 2],
      probability: [0.9, 0.9],
      source: [0, 1, 2],
      ties: 'drop',
      clusters: [0, 0, 0],
    },
    {
      name: 'a link given twice is no tie',
      left: [0, 1],
      right: [1, 0],
      probability: [0.9, 0.9],
      source: [0, 1],
      ties: 'drop',
      clusters: [0, 0],
    },
    {
      name: 'sources with duplicates do not compete',
      left: [0, 0],
      right: [1, 2],
      probability: [0.9, 0.8],
      source: [0, -1, -1],
      clusters: [0, 0, 0],
    },
    { name: 'best only if mutual', left: [0, 1], right: [2, 2], probability: [0.8, 0.9], source: [0, 0, 1], clusters: [0, 1, 1] },
    { name: 'no links', left: [], right: [], probability: [], source: [0, 0], clusters: [0, 1] },
  ];
  test.each(cases)('$name', ({ name: _, clusters, ...options }) => {
    expect([...bestLinks({ ...options, count: clusters.length })]).toEqual(clusters);
  });

  const edges = readFileSync(join(oracle, 'edges.csv'), 'utf8').trim().split('\n').slice(1);
  const names = [...new Set(edges.flatMap((line) => [2, 4].map((at) => `${line.split(',')[at - 1]}-__-${line.split(',')[at]}`)))].sort();
  type Case = { ties: 'lowest_id' | 'drop'; duplicateFree: string[]; threshold: number | null; clusters: string[][] };
  const found = JSON.parse(readFileSync(join(oracle, 'best-links.json'), 'utf8')) as Case[];
  test.each(found)('as Splink 5.0.0: ties $ties, duplicate-free $duplicateFree, threshold $threshold', (one) => {
    const links = edges.map((line) => line.split(',')).filter(([probability]) => Number(probability) >= (one.threshold ?? 0));
    const row = (source: string, id: string) => names.indexOf(`${source}-__-${id}`);
    const cluster = bestLinks({
      count: names.length,
      left: links.map(([, source, id]) => row(source!, id!)),
      right: links.map(([, , , source, id]) => row(source!, id!)),
      probability: links.map(([probability]) => Number(probability)),
      source: names.map((name) => one.duplicateFree.indexOf(name[0]!)),
      ties: one.ties,
    });
    const groups = new Map<number, string[]>();
    for (const [record, name] of names.entries()) groups.set(cluster[record]!, [...(groups.get(cluster[record]!) ?? []), name]);
    expect([...groups.values()].filter((group) => group.length > 1)).toEqual(one.clusters);
  });

  test('no cluster holds two records of a duplicate-free source, whatever the links', () => {
    const link = fc.tuple(fc.nat(11), fc.nat(11), fc.constantFrom(0.5, 0.7, 0.9));
    fc.assert(
      fc.property(
        fc.array(link, { maxLength: 40 }),
        fc.array(fc.integer({ min: -1, max: 2 }), { minLength: 12, maxLength: 12 }),
        fc.boolean(),
        (links, source, drop) => {
          const cluster = bestLinks({
            count: 12,
            left: links.map(([a]) => a),
            right: links.map(([, b]) => b),
            probability: links.map(([, , p]) => p),
            source,
            ties: drop ? 'drop' : 'lowest_id',
          });
          const seen = new Set<string>();
          cluster.forEach((one, record) => {
            if (source[record]! < 0) return;
            expect(seen.has(`${one} ${source[record]}`)).toBe(false);
            seen.add(`${one} ${source[record]}`);
          });
        },
      ),
    );
  });
});
