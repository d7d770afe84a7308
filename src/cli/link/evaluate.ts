import type { Command } from 'commander';
import { z } from 'zod';

import { type Evaluation, evaluate } from '../../apps/linkage/evaluate.ts';
import { thousands } from '../../base/text.ts';
import { verb } from '../verb.ts';
import { fileSchema, peopleOption } from './options.ts';

const schema = z.strictObject({ in: fileSchema, clusters: fileSchema, labels: z.string().min(1) });

/** `clinfuse link evaluate`: clusters against known persons. */
export function evaluateCommand(): Command {
  return verb({
    name: 'evaluate',
    summary: 'scores clusters against a column of labels',
    example: 'clinfuse link evaluate --clusters clusters.parquet --in people.parquet --labels person_id',
    options: [
      { flags: '--clusters <file>', help: 'clusters as link dedupe writes them', required: true },
      peopleOption,
      { flags: '--labels <column>', help: 'column that is equal on two records exactly when they are one person’s', required: true },
    ],
    schema,
    run: async ({ in: file, clusters, labels }) => {
      const result = await evaluate({ clustersFile: clusters, file, labels });
      return { text: tell(result), json: result };
    },
  });
}

function tell({ records, unlabelled, pairwise, bCubed, clusters }: Evaluation): string {
  const row = (name: string, { precision, recall, f1 }: { readonly precision: number; readonly recall: number; readonly f1: number }) =>
    `${name.padEnd(16)}${[precision, recall, f1].map((value) => value.toFixed(4).padStart(11)).join('')}`;
  return [
    `${thousands(records)} labelled records (${thousands(unlabelled)} without a label left out)`,
    `${''.padEnd(16)}${['precision', 'recall', 'F1'].map((name) => name.padStart(11)).join('')}`,
    row('pairs', pairwise),
    row('B-cubed', bCubed),
    row('exact clusters', clusters.exact),
    `${thousands(clusters.clusters)} clusters, ${thousands(clusters.impureClusters)} of two or more persons; ${thousands(clusters.patients)} persons, ${thousands(clusters.splitPatients)} split`,
  ].join('\n');
}
