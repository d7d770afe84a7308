// A graph as text. Every stage has a row, in the order in which they run; lines go down from a stage to all that read from it:
//
//   ●     prepare
//   │
//   ├──●  features        features reads prepare, which is read again below
//   │  │
//   ●──┘  train           train reads both
//
// A stage takes over the column of one that nothing else reads any more, so that a chain is a straight line. A line that only passes
// through a row is drawn unbroken; what joins or leaves it has a corner or a tee.

import type { Graph } from './graph.ts';

/** The graph drawn with line characters, one row a stage. */
export function dagText(graph: Graph, names: readonly string[]): string {
  const shown = new Set(names);
  /** What of a column's stage is still to be drawn: its readers. */
  const lanes: ({ readonly name: string; readonly readers: Set<string> } | undefined)[] = [];
  const rows: { readonly drawn: string; readonly name: string }[] = [];
  for (const name of names) {
    const feeding = lanes.flatMap((lane, column) => (lane?.readers.delete(name) ? [column] : []));
    const ending = feeding.filter((column) => lanes[column]!.readers.size === 0);
    const from = feeding.at(-1) ?? -1;
    const free = lanes.findIndex((lane, column) => column > from && lane === undefined);
    const at = ending[0] ?? (free < 0 ? lanes.length : free);
    const [first, last] = [Math.min(at, ...feeding), Math.max(at, ...feeding)];
    const row: string[] = [];
    for (let column = 0; column <= Math.max(last, lanes.length - 1); column++) {
      const lane = lanes[column];
      const joins = feeding.includes(column);
      const ends = ending.includes(column);
      const across = column > first && column < last;
      const mark = column === at ? '●' : joins ? corner({ ends, across, isLeft: column < at }) : lane ? '│' : across ? '─' : ' ';
      row.push(mark + (column >= first && column < last ? '──' : '  '));
    }
    rows.push({ drawn: row.join(''), name });
    for (const column of ending) lanes[column] = undefined;
    const readers = new Set(graph.downstream.get(name)!.filter((one) => shown.has(one)));
    lanes[at] = readers.size > 0 ? { name, readers } : undefined;
    while (lanes.length > 0 && lanes.at(-1) === undefined) lanes.pop();
    rows.push({ drawn: lanes.map((lane) => (lane ? '│  ' : '   ')).join(''), name: '' });
  }
  const width = Math.max(0, ...rows.map(({ drawn }) => drawn.trimEnd().length));
  return rows
    .slice(0, -1)
    .map(({ drawn, name }) => `${drawn.trimEnd().padEnd(width)}  ${name}`.trimEnd())
    .join('\n');
}

function corner({ ends, across, isLeft }: { readonly ends: boolean; readonly across: boolean; readonly isLeft: boolean }): string {
  if (across) return ends ? '┴' : '┼';
  if (isLeft) return ends ? '└' : '├';
  return ends ? '┘' : '┤';
}

/** A flowchart of Mermaid, which GitHub and others draw from Markdown. */
export function dagMermaid(graph: Graph, names: readonly string[]): string {
  const ids = new Map(names.map((name, i) => [name, `node${i + 1}`]));
  const nodes = names.map((name) => `\t${ids.get(name)}["${name}"]`);
  return ['flowchart TD', ...nodes, ...edgesOf(graph, names).map(([from, to]) => `\t${ids.get(from)}-->${ids.get(to)}`)].join('\n');
}

/** A graph for Graphviz. */
export function dagDot(graph: Graph, names: readonly string[]): string {
  const quoted = (name: string) => `"${name.replaceAll('"', '\\"')}"`;
  const edges = edgesOf(graph, names).map(([from, to]) => `  ${quoted(from)} -> ${quoted(to)};`);
  return ['strict digraph {', ...names.map((name) => `  ${quoted(name)};`), ...edges, '}'].join('\n');
}

/** Pairs of stages, the first read by the second. */
export function edgesOf(graph: Graph, names: readonly string[]): readonly (readonly [string, string])[] {
  const shown = new Set(names);
  return names.flatMap((from) =>
    graph.downstream
      .get(from)!
      .filter((to) => shown.has(to))
      .map((to) => [from, to] as const),
  );
}
