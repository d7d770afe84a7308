import type { Command } from 'commander';
import { z } from 'zod';

import { type DedupeResult, dedupe } from '../../apps/linkage/dedupe.ts';
import { UserError } from '../../base/errors.ts';
import { thousands } from '../../base/text.ts';

import { threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import {
  clusterThresholdSchema,
  fileSchema,
  filesSchema,
  maxBlockPairsOption,
  maxBlockPairsSchema,
  peopleOption,
  tellTraining,
  thresholdOption,
  thresholdSchema,
} from './options.ts';

const schema = z.strictObject({
  in: filesSchema,
  settings: fileSchema,
  out: fileSchema,
  threshold: thresholdSchema,
  clusters: fileSchema.optional(),
  clusterThreshold: clusterThresholdSchema.optional(),
  maxBlockPairs: maxBlockPairsSchema,
  threads: threadsSchema,
});

/** `clinfuse link dedupe`: files of records to pairs and clusters. */
export function dedupeCommand(): Command {
  return verb({
    name: 'dedupe',
    summary: 'pairs (and clusters) of records by a Splink model',
    example: 'clinfuse link dedupe --in people.parquet --settings model.json --out pairs.parquet',
    options: [
      peopleOption,
      { flags: '--settings <file>', help: 'Splink model JSON; may hold a training block', required: true },
      { flags: '--out <file>', help: 'pairs to write (Parquet)', required: true },
      thresholdOption,
      { flags: '--clusters <file>', help: 'clusters to write (Parquet), with --cluster-threshold' },
      { flags: '--cluster-threshold <p>', help: 'match probability from which a pair joins two records' },
      maxBlockPairsOption,
      threadsOption,
    ],
    schema,
    run: async ({ in: files, settings, out, threshold, clusters, clusterThreshold, ...stage }, { progress, log }) => {
      if ((clusters === undefined) !== (clusterThreshold === undefined)) {
        throw new UserError('cli.option', 'dedupe: --clusters and --cluster-threshold go together; give both or neither');
      }
      const wanted =
        clusters === undefined || clusterThreshold === undefined ? {} : { clusters: { file: clusters, threshold: clusterThreshold } };
      const result = await dedupe({ files, settingsFile: settings, out, threshold, ...stage, progress, log, ...wanted });
      return { text: tell(result, { out, threshold, clusters }), json: result };
    },
  });
}

function tell(
  { records, pairs, training, clusters }: DedupeResult,
  places: { readonly out: string; readonly threshold: number; readonly clusters: string | undefined },
): string {
  return [
    ...(training ? tellTraining(training) : []),
    `${thousands(records)} records, ${thousands(pairs)} pairs at match probability >= ${places.threshold}: ${places.out}`,
    ...(clusters
      ? [
          `${thousands(clusters.clusters)} clusters at ${clusters.threshold}, ${thousands(clusters.linked)} of more than one record: ${places.clusters}`,
        ]
      : []),
  ].join('\n');
}
