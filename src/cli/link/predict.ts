import type { Command } from 'commander';
import { z } from 'zod';

import { predict } from '../../apps/linkage/predict.ts';
import { thousands } from '../../base/text.ts';

import { threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import {
  fileSchema,
  filesSchema,
  maxBlockPairsOption,
  maxBlockPairsSchema,
  peopleOption,
  thresholdOption,
  thresholdSchema,
} from './options.ts';

const schema = z.strictObject({
  in: filesSchema,
  model: fileSchema,
  out: fileSchema,
  threshold: thresholdSchema,
  maxBlockPairs: maxBlockPairsSchema,
  threads: threadsSchema,
});

/** `clinfuse link predict`: pairs by a trained model, as it stands. */
export function predictCommand(): Command {
  return verb({
    name: 'predict',
    summary: 'pairs of records by a trained model',
    example: 'clinfuse link predict --in people.parquet --model model.json --out pairs.parquet',
    options: [
      peopleOption,
      { flags: '--model <file>', help: 'trained Splink model JSON', required: true },
      { flags: '--out <file>', help: 'pairs to write (Parquet)', required: true },
      thresholdOption,
      maxBlockPairsOption,
      threadsOption,
    ],
    schema,
    run: async ({ in: files, model, out, threshold, ...stage }, { progress, log }) => {
      const result = await predict({ files, modelFile: model, out, threshold, ...stage, progress, log });
      const { records, pairs } = result;
      return {
        text: `${thousands(records)} records, ${thousands(pairs)} pairs at match probability >= ${threshold}: ${out}`,
        json: result,
      };
    },
  });
}
