import { z } from 'zod';
import { thousands } from '../../base/text.ts';
import type { TrainingReport } from '../../linkage/training.ts';
import { countOption, numberOption } from '../option-schemas.ts';
import type { VerbOption } from '../verb.ts';

/** Options that several verbs share. */
export const peopleOption: VerbOption = {
  flags: '--in <file...>',
  help: 'records: .parquet, .csv (all text), .jsonl; a file for each source',
  required: true,
};
export const thresholdOption: VerbOption = {
  flags: '--threshold <p>',
  help: 'least match probability of a pair that is written',
  default: 0.0001,
};

export const maxBlockPairsOption: VerbOption = {
  flags: '--max-block-pairs <count>',
  help: 'refuse a blocking rule one value of which makes more pairs (default: 2,000,000,000)',
};

export const idOption: VerbOption = { flags: '--id <column>', help: 'id column of the pairs, without its _l and _r', default: 'unique_id' };
export const sourceOption: VerbOption = { flags: '--source <column>', help: 'source column (source_dataset where the pairs have it)' };

export const fileSchema = z.string().min(1);
export const filesSchema = z.array(fileSchema).min(1);
export const thresholdSchema = numberOption.refine((value) => value >= 0 && value < 1, { message: 'not in [0, 1)' });
export const maxBlockPairsSchema = countOption.optional();
export const clusterThresholdSchema = numberOption.refine((value) => value > 0 && value < 1, { message: 'not in (0, 1)' });

/** What training did, said plainly: one line a session, and what it left open. */
export function tellTraining({ prior, sessions, labelPairs, untrained }: TrainingReport): string[] {
  return [
    `Trained: prior ${prior.toPrecision(3)}`,
    ...sessions.map(({ rule, pairs, iterations, converged, lastChange }) => {
      const end = converged ? 'converged' : `NOT converged: last change ${lastChange.toPrecision(2)}; raise max_iterations`;
      return `  em on ${rule}: ${thousands(pairs)} pairs, ${iterations} iterations, ${end}`;
    }),
    ...(labelPairs === undefined ? [] : [`  m from labels: ${thousands(labelPairs)} pairs`]),
    ...untrained.map((level) => `  m not met by any session, default kept: ${level}`),
  ];
}
