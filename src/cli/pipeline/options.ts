import { dirname, join } from 'node:path';

import type { VerbOption } from '../verb.ts';

/** Options that the verbs of a pipeline share. */
export const cwdOption: VerbOption = { flags: '-c, --cwd <folder>', help: 'folder that holds dvc.yaml', default: '.' };

export const markdownOption: VerbOption = { flags: '--md', help: 'the table as Markdown' };
export const allOption: VerbOption = { flags: '--all', help: 'also what did not change' };

export const revision = { name: 'rev', help: 'commit, branch or tag to compare with (default: HEAD)' };

export const pipelineFile = (folder: string): string => join(folder, 'dvc.yaml');

const bin = join(import.meta.dirname, '..', '..', '..', 'bin');

/** The user's environment, in which a stage also finds the `clinfuse` that runs it, and should there be no other, its Node. */
export function stageEnvironment(): NodeJS.ProcessEnv {
  const path = [bin, process.env['PATH'], dirname(process.execPath)].filter(Boolean).join(':');
  return { ...process.env, PATH: path };
}
