import type { Command } from 'commander';
import { z } from 'zod';

import { mergeAdapter } from '../../apps/llm/merge.ts';
import { thousands } from '../../base/text.ts';
import { threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import { adapterOption, dtypeOption, dtypeSchema, modelOption, noTokenizer, outOption, pathSchema } from './options.ts';

const schema = z.strictObject({
  model: pathSchema,
  adapter: pathSchema,
  out: pathSchema,
  dtype: dtypeSchema,
  onto: z.enum(['trained', 'base'], 'not one of trained, base'),
  threads: threadsSchema,
});

/** `clinfuse llm merge`: base and adapter as one model. */
export function mergeCommand(): Command {
  return verb({
    name: 'merge',
    summary: 'builds an adapter into its base model: one Hugging Face folder',
    example: 'clinfuse llm merge --model models/smollm2-135m --adapter output/adapter --out models/cardiology',
    options: [
      modelOption,
      { ...adapterOption, required: true },
      outOption,
      dtypeOption,
      {
        flags: '--onto <weights>',
        help: 'trained: the weights as training kept them (nf4, spelt out again), where the adapter says so; base: the base’s own',
        default: 'trained',
      },
      threadsOption,
    ],
    schema,
    run: async ({ dtype, ...options }, { progress, log }) => {
      const result = await mergeAdapter({ ...options, format: dtype, progress, log });
      const { out, modules, onto, format, tokenizer } = result;
      const lines = [`${thousands(modules)} linear layers merged, ${format}: ${out}`, `Which weights: ${onto}`];
      return { text: [...lines, ...(tokenizer ? [] : [noTokenizer])].join('\n'), json: result };
    },
  });
}
