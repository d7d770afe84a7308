import type { Command } from 'commander';
import { z } from 'zod';

import { train } from '../../apps/linkage/train.ts';

import { threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import { fileSchema, filesSchema, maxBlockPairsOption, maxBlockPairsSchema, peopleOption, tellTraining } from './options.ts';

const schema = z.strictObject({
  in: filesSchema,
  settings: fileSchema,
  out: fileSchema,
  labels: z.string().min(1).optional(),
  pairwiseLabels: fileSchema.optional(),
  maxBlockPairs: maxBlockPairsSchema,
  threads: threadsSchema,
});

/** `clinfuse link train`: a model's parameters from the records themselves, without labels or with some. */
export function trainCommand(): Command {
  return verb({
    name: 'train',
    summary: 'estimates a Splink model’s prior, m and u on records',
    example: 'clinfuse link train --in people.parquet --settings settings.json --out model.json',
    options: [
      peopleOption,
      { flags: '--settings <file>', help: 'Splink model JSON with a training block', required: true },
      { flags: '--out <file>', help: 'trained model to write (JSON; Splink loads it, too)', required: true },
      { flags: '--labels <column>', help: 'm from records that share a value of this column, too' },
      { flags: '--pairwise-labels <file>', help: 'm from the pairs of this file, too: <id>_l, <id>_r and, between sources, the sources' },
      maxBlockPairsOption,
      threadsOption,
    ],
    schema,
    run: async ({ in: files, settings, out, labels, pairwiseLabels, ...stage }, { progress, log }) => {
      const report = await train({ files, settingsFile: settings, out, labels, pairwiseLabels, ...stage, progress, log });
      return { text: [...tellTraining(report), `Model: ${out}`].join('\n'), json: report };
    },
  });
}
