import type { Command } from 'commander';
import { z } from 'zod';

import { type ClustersEvaluation, type Evaluation, evaluate } from '../../apps/linkage/evaluate.ts';
import type { PairsEvaluation } from '../../apps/linkage/evaluate-pairs.ts';
import { thousands } from '../../base/text.ts';
import { verb } from '../verb.ts';
import { fileSchema, filesSchema, idOption, peopleOption, sourceOption } from './options.ts';

const schema = z.strictObject({
  in: filesSchema,
  clusters: fileSchema.optional(),
  pairs: fileSchema.optional(),
  labels: z.string().min(1),
  id: z.string().min(1),
  source: z.string().min(1).optional(),
  linkOnly: z.boolean().optional(),
});

/** `clinfuse link evaluate`: clusters and pairs against known persons. */
export function evaluateCommand(): Command {
  return verb({
    name: 'evaluate',
    summary: 'scores clusters or pairs against a column of labels',
    example:
      'clinfuse link evaluate --clusters clusters.parquet --pairs pairs.parquet --id record_id --in people.parquet --labels person_id',
    options: [
      { flags: '--clusters <file>', help: 'clusters as link dedupe writes them' },
      { flags: '--pairs <file>', help: 'pairs as link dedupe writes them, scored at every match weight' },
      peopleOption,
      { flags: '--labels <column>', help: 'column that is equal on two records exactly when they are one person’s', required: true },
      idOption,
      sourceOption,
      { flags: '--link-only', help: 'two records of one source are no pair to be found' },
    ],
    schema,
    run: async ({ in: files, clusters, pairs, ...rest }) => {
      const result = await evaluate({ files, clustersFile: clusters, pairsFile: pairs, ...rest });
      return { text: tell(result), json: result };
    },
  });
}

function tell(found: Evaluation): string {
  const { records, unlabelled, pairwise, bCubed, clusters } = found;
  const parts = [
    ...(records !== undefined ? tellClusters({ records, unlabelled, pairwise, bCubed, clusters } as ClustersEvaluation) : []),
    ...(records !== undefined && found.pairs ? [''] : []),
    ...(found.pairs ? tellPairs(found.pairs) : []),
  ];
  return parts.join('\n');
}

function tellClusters({ records, unlabelled, pairwise, bCubed, clusters }: ClustersEvaluation): string[] {
  const row = (name: string, { precision, recall, f1 }: { readonly precision: number; readonly recall: number; readonly f1: number }) =>
    `${name.padEnd(16)}${[precision, recall, f1].map((value) => value.toFixed(4).padStart(11)).join('')}`;
  return [
    `${thousands(records)} labelled records (${thousands(unlabelled)} without a label left out)`,
    `${''.padEnd(16)}${['precision', 'recall', 'F1'].map((name) => name.padStart(11)).join('')}`,
    row('pairs', pairwise),
    row('B-cubed', bCubed),
    row('exact clusters', clusters.exact),
    `${thousands(clusters.clusters)} clusters, ${thousands(clusters.impureClusters)} of two or more persons; ${thousands(clusters.patients)} persons, ${thousands(clusters.splitPatients)} split`,
  ];
}

function tellPairs({ pairs, truePairs, missed, best, table }: PairsEvaluation): string[] {
  const columns = ['match weight', 'probability', 'true', 'false', 'missed', 'precision', 'recall', 'F1'];
  const share = (part: number) => (truePairs === 0 ? '0' : ((100 * part) / truePairs).toFixed(1));
  return [
    `${thousands(pairs)} labelled pairs in the file; ${thousands(missed)} of ${thousands(truePairs)} true pairs (${share(missed)} %) are not in it: missed at every weight`,
    ...(table.length > 0 ? [columns.map((name) => name.padStart(12)).join('')] : []),
    ...table.map((row) =>
      [
        ...[String(row.matchWeight), row.matchProbability.toFixed(6)],
        ...[row.truePositives, row.falsePositives, row.falseNegatives].map(thousands),
        ...[row.precision, row.recall, row.f1].map((value) => value.toFixed(4)),
      ]
        .map((cell) => cell.padStart(12))
        .join(''),
    ),
    ...(best
      ? [
          `Best F1 ${best.f1.toFixed(4)} at match weight ${best.threshold.toFixed(2)}: precision ${best.precision.toFixed(4)}, recall ${best.recall.toFixed(4)}; chosen with the labels in sight`,
        ]
      : []),
  ];
}
