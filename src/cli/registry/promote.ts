import type { Command } from 'commander';
import { z } from 'zod';

import { promoteStage } from '../../apps/registry/promote.ts';
import { verb } from '../verb.ts';
import { mirrorDecision } from './mirror.ts';
import { registryOption, registrySchema } from './options.ts';

const path = z.string().min(1);
const schema = z.strictObject({
  name: path,
  candidate: path,
  metrics: path,
  metric: path,
  higherIsBetter: z.stringbool({ error: 'not true or false' }).optional(),
  dataset: path.optional(),
  run: path.optional(),
  predictions: path.optional(),
  acrossData: z.boolean().default(false),
  registry: registrySchema,
  out: path,
});

/** `clinfuse registry promote`: registers a candidate and lets it be the champion if it is no worse. */
export function promoteCommand(): Command {
  return verb({
    name: 'promote',
    summary: 'registers a model; it becomes the champion if it is no worse',
    example:
      'clinfuse registry promote --name evidence --candidate evidence.json --metrics metrics.json --metric f1 --out promotion_decision.json',
    options: [
      { flags: '--name <model>', help: 'registered model', required: true },
      { flags: '--candidate <path>', help: 'file or folder; the registry keeps a copy', required: true },
      { flags: '--metrics <file>', help: 'JSON with the candidate’s eval_* figures', required: true },
      { flags: '--metric <name>', help: 'the figure that decides', default: 'f1' },
      { flags: '--higher-is-better <true|false>', help: 'default: not for names that hold loss or perplexity' },
      { flags: '--dataset <path>', help: 'what it was evaluated on, for its fingerprint (default: "dataset" of the metrics file)' },
      { flags: '--across-data', help: 'compare though the champion was evaluated on other data' },
      { flags: '--predictions <file>', help: 'its answers (label, prediction, id or row): tested against the champion’s, pair by pair' },
      { flags: '--run <id>', help: 'run that made it' },
      registryOption,
      { flags: '--out <file>', help: 'the decision, as JSON', required: true },
    ],
    schema,
    run: async (options, { log }) => {
      const decision = await promoteStage({ ...options, now: new Date() });
      await mirrorDecision(options.registry, log);
      const { name, promoted, model_version: version, reason } = decision;
      return { text: `${name} version ${version} ${promoted ? 'is the champion' : 'is not promoted'}: ${reason}`, json: decision };
    },
  });
}
