import type { Command } from 'commander';
import { z } from 'zod';

import { fitCascade } from '../../../apps/entity-resolution/llm/fit-cascade.ts';
import { writeJson } from '../../../base/files.ts';
import { thousands } from '../../../base/text.ts';
import { countOption, threadsSchema } from '../../option-schemas.ts';
import { threadsOption, verb } from '../../verb.ts';
import { folderSchema, inOption } from '../options.ts';

const path = z.string().min(1);
const schema = z.strictObject({ in: folderSchema, answers: path, out: path, seed: countOption, threads: threadsSchema });

/** `clinfuse er llm fit-cascade`: how a language model's answers are joined to the clinical evidence. */
export function fitCascadeCommand(): Command {
  return verb({
    name: 'fit-cascade',
    summary: 'learns what a language model’s answers add to the clinical evidence',
    example: 'clinfuse er llm fit-cascade --in output/training/augmented --answers validation.parquet --out fusion.json',
    options: [
      { ...inOption, help: 'run folder that the data set was made of' },
      { flags: '--answers <file>', help: 'what infer answered to the data set’s validation split', required: true },
      { flags: '--out <file>', help: 'weights, as JSON', required: true },
      { flags: '--seed <number>', help: 'decides folds and samples', default: 42 },
      threadsOption,
    ],
    schema,
    run: async ({ in: folder, out, ...options }, { progress }) => {
      const opinion = await fitCascade({ ...options, folder, progress });
      await writeJson(out, opinion);
      const { intercept, first, second, pairs } = opinion;
      const weights = `${intercept.toFixed(3)} + ${first.toFixed(3)} evidence + ${second.toFixed(3)} answer`;
      return { text: `${weights}, from ${thousands(pairs)} pairs; ${out}`, json: opinion };
    },
  });
}
