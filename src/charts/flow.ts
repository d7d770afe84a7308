// A graph without circles as SVG, in layers from top to bottom: every node lies below all that lead to it.
//
//   1. layer of a node: the longest way that leads to it; an edge over several layers gets a bend in each it passes
//   2. order within layers: each goes to the mean place of its neighbours, downward and upward by turns; the order with the fewest
//      crossings is kept
//   3. x: each wants the mean x of its neighbours, bends more so than nodes (long edges stay straight); the nearest places that keep the
//      order and the gaps are a weighted monotone regression, solved by pooling
//
// Source: Sugiyama, Tagawa, Toda 1981. Drawn here and not by Vega, whose layouts know trees and forces but no layers.

import { textWidth } from './text-width.ts';
import { fontStack, palette } from './theme.ts';

export type FlowNode = { readonly id: string; readonly label: string /** Drawn with a dashed border. */; readonly isFixed?: boolean };
export type FlowEdge = readonly [from: string, to: string];

type Place = { readonly id: string; readonly layer: number; readonly width: number; readonly node?: FlowNode; order: number; x: number };

const size = { font: 13, height: 34, layerGap: 40, nodeGap: 26, bendGap: 24, margin: 14 };

/** Draws nodes as boxes and edges as lines between them. Nodes come with every node after those that lead to it. */
export function flowSvg(nodes: readonly FlowNode[], edges: readonly FlowEdge[]): string {
  if (nodes.length === 0) return `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n`;
  const { layers, links, chains } = layOut(nodes, edges);
  orderLayers(layers, links);
  placeAcross(layers, links);
  const all = layers.flat();
  const left = Math.min(...all.map(({ x, width }) => x - width / 2));
  const right = Math.max(...all.map(({ x, width }) => x + width / 2));
  const width = Math.ceil(right - left + 2 * size.margin);
  const height = Math.ceil(layers.length * (size.height + size.layerGap) - size.layerGap + 2 * size.margin);
  const at = (place: Place) => ({ x: round(place.x - left + size.margin), y: size.margin + place.layer * (size.height + size.layerGap) });
  const lines = chains.map((chain) => `<path d="${curve(passes(chain.map(at)))}" marker-end="url(#tip)"/>`);
  const boxes = all.flatMap((place) => {
    if (!place.node) return [];
    const { x, y } = at(place);
    const dash = place.node.isFixed ? ' stroke-dasharray="5 3"' : '';
    return [
      `<rect x="${round(x - place.width / 2)}" y="${y}" width="${round(place.width)}" height="${size.height}" rx="7"${dash}/>`,
      `<text x="${x}" y="${y + size.height / 2 + 4.5}">${asXml(place.node.label)}</text>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family='${fontStack}' font-size="${size.font}">`,
    `<rect width="${width}" height="${height}" fill="${palette.paper}"/>`,
    `<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0.5 8 4 0 7.5z" fill="${palette.muted}"/></marker></defs>`,
    `<g fill="none" stroke="${palette.muted}" stroke-width="1.3">${lines.join('')}</g>`,
    `<g fill="#f2f7fa" stroke="${palette.blue}" stroke-width="1.3">${boxes.filter((one) => one.startsWith('<rect')).join('')}</g>`,
    `<g fill="${palette.ink}" text-anchor="middle">${boxes.filter((one) => one.startsWith('<text')).join('')}</g>`,
    '</svg>\n',
  ].join('\n');
}

type Layout = {
  readonly layers: Place[][];
  readonly links: readonly (readonly [Place, Place])[];
  readonly chains: readonly (readonly Place[])[];
};

function layOut(nodes: readonly FlowNode[], edges: readonly FlowEdge[]): Layout {
  const layerOf = new Map(nodes.map(({ id }) => [id, 0]));
  for (const { id } of nodes)
    for (const [from, to] of edges) if (from === id) layerOf.set(to, Math.max(layerOf.get(to)!, layerOf.get(from)! + 1));
  const layers: Place[][] = Array.from({ length: Math.max(0, ...layerOf.values()) + 1 }, () => []);
  const add = (place: Omit<Place, 'order' | 'x'>): Place => {
    const made = { ...place, order: layers[place.layer]!.length, x: 0 };
    layers[place.layer]!.push(made);
    return made;
  };
  const places = new Map(
    nodes.map((node) => {
      const width = textWidth(node.label, size.font) + 28;
      return [node.id, add({ id: node.id, layer: layerOf.get(node.id)!, width, node })];
    }),
  );
  const chains = edges.map(([from, to]) => {
    const [start, end] = [places.get(from)!, places.get(to)!];
    const bends = Array.from({ length: end.layer - start.layer - 1 }, (_, i) =>
      add({ id: `${from} ${to} ${i}`, layer: start.layer + 1 + i, width: 0 }),
    );
    return [start, ...bends, end];
  });
  return { layers, chains, links: chains.flatMap((chain) => chain.slice(1).map((place, i) => [chain[i]!, place] as const)) };
}

function neighbours(links: Layout['links']): { readonly above: ReadonlyMap<Place, Place[]>; readonly below: ReadonlyMap<Place, Place[]> } {
  const [above, below] = [new Map<Place, Place[]>(), new Map<Place, Place[]>()];
  const add = (map: Map<Place, Place[]>, key: Place, value: Place) => map.set(key, [...(map.get(key) ?? []), value]);
  for (const [from, to] of links) {
    add(above, to, from);
    add(below, from, to);
  }
  return { above, below };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function orderLayers(layers: Place[][], links: Layout['links']): void {
  const { above, below } = neighbours(links);
  let best = { crossings: crossings(links), orders: layers.map((layer) => [...layer]) };
  for (let sweep = 0; sweep < 12 && best.crossings > 0; sweep++) {
    const near = sweep % 2 === 0 ? above : below;
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed()) {
      const wish = new Map(layer.map((place) => [place, near.has(place) ? mean(near.get(place)!.map(({ order }) => order)) : place.order]));
      layer.sort((a, b) => wish.get(a)! - wish.get(b)! || a.order - b.order);
      number(layer);
    }
    const now = crossings(links);
    if (now < best.crossings) best = { crossings: now, orders: layers.map((layer) => [...layer]) };
  }
  for (const [i, order] of best.orders.entries()) {
    layers[i] = order;
    number(order);
  }
}

function number(layer: readonly Place[]): void {
  for (const [i, place] of layer.entries()) place.order = i;
}

function crossings(links: Layout['links']): number {
  let count = 0;
  for (const [i, [a, b]] of links.entries())
    for (const [c, d] of links.slice(i + 1)) if (a.layer === c.layer && (a.order - c.order) * (b.order - d.order) < 0) count++;
  return count;
}

function placeAcross(layers: readonly Place[][], links: Layout['links']): void {
  const { above, below } = neighbours(links);
  const all = (place: Place) => [...(above.get(place) ?? []), ...(below.get(place) ?? [])];
  for (const layer of layers) spread(layer, () => 0);
  for (let sweep = 0; sweep < 100; sweep++) {
    const near = sweep >= 8 ? all : (place: Place) => (sweep % 2 === 0 ? above : below).get(place) ?? [];
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed())
      spread(layer, (place) => (near(place).length > 0 ? mean(near(place).map(({ x }) => x)) : place.x));
  }
}

/** Puts a layer's places as near to where they wish to be as their order and gaps allow (least squares). */
function spread(layer: readonly Place[], wish: (place: Place) => number): void {
  let offset = 0;
  const offsets = layer.map((place, i) => {
    const before = layer[i - 1];
    if (before) offset += (before.width + place.width) / 2 + (before.node && place.node ? size.nodeGap : size.bendGap);
    return offset;
  });
  const pools: { sum: number; weight: number; count: number }[] = [];
  for (const [i, place] of layer.entries()) {
    const weight = place.node ? 1 : 4;
    pools.push({ sum: weight * (wish(place) - offsets[i]!), weight, count: 1 });
    for (let last = pools.at(-1)!, prior = pools.at(-2); prior && prior.sum / prior.weight > last.sum / last.weight; prior = pools.at(-2)) {
      pools.pop();
      last = Object.assign(prior, { sum: prior.sum + last.sum, weight: prior.weight + last.weight, count: prior.count + last.count });
    }
  }
  let i = 0;
  for (const { sum, weight, count } of pools) for (let k = 0; k < count; k++, i++) layer[i]!.x = sum / weight + offsets[i]!;
}

type Point = { readonly x: number; readonly y: number; readonly isUpright: boolean };

/**
 * Where an edge passes: the bottom of its first node, each layer between, the top of its last. A bend from which it goes far to a side is
 * passed upright, from top to bottom, or the line would cut the corner of the box beside it.
 */
function passes(chain: readonly { readonly x: number; readonly y: number }[]): readonly Point[] {
  return chain.flatMap(({ x, y }, i): Point[] => {
    const [before, after] = [chain[i - 1], chain[i + 1]];
    if (!before) return [{ x, y: y + size.height, isUpright: true }];
    if (!after) return [{ x, y, isUpright: true }];
    if (Math.max(Math.abs(before.x - x), Math.abs(after.x - x)) < 1.5 * size.layerGap)
      return [{ x, y: y + size.height / 2, isUpright: false }];
    return [y, y + size.height].map((at) => ({ x, y: at, isUpright: true }));
  });
}

/** A smooth line through the points (cubic Hermite pieces, x over y). */
function curve(points: readonly Point[]): string {
  const slope = (i: number) => {
    const [before, after] = [points[i - 1], points[i + 1]];
    return points[i]!.isUpright || !before || !after ? 0 : (after.x - before.x) / (after.y - before.y);
  };
  const pieces = points.slice(1).map(({ x, y, isUpright }, i) => {
    const from = points[i]!;
    const third = (y - from.y) / 3;
    const [x1, x2] = [from.x + slope(i) * third, x - slope(i + 1) * third];
    // Upright ends reach further, or short edges would have a kink there.
    const [y1, y2] = [from.y + (from.isUpright ? 1.5 : 1) * third, y - (isUpright ? 1.5 : 1) * third];
    return `C${round(x1)} ${round(y1)} ${round(x2)} ${round(y2)} ${x} ${y}`;
  });
  return `M${points[0]!.x} ${points[0]!.y}${pieces.join('')}`;
}

const round = (value: number) => Math.round(value * 10) / 10;

const asXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
