import type { Command } from 'commander';
import { z } from 'zod';

import { cluster } from '../../apps/linkage/cluster.ts';
import { thousands } from '../../base/text.ts';
import { verb } from '../verb.ts';
import { clusterThresholdSchema, fileSchema, idOption, sourceOption } from './options.ts';

const schema = z.strictObject({
  in: fileSchema,
  out: fileSchema,
  threshold: clusterThresholdSchema,
  id: z.string().min(1),
  source: z.string().min(1).optional(),
});

/** `clinfuse link cluster`: pairs to clusters. */
export function clusterCommand(): Command {
  return verb({
    name: 'cluster',
    summary: 'joins the records of a file of pairs from a match probability up',
    example: 'clinfuse link cluster --in pairs.parquet --threshold 0.95 --id person_id --out clusters.parquet',
    options: [
      { flags: '--in <file>', help: 'pairs as link dedupe, link predict or Splink write them', required: true },
      { flags: '--threshold <p>', help: 'match probability from which a pair joins two records', required: true },
      { flags: '--out <file>', help: 'clusters to write (Parquet)', required: true },
      idOption,
      sourceOption,
    ],
    schema,
    run: async ({ in: pairsFile, ...rest }) => {
      const result = await cluster({ pairsFile, ...rest });
      const { records, clusters } = result;
      return {
        text: `${thousands(records)} records of pairs, ${thousands(clusters)} clusters at ${rest.threshold}: ${rest.out}`,
        json: result,
      };
    },
  });
}
