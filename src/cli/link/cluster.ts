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
  method: z.enum(['components', 'best-links', 'mean'], 'not one of components, best-links, mean'),
  duplicateFreeDatasets: z.array(z.string().min(1)).min(1).optional(),
  tiesMethod: z.enum(['lowest_id', 'drop'], 'not one of lowest_id, drop').optional(),
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
      {
        flags: '--method <name>',
        help: 'components: any chain of pairs joins; best-links: mutual best links, one record of each source; mean: all pairs between clusters count',
        default: 'components',
      },
      {
        flags: '--duplicate-free-datasets <source...>',
        help: 'sources of which a cluster holds one record at most (best-links: all unless named; mean: none)',
      },
      { flags: '--ties-method <name>', help: 'equally good links to one source, best-links: lowest_id (the default) keeps one, drop none' },
    ],
    schema,
    run: async ({ in: pairsFile, duplicateFreeDatasets, tiesMethod, ...rest }) => {
      const result = await cluster({ pairsFile, duplicateFree: duplicateFreeDatasets, ties: tiesMethod, ...rest });
      const { records, clusters, unseenInside } = result;
      const lines = [`${thousands(records)} records of pairs, ${thousands(clusters)} clusters at ${rest.threshold}: ${rest.out}`];
      if (unseenInside)
        lines.push(`${thousands(unseenInside)} pairs inside clusters are not in the file: each counted against its cluster`);
      return { text: lines.join('\n'), json: result };
    },
  });
}
