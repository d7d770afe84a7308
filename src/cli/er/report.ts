import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { loadEvidenceModel } from '../../apps/entity-resolution/infer.ts';
import { reportOutputs, writeReport } from '../../apps/entity-resolution/report/write-report.ts';
import { writeFolder } from '../../base/files.ts';
import { verb } from '../verb.ts';
import { folderSchema, modelOption } from './options.ts';

const schema = z.strictObject({
  in: folderSchema,
  folder: folderSchema.optional(),
  out: folderSchema.optional(),
  model: z.string().min(1),
});

/** `clinfuse er report`: what a run found, as one page with figures. */
export function reportCommand(): Command {
  return verb({
    name: 'report',
    summary: 'writes what a run found as one HTML page with figures',
    example: 'clinfuse er report --in output --folder examples/data --out report',
    options: [
      { flags: '--in <folder>', help: 'what clinfuse er run wrote', required: true },
      { flags: '--folder <folder>', help: 'the run folder it read: for the truth and the case study (without: neither)' },
      { flags: '--out <folder>', help: 'where to write; replaced whole (default: report/ in the run)' },
      modelOption,
    ],
    schema,
    run: async ({ in: run, folder, out = join(run, 'report'), model }, { progress }) => {
      const explaining = folder === undefined ? undefined : loadEvidenceModel(model);
      const data = await writeFolder(out, { names: reportOutputs, inputs: folder === undefined ? [] : [folder] }, (place) =>
        writeReport({ run, folder, model: explaining, out: place, progress }),
      );
      const page = join(out, 'report.html');
      return { text: page, json: { report: page, figures: join(out, 'figures'), truth: data.truth !== undefined } };
    },
  });
}
