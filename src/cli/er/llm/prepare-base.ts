import type { Command } from 'commander';
import { z } from 'zod';

import { prepareBase } from '../../../apps/entity-resolution/llm/prepare-base.ts';
import { thousands } from '../../../base/text.ts';
import { countOption } from '../../option-schemas.ts';
import { verb } from '../../verb.ts';
import { folderSchema } from '../options.ts';

const schema = z.strictObject({ model: folderSchema, out: folderSchema, seed: countOption });

/** `clinfuse er llm prepare-base`: the text part of a model that also sees, with a head for two classes. */
export function prepareBaseCommand(): Command {
  return verb({
    name: 'prepare-base',
    summary: 'the text part of a Gemma 3 or MedGemma folder, with a head for two classes',
    example: 'clinfuse er llm prepare-base --model medgemma-4b-it --out text-only-base',
    options: [
      { flags: '--model <folder>', help: 'Hugging Face folder', required: true },
      { flags: '--out <folder>', help: 'where the text model goes', required: true },
      { flags: '--seed <number>', help: 'decides the new head', default: 42 },
    ],
    schema,
    run: async (options, { progress }) => {
      const base = await prepareBase({ ...options, progress });
      const what = base.stripped ? 'text part' : 'text model (there was no vision part)';
      return { text: `${what} with ${thousands(base.parameters)} parameters: ${base.out}`, json: base };
    },
  });
}
