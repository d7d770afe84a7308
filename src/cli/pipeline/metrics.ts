import { join } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { readPipeline } from '../../pipeline/dvc-file.ts';
import { compareValues, type FlatValues, figuresOf, metricFiles } from '../../pipeline/figures.ts';
import type { Pipeline } from '../../pipeline/stage.ts';
import { parseValues, readValues } from '../../pipeline/value-file.ts';
import { verb } from '../verb.ts';
import { outputsAtRevision } from './file-at-revision.ts';
import { allOption, cwdOption, markdownOption, pipelineFile, revision } from './options.ts';
import { cwdSchema, revisionSchema } from './schemas.ts';
import { figureText, jsonChanges, jsonValue, table } from './value-table.ts';

/** `clinfuse metrics`: what a pipeline measured. */
export function metricsCommand(): Command {
  return new Command('metrics').description('What a pipeline measured').addCommand(showCommand()).addCommand(diffCommand());
}

/** `clinfuse metrics show`: the figures of all metric files. */
function showCommand(): Command {
  return verb({
    name: 'show',
    summary: 'figures of the files that dvc.yaml names as metrics',
    example: 'clinfuse metrics show --md',
    options: [cwdOption, markdownOption],
    schema: z.strictObject({ cwd: cwdSchema, md: z.boolean().default(false) }),
    run: async ({ cwd, md: markdown }, { log }) => {
      const files = figuresNow(readPipeline(pipelineFile(cwd)), cwd);
      const rows = files.flatMap(({ file, figures }) => [...(figures ?? [])].map(([key, value]) => [file, key, figureText(value)]));
      const missing = files.filter(({ figures }) => figures === null).map(({ file }) => file);
      if (missing.length > 0) log(`not there yet: ${missing.join(', ')}; run the stages that write them`);
      const json = Object.fromEntries(
        files.map(({ file, figures }) => [
          file,
          figures && Object.fromEntries([...figures].map(([key, value]) => [key, jsonValue(value)])),
        ]),
      );
      return { text: rows.length > 0 ? table(['Path', 'Metric', 'now'], rows, { markdown }) : 'no figures yet', json };
    },
  });
}

/** `clinfuse metrics diff`: figures now against those of a commit. */
function diffCommand(): Command {
  return verb({
    name: 'diff',
    argument: revision,
    summary: 'figures that differ from those of a commit',
    example: 'clinfuse metrics diff main --md',
    options: [cwdOption, allOption, markdownOption],
    schema: z.strictObject({ rev: revisionSchema, cwd: cwdSchema, all: z.boolean().default(false), md: z.boolean().default(false) }),
    run: async ({ rev, cwd, all, md: markdown }) => {
      const pipeline = readPipeline(pipelineFile(cwd));
      const fileThen = outputsAtRevision(pipeline, rev);
      const changes = figuresNow(pipeline, cwd).flatMap(({ file, figures }) => {
        const bytes = fileThen(file);
        const before: FlatValues = bytes ? figuresOf(parseValues(bytes, `${rev}:${file}`)) : new Map();
        return compareValues(file, { before, after: figures ?? new Map(), all });
      });
      const rows = changes.map(({ file, key, old, new: now, change }) => [file, key, figureText(old), figureText(now), figureText(change)]);
      const text = rows.length > 0 ? table(['Path', 'Metric', rev, 'now', 'Change'], rows, { markdown }) : `no figure differs from ${rev}`;
      return { text, json: jsonChanges(changes) };
    },
  });
}

/** Figures by file; null for a file that is not there. */
function figuresNow(pipeline: Pipeline, folder: string): readonly { readonly file: string; readonly figures: FlatValues | null }[] {
  const files = metricFiles(pipeline);
  if (files.length === 0) {
    throw new UserError('pipeline.metrics', `pipeline: no metrics in ${pipelineFile(folder)}; name the files under metrics:`);
  }
  return files.map((path) => {
    const content = readValues(join(folder, path), path);
    return { file: path, figures: content === null ? null : figuresOf(content) };
  });
}
