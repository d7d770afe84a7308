import { join } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';

import { readPipeline } from '../../pipeline/dvc-file.ts';
import { compareValues, parametersOf, parametersOfAll } from '../../pipeline/figures.ts';
import { parseValues, readValues } from '../../pipeline/value-file.ts';
import { verb } from '../verb.ts';
import { filesAtRevision } from './file-at-revision.ts';
import { allOption, cwdOption, markdownOption, pipelineFile, revision } from './options.ts';
import { cwdSchema, revisionSchema } from './schemas.ts';
import { jsonChanges, table, valueText } from './value-table.ts';

/** `clinfuse params`: what a pipeline is set to. */
export function paramsCommand(): Command {
  return new Command('params').description('What a pipeline is set to').addCommand(diffCommand());
}

/** `clinfuse params diff`: parameters now against those of a commit. */
function diffCommand(): Command {
  return verb({
    name: 'diff',
    argument: revision,
    summary: 'parameters that differ from those of a commit',
    example: 'clinfuse params diff main --md',
    options: [cwdOption, allOption, markdownOption],
    schema: z.strictObject({ rev: revisionSchema, cwd: cwdSchema, all: z.boolean().default(false), md: z.boolean().default(false) }),
    run: async ({ rev, cwd, all, md: markdown }) => {
      const pipeline = readPipeline(pipelineFile(cwd));
      const fileThen = filesAtRevision(cwd, rev);
      const changes = parametersOfAll(pipeline).flatMap(({ file, keys }) => {
        const bytes = fileThen(file);
        const before = parametersOf(bytes ? parseValues(bytes, `${rev}:${file}`) : new Map(), keys);
        const after = parametersOf(readValues(join(cwd, file), file) ?? new Map(), keys);
        return compareValues(file, { before, after, all });
      });
      const rows = changes.map(({ file, key, old, new: now }) => [file, key, valueText(old), valueText(now)]);
      const text = rows.length > 0 ? table(['Path', 'Param', rev, 'now'], rows, { markdown }) : `no parameter differs from ${rev}`;
      return { text, json: jsonChanges(changes) };
    },
  });
}
