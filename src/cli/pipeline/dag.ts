import type { Command } from 'commander';
import { z } from 'zod';

import { writeText } from '../../base/files.ts';
import { flowSvg } from '../../charts/flow.ts';
import { dagDot, dagMermaid, dagText, edgesOf } from '../../pipeline/dag-text.ts';
import { selectStages } from '../../pipeline/graph.ts';
import { openPipeline } from '../../pipeline/workplace.ts';
import { verb } from '../verb.ts';
import { cwdOption } from './options.ts';
import { cwdSchema, targetsSchema } from './schemas.ts';

const schema = z.strictObject({
  stage: targetsSchema,
  cwd: cwdSchema,
  mermaid: z.boolean().default(false),
  dot: z.boolean().default(false),
  svg: z.string().min(1).optional(),
});

/** `clinfuse dag`: how the stages of a dvc.yaml hang together. */
export function dagCommand(): Command {
  return verb({
    name: 'dag',
    argument: { name: 'stage', help: 'stages, with all that leads to them (default: all of dvc.yaml)', list: true },
    summary: 'how the stages of a dvc.yaml hang together',
    example: 'clinfuse dag --svg pipeline.svg',
    options: [
      cwdOption,
      { flags: '--mermaid', help: 'as a flowchart for Markdown' },
      { flags: '--dot', help: 'as a graph for Graphviz' },
      { flags: '--svg <file>', help: 'as a picture' },
    ],
    schema,
    run: async ({ stage: targets, cwd, mermaid, dot, svg }) => {
      const { graph, pipeline } = openPipeline(cwd);
      const stages = selectStages(graph, pipeline.folder, { targets });
      const names = stages.map(({ name }) => name);
      const edges = edgesOf(graph, names);
      const json = { stages: names, edges };
      if (svg !== undefined) {
        const nodes = stages.map(({ name, frozen }) => ({ id: name, label: name, isFixed: frozen }));
        await writeText(svg, flowSvg(nodes, edges));
        return { json: { ...json, svg }, text: `${names.length} stages drawn in ${svg}` };
      }
      return { json, text: (mermaid ? dagMermaid : dot ? dagDot : dagText)(graph, names) };
    },
  });
}
