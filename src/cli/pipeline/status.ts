import type { Command } from 'commander';
import { z } from 'zod';

import { type Change, changeText } from '../../pipeline/decide.ts';
import { status, statusJson } from '../../pipeline/status.ts';
import { verb } from '../verb.ts';
import { cwdOption } from './options.ts';
import { cwdSchema, targetsSchema } from './schemas.ts';

const schema = z.strictObject({ stage: targetsSchema, cwd: cwdSchema });

/** That a stage never ran says all: whatever else there is to it is new. */
const toldOf = (changes: readonly Change[]) => (changes[0]?.kind === 'never run' ? changes.slice(0, 1) : changes);

/** `clinfuse status`: what has changed since the stages of a dvc.yaml ran last. */
export function statusCommand(): Command {
  return verb({
    name: 'status',
    argument: { name: 'stage', help: 'stages, or outputs of stages (default: all of dvc.yaml)', list: true },
    summary: 'what has changed since the stages of a dvc.yaml ran last',
    example: 'clinfuse status --json',
    options: [cwdOption],
    schema,
    run: async ({ stage: targets, cwd: folder }, { quiet, json }) => {
      const found = await status({ folder, targets, singleItem: targets.length > 0 });
      const changed = found.filter(({ changes }) => changes.length > 0);
      const text = changed
        .map(({ stage, changes }) => [`${stage}:`, ...toldOf(changes).map((change) => `  ${changeText(change)}`)].join('\n'))
        .join('\n');
      return {
        json: statusJson(found),
        // As DVC: silent, the answer is in the exit code.
        ...(quiet ? {} : { text: text || 'up to date' }),
        exitCode: quiet && !json && changed.length > 0 ? 1 : 0,
      };
    },
  });
}
