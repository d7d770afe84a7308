import type { Command } from 'commander';
import { z } from 'zod';

import { prepareBase } from '../../../apps/entity-resolution/llm/prepare-base.ts';
import { push } from '../../../apps/llm/push.ts';
import { thousands } from '../../../base/text.ts';
import { hubFor, pushOptions, pushSchema } from '../../llm/hub-access.ts';
import { countOption } from '../../option-schemas.ts';
import { verb } from '../../verb.ts';
import { folderSchema } from '../options.ts';

const schema = z.strictObject({ model: folderSchema, out: folderSchema, seed: countOption, head: z.boolean().optional(), ...pushSchema });

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
      { flags: '--no-head', help: 'no head: the model goes on writing text, as train --engine needs it' },
      ...pushOptions,
    ],
    schema,
    run: async ({ push: name, public: isPublic, offline, head, ...options }, { progress, log }) => {
      const hub = name === undefined ? undefined : await hubFor({ verb: 'prepare-base', offline, writes: true, log });
      const base = await prepareBase({ ...options, isHeadless: head === false, progress });
      const what = base.stripped ? 'text part' : 'text model (there was no vision part)';
      const sent = hub && (await push({ hub, name: name!, isPublic, folder: base.out, progress, log }));
      const text = `${what} with ${thousands(base.parameters)} parameters: ${sent?.url ?? base.out}`;
      return { text, json: { ...base, ...(sent && { pushed: sent }) } };
    },
  });
}
