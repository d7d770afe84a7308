import { describe, expect, test } from 'vitest';

import { dagDot, dagMermaid, dagText } from '../../src/pipeline/dag-text.ts';
import { buildGraph } from '../../src/pipeline/graph.ts';
import { home, stage } from './stages.ts';

/** `b < a` reads: b reads a. */
function graphOf(...lines: readonly string[]) {
  const stages = lines.map((line) => {
    const [name, from = ''] = line.split(' < ');
    return stage(name!, { out: [name!], dependencies: from.split(' ').filter(Boolean) });
  });
  const graph = buildGraph(stages, home);
  return { graph, names: graph.stages.map(({ name }) => name) };
}

function drawn(...lines: readonly string[]): readonly string[] {
  const { graph, names } = graphOf(...lines);
  return dagText(graph, names).split('\n');
}

describe('a graph as text', () => {
  test('a chain is a straight line', () => {
    expect(drawn('a', 'b < a', 'c < b')).toEqual(['●  a', '│', '●  b', '│', '●  c']);
  });

  test('what is read twice goes on', () => {
    expect(drawn('a', 'b < a', 'c < a b')).toEqual(['●     a', '│', '├──●  b', '│  │', '●──┘  c']);
  });

  test('stages that have nothing to do with each other are apart', () => {
    expect(drawn('a', 'b')).toEqual(['●  a', '', '●  b']);
  });

  test('a line that passes by is not broken', () => {
    expect(drawn('a', 'b', 'c', 'd < a c', 'e < b d')).toEqual([
      '●        a',
      '│',
      '│  ●     b',
      '│  │',
      '│  │  ●  c',
      '│  │  │',
      '●──│──┘  d',
      '│  │',
      '●──┘     e',
    ]);
  });

  test('as Mermaid and for Graphviz', () => {
    const { graph, names } = graphOf('a', 'b@1-x < a');
    expect(dagMermaid(graph, names)).toBe('flowchart TD\n\tnode1["a"]\n\tnode2["b@1-x"]\n\tnode1-->node2');
    expect(dagDot(graph, names)).toBe('strict digraph {\n  "a";\n  "b@1-x";\n  "a" -> "b@1-x";\n}');
  });
});
