import type { Command } from 'commander';
import { z } from 'zod';
import { bytesText } from '../../base/text.ts';
import { pull } from '../../models/pull.ts';
import { verb } from '../verb.ts';
import { hubFor, offlineOption, revisionSchema } from './hub-access.ts';
import { pathSchema } from './options.ts';

const schema = z.strictObject({
  name: z.string('name a model: OWNER/NAME').pipe(revisionSchema),
  out: pathSchema,
  files: z.array(z.string().min(1)).min(1).optional(),
  offline: z.boolean().default(false),
});

/** `clinfuse llm pull`: a model from the hub. */
export function pullCommand(): Command {
  return verb({
    name: 'pull',
    argument: { name: 'name', help: 'OWNER/NAME, or OWNER/NAME@REVISION for a branch, tag or commit' },
    summary: 'fetches a model from the Hugging Face Hub, going on where it stopped',
    example: 'clinfuse llm pull HuggingFaceTB/SmolLM2-135M-Instruct --out models/smollm2-135m',
    options: [
      { flags: '--out <folder>', help: 'folder to write; appears when all of it is there', required: true },
      { flags: '--files <name...>', help: 'only these files, * for any letters (one quantisation of many: "*Q4_K_M.gguf")' },
      offlineOption,
    ],
    schema,
    run: async ({ name: { name, revision }, out, files, offline }, { progress, log }) => {
      const hub = await hubFor({ verb: 'pull', offline, log });
      const result = await pull({ hub, name, revision, out, files, progress, log });
      const text = `${name}, commit ${result.commit.slice(0, 12)}: ${result.files} files, ${bytesText(result.bytes)}: ${out}`;
      return { text, json: result };
    },
  });
}
