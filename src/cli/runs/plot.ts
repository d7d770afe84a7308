import type { Command } from 'commander';
import { z } from 'zod';

import { panelsOf, plotRuns, plotText } from '../../apps/runs/plot.ts';
import { verb } from '../verb.ts';
import { runArgument, runsNamed, runsSchema, storeOption, storeSchema } from './options.ts';

/** `clinfuse runs plot`: learning curves, as a picture and in the terminal. */
export function plotCommand(): Command {
  return verb({
    name: 'plot',
    argument: runArgument,
    summary: 'learning curves of one or more runs, in the terminal or as a picture',
    example: 'clinfuse runs plot rank-8 rank-16 --metric eval_loss --out curves.svg',
    options: [
      { flags: '--out <file>', help: '.svg, .png, or .json for the Vega-Lite specification; without it, only the terminal' },
      { flags: '--metric <key...>', help: 'what to draw (default: loss and eval_loss)' },
      storeOption,
    ],
    schema: z.strictObject({
      run: runsSchema,
      runs: storeSchema,
      out: z.string().min(1).optional(),
      metric: z.array(z.string()).optional(),
    }),
    run: async ({ run, runs: store, out, metric }) => {
      const runs = runsNamed('plot', run, store);
      const panels = panelsOf(runs, metric);
      if (out !== undefined) await plotRuns(runs, { out, ...(metric && { metrics: metric }) });
      const drawn = plotText(panels, { width: Math.max(20, Math.min(100, (process.stdout.columns || 80) - 14)) });
      return { text: out === undefined ? drawn : `${drawn}\n\nPicture: ${out}`, json: { ...(out !== undefined && { out }), panels } };
    },
  });
}
