import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { random } from '../../src/base/random.ts';
import { connectedComponents, meanLinkage, strongLinks } from '../../src/linkage/cluster.ts';

type Link = readonly [number, number, number];

const columns = (links: readonly Link[]) => ({
  left: links.map((link) => link[0]),
  right: links.map((link) => link[1]),
  logOdds: links.map((link) => link[2]),
});

describe('connected components', () => {
  test('strong links are those of at least the weight, in order; one without a weight is none', () => {
    const links = { left: Int32Array.of(0, 1, 2, 3), right: Int32Array.of(4, 5, 6, 7), weight: Float64Array.of(2, 1.9, Number.NaN, 3) };
    expect(strongLinks(links, 2)).toEqual({ left: Int32Array.of(0, 3), right: Int32Array.of(4, 7) });
  });

  test.each([
    { name: 'no records', count: 0, links: [], clusters: [] },
    { name: 'no links', count: 3, links: [], clusters: [0, 1, 2] },
    {
      name: 'a chain is one cluster',
      count: 4,
      links: [
        [3, 2],
        [1, 2],
        [0, 1],
      ],
      clusters: [0, 0, 0, 0],
    },
    {
      name: 'clusters are numbered by their smallest member',
      count: 6,
      links: [
        [4, 5],
        [1, 3],
        [5, 2],
      ],
      clusters: [0, 1, 2, 1, 2, 2],
    },
    {
      name: 'links repeated and turned round change nothing',
      count: 3,
      links: [
        [0, 2],
        [2, 0],
        [2, 0],
      ],
      clusters: [0, 1, 0],
    },
  ])('$name', ({ count, links, clusters }) => {
    const labels = connectedComponents(
      count,
      links.map((link) => link[0]!),
      links.map((link) => link[1]!),
    );
    expect([...labels]).toEqual(clusters);
  });

  test('a chain of 200,000 records needs no recursion', () => {
    const left = Int32Array.from({ length: 199_999 }, (_, i) => 199_998 - i);
    const labels = connectedComponents(
      200_000,
      left,
      left.map((i) => i + 1),
    );
    expect(labels.every((label) => label === 0)).toBe(true);
  });

  test('a link to a record that does not exist is refused', () => {
    expect(() => connectedComponents(2, [0], [2])).toThrow('link 0 joins 0 and 2; records are 0 to 1');
  });
});

describe('mean linkage', () => {
  test.each<{ name: string; count: number; links: Link[]; clusters: number[] }>([
    { name: 'no records', count: 0, links: [], clusters: [] },
    { name: 'one link above zero joins', count: 2, links: [[0, 1, 0.1]], clusters: [0, 0] },
    {
      name: 'a link at zero or below does not',
      count: 4,
      links: [
        [0, 1, 0],
        [2, 3, -1],
      ],
      clusters: [0, 1, 2, 3],
    },
    {
      name: 'the strongest link goes first',
      count: 4,
      links: [
        [0, 1, 5],
        [2, 3, 5],
        [1, 2, 6],
      ],
      clusters: [0, 1, 1, 2],
    },
    {
      name: 'a lone bridge between two pairs does not join them',
      count: 4,
      links: [
        [0, 1, 5],
        [2, 3, 5],
        [1, 2, 4],
      ],
      clusters: [0, 0, 1, 1],
    },
    {
      name: 'a full clique is one cluster',
      count: 4,
      links: [
        [0, 1, 3],
        [0, 2, 3],
        [0, 3, 3],
        [1, 2, 3],
        [1, 3, 3],
        [2, 3, 3],
      ],
      clusters: [0, 0, 0, 0],
    },
    {
      name: 'one weak pair does not split friends',
      count: 3,
      links: [
        [0, 1, 8],
        [1, 2, 8],
        [0, 2, -3],
      ],
      clusters: [0, 0, 0],
    },
    {
      name: 'links are clipped, so one huge link cannot outvote three',
      count: 3,
      links: [
        [0, 1, 7],
        [1, 2, 900],
        [0, 2, -900],
      ],
      clusters: [0, 1, 1],
    },
    {
      name: 'ties go to the lowest members',
      count: 3,
      links: [
        [0, 1, 4],
        [1, 2, 4],
      ],
      clusters: [0, 0, 1],
    },
    {
      name: 'infinite log-odds count as the clip',
      count: 3,
      links: [
        [0, 1, Infinity],
        [1, 2, -Infinity],
      ],
      clusters: [0, 0, 1],
    },
  ])('$name', ({ count, links, clusters }) => {
    expect([...meanLinkage({ count, ...columns(links) })]).toEqual(clusters);
  });

  test('two patients of four records, one wrong link at full strength: stay two clusters', () => {
    const clique = (from: number): Link[] =>
      [0, 1, 2].flatMap((i) => [1, 2, 3].filter((j) => j > i).map((j): Link => [from + i, from + j, 6]));
    const links: Link[] = [...clique(0), ...clique(4), [3, 4, 30]];
    expect([...meanLinkage({ count: 8, ...columns(links), clip: 8 })].slice(0, 3)).toEqual([0, 0, 0]);
    expect(new Set(meanLinkage({ count: 8, ...columns(links), clip: 5 }))).toEqual(new Set([0, 1]));
    expect(new Set(connectedComponents(8, columns(links).left, columns(links).right))).toEqual(new Set([0]));
  });

  test('an infinite penalty keeps two records apart, also through others', () => {
    const links: Link[] = [
      [0, 1, 8],
      [1, 2, 8],
      [0, 2, 8],
    ];
    const clusters = meanLinkage({ count: 3, ...columns(links), forbid: (a, b) => (a === 0 && b === 2 ? Infinity : 0) });
    expect([...clusters]).toEqual([0, 0, 1]);
  });

  test('a soft penalty is overcome by evidence that outweighs it', () => {
    const join = (penalty: number) => [...meanLinkage({ count: 2, left: [0], right: [1], logOdds: [5], forbid: () => penalty })];
    expect(join(4)).toEqual([0, 0]);
    expect(join(6)).toEqual([0, 1]);
  });

  test.each([
    { name: 'different lengths', options: { left: [0], right: [1, 2], logOdds: [1] }, says: 'lengths differ: 1 left, 2 right, 1 log-odds' },
    { name: 'no number', options: { left: [0], right: [1], logOdds: [Number.NaN] }, says: 'link 0 has no log-odds' },
    { name: 'a record and itself', options: { left: [1], right: [1], logOdds: [1] }, says: 'joins record 1 to itself' },
    { name: 'a reward for unseen pairs', options: { left: [0], right: [1], logOdds: [1], unseen: 1 }, says: 'unseen is above 0' },
    { name: 'no clip', options: { left: [0], right: [1], logOdds: [1], clip: Infinity }, says: 'clip is not a positive number' },
    {
      name: 'a negative penalty',
      options: { left: [0], right: [1], logOdds: [1], forbid: () => -1 },
      says: 'penalty is not a number from 0 up',
    },
  ])('refuses $name', ({ options, says }) => {
    expect(() => meanLinkage({ count: 3, ...options })).toThrow(says);
  });

  // Quarters add without rounding, so that the two implementations compare the same numbers.
  const count = 9;
  const quarters = fc.integer({ min: -40, max: 40 }).map((x) => x / 4);
  const links = fc
    .uniqueArray(fc.tuple(fc.nat(count - 1), fc.nat(count - 1), quarters), {
      maxLength: 30,
      selector: ([a, b]) => Math.min(a, b) * count + Math.max(a, b),
    })
    .map((all) => all.filter(([a, b]) => a !== b));
  const penalties = fc.array(fc.constantFrom(0, 0, 0, 2.5, Infinity), { minLength: count * count, maxLength: count * count });

  test('equals the definition, worked out the slow way', () => {
    fc.assert(
      fc.property(links, penalties, (all, table) => {
        const forbid = (a: number, b: number) => table[a * count + b]!;
        expect([...meanLinkage({ count, ...columns(all), forbid })]).toEqual(slowMeanLinkage(count, all, forbid));
      }),
      { numRuns: 500 },
    );
  });

  test('the order of the pairs and of their ends does not matter', () => {
    fc.assert(
      fc.property(links, fc.nat(), (all, seed) => {
        const turned = random(seed)
          .shuffle(all)
          .map(([a, b, value], i): Link => (i % 2 ? [a, b, value] : [b, a, value]));
        expect(meanLinkage({ count, ...columns(turned) })).toEqual(meanLinkage({ count, ...columns(all) }));
      }),
    );
  });

  test('forbidden pairs are never together and clusters refine the closure of positive links', () => {
    fc.assert(
      fc.property(links, penalties, (all, table) => {
        const clusters = meanLinkage({ count, ...columns(all), forbid: (a, b) => table[a * count + b]! });
        const positive = columns(all.filter((link) => link[2] > 0));
        const closure = connectedComponents(count, positive.left, positive.right);
        for (let a = 0; a < count; a++) {
          for (let b = a + 1; b < count; b++) {
            if (clusters[a] !== clusters[b]) continue;
            expect(table[a * count + b]).not.toBe(Infinity);
            expect(closure[a]).toBe(closure[b]);
          }
        }
      }),
    );
  });

  test('every record is in one cluster and clusters are numbered by smallest member', () => {
    fc.assert(
      fc.property(links, (all) => {
        const clusters = [...meanLinkage({ count, ...columns(all) })];
        const firstSeen = [...new Set(clusters)];
        expect(clusters).toHaveLength(count);
        expect(firstSeen).toEqual(firstSeen.map((_, i) => i));
      }),
    );
  });

  test('a pair given twice counts once, at its higher value', () => {
    expect([
      ...meanLinkage({
        count: 3,
        ...columns([
          [0, 1, 3],
          [1, 0, 6],
          [1, 2, 4],
          [1, 2, 4],
          [1, 2, 4],
        ]),
      }),
    ]).toEqual([0, 0, 1]);
  });

  test('100,000 records in groups of five with noise between them come out as their groups', () => {
    const draw = random(7);
    const all: Link[] = [];
    for (let group = 0; group < 20_000; group++) {
      for (let i = 0; i < 5; i++) for (let j = i + 1; j < 5; j++) all.push([group * 5 + i, group * 5 + j, 2 + draw.float() * 6]);
    }
    for (let k = 0; k < 100_000; k++) {
      const [a, b] = [draw.integer(0, 99_999), draw.integer(0, 99_999)];
      if (Math.floor(a / 5) !== Math.floor(b / 5)) all.push([a, b, draw.float() * 2 - 1.5]);
    }
    const clusters = meanLinkage({ count: 100_000, ...columns(all) });
    expect(clusters.every((cluster, record) => cluster === Math.floor(record / 5))).toBe(true);
  });
});

/** Mean linkage by its definition: all cluster pairs, all cross pairs, every round. */
function slowMeanLinkage(count: number, links: readonly Link[], forbid: (a: number, b: number) => number): number[] {
  const value = (x: number, y: number) => {
    const [a, b] = [Math.min(x, y), Math.max(x, y)];
    const link = links.find((one) => Math.min(one[0], one[1]) === a && Math.max(one[0], one[1]) === b);
    return (link ? Math.max(-8, Math.min(8, link[2])) : -8) - forbid(a, b);
  };
  let clusters = Array.from({ length: count }, (_, i) => [i]);
  for (;;) {
    let best = { score: 0, a: -1, b: -1 };
    for (let a = 0; a < clusters.length; a++) {
      for (let b = a + 1; b < clusters.length; b++) {
        const pairs = clusters[a]!.flatMap((x) => clusters[b]!.map((y) => value(x, y)));
        const score = pairs.reduce((sum, one) => sum + one, 0) / pairs.length;
        if (score > best.score) best = { score, a, b };
      }
    }
    if (best.a < 0) break;
    // Clusters stay in order of their smallest member, so the first best pair is the lowest one.
    clusters[best.a] = [...clusters[best.a]!, ...clusters[best.b]!].sort((x, y) => x - y);
    clusters = clusters.filter((_, i) => i !== best.b);
  }
  const labels = new Array<number>(count);
  clusters.forEach((members, label) => {
    for (const member of members) labels[member] = label;
  });
  return labels;
}
