import type { Command } from 'commander';
import { z } from 'zod';

import { push } from '../../apps/llm/push.ts';
import { bytesText } from '../../base/text.ts';
import { verb } from '../verb.ts';
import { hubFor, offlineOption, repositorySchema } from './hub-access.ts';
import { pathSchema } from './options.ts';

const schema = z.strictObject({
  folder: pathSchema,
  to: repositorySchema,
  revision: z
    .string()
    .regex(/^[\w./-]+$/, 'not the name of a branch')
    .optional(),
  public: z.boolean().default(false),
  offline: z.boolean().default(false),
});

/** `clinfuse llm push`: a model or adapter to the hub. */
export function pushCommand(): Command {
  return verb({
    name: 'push',
    summary: 'sends a model or adapter to the Hugging Face Hub, private unless told',
    example: 'clinfuse llm push --folder output/adapter --to my-team/cardiology-adapter',
    options: [
      { flags: '--folder <folder>', help: 'model or adapter folder; only files of a model are sent', required: true },
      { flags: '--to <owner/name>', help: 'where to; made, private, where it is not there', required: true },
      { flags: '--revision <branch>', help: 'branch to write to (default: main)' },
      { flags: '--public', help: 'let everybody see it; without this a public model is not written to' },
      offlineOption,
    ],
    schema,
    run: async ({ folder, to, revision, public: isPublic, offline }, { progress, log }) => {
      const hub = await hubFor({ verb: 'push', offline, writes: true, log });
      const result = await push({ hub, folder, name: to, branch: revision, isPublic, progress, log });
      const who = result.isPrivate ? 'private' : 'public';
      return { text: `${result.files.length} files, ${bytesText(result.bytes)}, ${who}: ${result.url}`, json: result };
    },
  });
}
