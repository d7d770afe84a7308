import type { ChartSpec } from './render.ts';
import { palette } from './theme.ts';

export type NetworkNode = { readonly id: string; readonly label: string; readonly group: number };
export type NetworkLink = { readonly from: string; readonly to: string; readonly kind: 'accepted' | 'rejected' | 'unseen' };
export type NetworkPanel = { readonly title: string; readonly nodes: readonly NetworkNode[]; readonly links: readonly NetworkLink[] };

/** Records on a circle, links between them; nodes of one group share a fill. Panels keep every node in its place. */
export function networkChart(panels: readonly NetworkPanel[]): ChartSpec {
  return { hconcat: panels.map(panel), spacing: 30 } as unknown as ChartSpec;
}

const groupColours = [palette.blue, palette.orange, '#6b7a89', '#8c5aa8', '#3f8f6b', '#a34a5b'];
const linkStyles = {
  accepted: { color: palette.blue, width: 2.6, dash: [1, 0], label: 'evidence for: joined' },
  rejected: { color: palette.orange, width: 1.3, dash: [5, 4], label: 'evidence against, or outweighed' },
  unseen: { color: palette.faint, width: 1, dash: [1, 4], label: 'never compared' },
};

function panel({ title, nodes, links }: NetworkPanel) {
  const places = new Map(nodes.map((node, i) => [node.id, place(i, nodes.length)]));
  const scale = { domain: [-1.3, 1.3] };
  const x = { field: 'x', type: 'quantitative', scale, axis: null };
  const y = { field: 'y', type: 'quantitative', scale, axis: null };
  const lines = (Object.keys(linkStyles) as NetworkLink['kind'][]).toReversed().flatMap((kind) => {
    const style = linkStyles[kind];
    const values = links
      .filter((link) => link.kind === kind)
      .map((link) => ({ ...places.get(link.from)!, x2: places.get(link.to)!.x, y2: places.get(link.to)!.y }));
    if (values.length === 0) return [];
    const mark = { type: 'rule', color: style.color, strokeWidth: style.width, strokeDash: style.dash };
    return [{ data: { values }, mark, encoding: { x, y, x2: { field: 'x2' }, y2: { field: 'y2' } } }];
  });
  const points = nodes.map((node) => ({ ...node, ...places.get(node.id)!, colour: groupColours[node.group % groupColours.length] }));
  return {
    title,
    width: 290,
    height: 270,
    layer: [
      ...lines,
      {
        data: { values: points },
        mark: { type: 'point', size: 900, stroke: 'white', strokeWidth: 2 },
        encoding: { x, y, color: { field: 'colour', scale: null } },
      },
      {
        data: { values: points },
        mark: { type: 'text', fontWeight: 600, color: 'white', fontSize: 13 },
        encoding: { x, y, text: { field: 'label' } },
      },
    ],
  };
}

function place(i: number, count: number): { readonly x: number; readonly y: number } {
  const angle = Math.PI / 2 - (2 * Math.PI * i) / Math.max(1, count);
  return { x: Math.round(Math.cos(angle) * 1000) / 1000, y: Math.round(Math.sin(angle) * 1000) / 1000 };
}

/** The key to the links, for a caption: what each kind of line means. */
export const linkLegend: readonly { readonly kind: NetworkLink['kind']; readonly label: string; readonly color: string }[] = (
  Object.keys(linkStyles) as NetworkLink['kind'][]
).map((kind) => ({ kind, label: linkStyles[kind].label, color: linkStyles[kind].color }));
