import type { Command } from 'commander';
import { z } from 'zod';

import { exportPairs, readDecision } from '../../../apps/entity-resolution/llm/export.ts';
import { push } from '../../../apps/llm/push.ts';
import { UserError } from '../../../base/errors.ts';
import { elsewhereOptions, elsewhereSchema, isElsewhere, runElsewhere } from '../../job/elsewhere.ts';
import { hubFor, pushOptions, pushSchema } from '../../llm/hub-access.ts';
import { countOption, threadsSchema } from '../../option-schemas.ts';
import { threadsOption, verb } from '../../verb.ts';

const path = z.string().min(1);
const schema = z.strictObject({
  model: path,
  adapter: path,
  decision: path,
  out: path,
  validate: path.optional(),
  maxLength: countOption,
  threads: threadsSchema,
  ...pushSchema,
  ...elsewhereSchema,
});

/** `clinfuse er llm export`: the promoted adapter built into its base. */
export function exportCommand(): Command {
  return verb({
    name: 'export',
    summary: 'merges a promoted adapter into its base; skips one that was not promoted',
    example:
      'clinfuse er llm export --model text-only-base --adapter output/training/train/adapter --decision output/training/train/promotion_decision.json --out output/training/export',
    options: [
      { flags: '--model <path>', help: 'base model', required: true },
      { flags: '--adapter <folder>', help: 'what er llm train wrote', required: true },
      { flags: '--decision <file>', help: 'promotion_decision.json', required: true },
      { flags: '--out <folder>', help: 'model/ and export_info.json', required: true },
      { flags: '--validate <folder>', help: 'data set whose test split the merged model is measured on' },
      { flags: '--max-length <tokens>', help: 'longest question when it is measured', default: 2048 },
      threadsOption,
      ...pushOptions,
      ...elsewhereOptions,
    ],
    schema,
    run: async ({ on, timeOut, cancel, push: name, public: isPublic, offline, ...options }, context) => {
      const place = { on, timeOut, cancel };
      // What was turned down is skipped at once: no machine is needed for that.
      if (isElsewhere(place) && (cancel || readDecision(options.decision).promoted)) {
        if (name !== undefined) throw new UserError('cli.option', 'export: --push with --on: collect first, then clinfuse llm push');
        const { out, ...given } = options;
        const what = {
          stage: 'export',
          verb: ['er', 'llm', 'export'],
          options: given,
          outputs: ['export_info.json', 'model/config.json'],
        } as const;
        const inputs = ['model', 'adapter', 'decision', 'validate'];
        return runElsewhere(place, { ...what, inputs, output: out, kind: 'folder', out: '' }, context);
      }
      const { progress, log } = context;
      const hub = name === undefined ? undefined : await hubFor({ verb: 'export', offline, writes: true, log });
      const info = await exportPairs({ ...options, repository: name, progress, log, clock: Date.now });
      if ('skipped' in info) return { text: 'not exported: the model was not promoted; an earlier one stays', json: info };
      const folder = `${options.out}/model`;
      const sent = hub && (await push({ hub, name: name!, isPublic, folder, progress, log }));
      return { text: `merged model: ${sent?.url ?? folder}`, json: { ...info, ...(sent && { pushed: sent }) } };
    },
  });
}
