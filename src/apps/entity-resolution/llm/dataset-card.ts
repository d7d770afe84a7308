import { thousands } from '../../../base/text.ts';
import { type NegativeKind, negativeKinds } from './negatives.ts';
import { type SplitName, splitNames } from './patient-splits.ts';

export type PairKind = 'match' | NegativeKind;

export type PairDatasetReport = {
  readonly splits: Readonly<Record<SplitName, number>>;
  readonly kinds: Readonly<Record<SplitName, Readonly<Partial<Record<PairKind, number>>>>>;
  /** Patients that appear in a pair of the split. */
  readonly patients: Readonly<Record<SplitName, number>>;
  /** Of the pairs with their labels, in order: the same for the same questions. */
  readonly fingerprint: string;
};

const meaning: Readonly<Record<PairKind, string>> = {
  match: 'two records of one patient',
  random: 'two people drawn at random',
  confusable: 'two people whose demographics were made alike (twin, parent and child, sibling)',
  household: 'two people recorded at one address',
  same_sex_and_birth_year: 'two people of the same recorded sex and birth year',
};

/** README.md of the data set: what Hugging Face reads of it at the top, then what is in it and how it was made. */
export function datasetCard({
  splits,
  kinds,
  patients,
  fingerprint,
  hardShare,
  seed,
}: PairDatasetReport & { readonly hardShare: number; readonly seed: number }): string {
  const shown = (['match', ...negativeKinds] as const).filter((kind) => splitNames.some((name) => kinds[name][kind]));
  const row = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => (typeof cell === 'number' ? thousands(cell) : cell)).join(' | ')} |`;
  return `---
task_categories:
- text-classification
tags:
- entity-resolution
- medical
- synthetic
configs:
- config_name: default
  data_files:
${splitNames.map((name) => `  - split: ${name}\n    path: data/${name}.parquet`).join('\n')}
---

# Are these two records the same patient?

Questions about pairs of records, asked of their clinical histories alone and answered True or False. Half of the
pairs of every split are matches. No patient is in two splits, so no history is either.

${row(['Split', 'pairs', 'patients', ...shown])}
|${'---|'.repeat(3 + shown.length)}
${splitNames.map((name) => row([name, splits[name], patients[name], ...shown.map((kind) => kinds[name][kind] ?? 0)])).join('\n')}

${shown.map((kind) => `- \`${kind}\`: ${meaning[kind]}`).join('\n')}

| Column | What it holds |
|---|---|
| \`messages\` | the question with both histories (record A has the smaller record id), and the answer |
| \`label\` | 1 for a match |
| \`kind\` | what kind of pair it is, for figures by kind; not for a model to see |
| \`record_id_1\`, \`record_id_2\` | the records |

Made by \`clinfuse er llm prepare-dataset\` with seed ${seed} and ${Math.round(100 * hardShare)} % of the other pairs hard; fingerprint \`${fingerprint}\`.
The people are made up (Synthea), and so are their names and addresses, none of which is in the texts.
`;
}
