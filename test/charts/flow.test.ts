import { describe, expect, test } from 'vitest';

import { type FlowEdge, flowSvg } from '../../src/charts/flow.ts';

const draw = (names: string, edges: readonly FlowEdge[]) =>
  flowSvg(
    names.split(' ').map((id) => ({ id, label: id })),
    edges,
  );

/** Left, top, width and height of each box, in the order of the texts. */
const boxes = (svg: string) =>
  [...svg.matchAll(/<rect x="(-?[\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g)].map(([, x, y, width, height]) => ({
    x: Number(x),
    y: Number(y),
    width: Number(width),
    height: Number(height),
  }));

describe('a graph in layers', () => {
  test('every node lies below what leads to it, and no two boxes touch', () => {
    const edges: FlowEdge[] = [
      ['a', 'b'],
      ['b', 'c'],
      ['a', 'c'],
      ['a', 'd'],
      ['d', 'e'],
      ['c', 'e'],
      ['x', 'e'],
    ];
    const names = 'a b c d x e';
    const places = boxes(draw(names, edges));
    const of = (name: string) =>
      places.length > 0 && [...draw(names, edges).matchAll(/<text[^>]*>(\w+)</g)].findIndex(([, text]) => text === name);
    for (const [from, to] of edges) expect(places[Number(of(to))]!.y).toBeGreaterThan(places[Number(of(from))]!.y);
    for (const [i, one] of places.entries())
      for (const other of places.slice(i + 1))
        if (one.y === other.y)
          expect(Math.abs(one.x + one.width / 2 - other.x - other.width / 2)).toBeGreaterThan((one.width + other.width) / 2);
  });

  test('a chain is drawn straight down', () => {
    const svg = draw('a b c', [
      ['a', 'b'],
      ['b', 'c'],
    ]);
    const middles = boxes(svg).map(({ x, width }) => Math.round(x + width / 2));
    expect(new Set(middles).size).toBe(1);
  });

  test('labels are text, whatever they hold, and a fixed node is dashed', () => {
    const svg = flowSvg([{ id: 'a', label: 'a<b>&c', isFixed: true }], []);
    expect(svg).toContain('>a&lt;b&gt;&amp;c</text>');
    expect(svg).toContain('stroke-dasharray');
    expect(flowSvg([], [])).toMatch(/^<svg .*\/>\n$/);
  });
});
