import type { Command } from 'commander';
import { z } from 'zod';

import { rewriteModel } from '../../apps/llm/rewrite.ts';
import { verb } from '../verb.ts';
import { dtypeOption, dtypeSchema, modelOption, outOption, pathSchema, tellRewrite } from './options.ts';

const schema = z.strictObject({
  model: pathSchema,
  out: pathSchema,
  dtype: dtypeSchema,
  format: z.enum(['nf4'], 'not nf4, the only format there is'),
});

/** `clinfuse llm quantize`: a base for QLoRA. */
export function quantizeCommand(): Command {
  return verb({
    name: 'quantize',
    summary: 'writes a model with its linear layers in 4 bits, as bitsandbytes does',
    example: 'clinfuse llm quantize --model models/llama-3-8b --out models/llama-3-8b-nf4',
    options: [
      modelOption,
      outOption,
      { flags: '--format <name>', help: 'nf4 (loads in transformers with bitsandbytes)', default: 'nf4' },
      { ...dtypeOption, help: 'precision of embeddings, norms and head: f32, f16, bf16 (default: as they are)' },
    ],
    schema,
    run: async ({ model, out, format, dtype }, { progress }) => {
      const result = await rewriteModel({ model, out, format, rest: dtype, progress });
      return { text: tellRewrite(result), json: result };
    },
  });
}
