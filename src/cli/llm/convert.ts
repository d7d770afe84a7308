import type { Command } from 'commander';
import { z } from 'zod';

import { rewriteModel } from '../../apps/llm/rewrite.ts';
import { verb } from '../verb.ts';
import { dtypeOption, dtypeSchema, modelOption, outOption, pathSchema, tellRewrite } from './options.ts';

const schema = z.strictObject({ model: pathSchema, out: pathSchema, dtype: dtypeSchema });

/** `clinfuse llm convert`: any model as a Hugging Face folder. */
export function convertCommand(): Command {
  return verb({
    name: 'convert',
    summary: 'writes a GGUF file or model folder as a Hugging Face folder',
    example: 'clinfuse llm convert --model smollm2-135m.gguf --dtype bf16 --out models/smollm2-135m',
    options: [modelOption, outOption, dtypeOption],
    schema,
    run: async ({ model, out, dtype }, { progress }) => {
      const result = await rewriteModel({ model, out, format: dtype, progress });
      return { text: tellRewrite(result), json: result };
    },
  });
}
