import type { Command } from 'commander';
import { z } from 'zod';

import type { PairDatasetReport, PairKind } from '../../../apps/entity-resolution/llm/dataset-card.ts';
import { writePairDataset } from '../../../apps/entity-resolution/llm/pair-dataset.ts';
import { splitNames } from '../../../apps/entity-resolution/llm/patient-splits.ts';
import { openSession } from '../../../apps/entity-resolution/session.ts';
import { thousands } from '../../../base/text.ts';
import { filesUnder, pushFiles } from '../../../models/push-files.ts';
import { hubFor, pushOptions, pushSchema } from '../../llm/hub-access.ts';
import { countOption, numberOption, threadsSchema } from '../../option-schemas.ts';
import { threadsOption, verb } from '../../verb.ts';
import { folderSchema, inOption, outOption } from '../options.ts';

const schema = z.strictObject({
  in: folderSchema,
  out: folderSchema,
  hardShare: numberOption.pipe(z.number().min(0).max(1)),
  maxPairs: countOption.refine((count) => count > 1, { message: 'not a whole number from 2 up' }).optional(),
  seed: countOption,
  timestamp: z.string().min(1),
  threads: threadsSchema,
  ...pushSchema,
});

/** `er llm prepare-dataset`: questions about pairs of records for a language model to learn from. */
export function prepareDatasetCommand(): Command {
  return verb({
    name: 'prepare-dataset',
    summary: 'questions about pairs of records, split by patient, as a Hugging Face data set',
    example: 'clinfuse er llm prepare-dataset --in output/training/augmented --out output/training/dataset',
    options: [
      { ...inOption, help: 'run folder with metadata/ground_truth.parquet' },
      outOption,
      { flags: '--hard-share <share>', help: 'share of the pairs of two people that are alike; 0: all drawn at random', default: 0.5 },
      { flags: '--max-pairs <count>', help: 'most training pairs, half of them matches (default: all there are)' },
      { flags: '--seed <number>', help: 'decides splits, pairs and their order', default: 42 },
      { flags: '--timestamp <time>', help: 'written into dataset_info.json, so that runs can be repeated', default: '2026-01-01T00:00:00' },
      threadsOption,
      ...pushOptions,
    ],
    schema,
    run: async ({ in: source, threads, push: name, public: isPublic, offline, ...options }, { progress, log }) => {
      const hub = name === undefined ? undefined : await hubFor({ verb: 'prepare-dataset', kind: 'dataset', offline, writes: true, log });
      await using session = await openSession(source, { threads, progress });
      const report = await writePairDataset(session, { ...options, source, repository: name });
      const files = filesUnder(options.out);
      const sent =
        hub && (await pushFiles({ hub, name: name!, isPublic, files, title: 'Upload data set', replaces: /^data\//, progress, log }));
      return { text: `${tell(report)}\n${sent?.url ?? options.out}`, json: { ...report, ...(sent && { pushed: sent }) } };
    },
  });
}

function tell({ splits, kinds, patients }: PairDatasetReport): string {
  const names = [...new Set(splitNames.flatMap((name) => Object.keys(kinds[name]) as PairKind[]))];
  const rows = [
    ['split', 'pairs', 'patients', ...names],
    ...splitNames.map((name) => [name, splits[name], patients[name], ...names.map((kind) => kinds[name][kind] ?? 0)]),
  ].map((row) => row.map((cell) => (typeof cell === 'number' ? thousands(cell) : cell)));
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')).join('\n');
}
