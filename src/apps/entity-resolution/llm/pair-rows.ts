// The pair data set as rows for a classifier: the question alone, without the answer that follows it, cut to a token budget record by record.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../../base/errors.ts';
import { random } from '../../../base/random.ts';
import type { Tokenizer } from '../../../models/tokenizer.ts';
import { cutPairPrompt } from '../../../records/summary-cut.ts';
import { type Row, readSplit } from '../../../training/dataset.ts';
import type { SplitName } from './patient-splits.ts';

/** A question with its answer: 1 for a match. */
export type PairRow = Extract<Row, { kind: 'class' }> & { readonly input: string; readonly label: 0 | 1 };

/**
 * Rows of one split of a data set that `er llm prepare-dataset` or the reference wrote.
 *
 * @throws UserError those of `readSplit`; `pair-dataset.row` for a row that is not a question and an answer True or False
 */
export async function readPairRows(path: string, split: SplitName): Promise<readonly PairRow[]> {
  const rows = await readSplit(path, { split, task: 'causal' });
  return rows.map((row) => {
    const [question, answer] = row.kind === 'chat' && row.messages.length === 2 ? row.messages : [];
    if (question?.role !== 'user' || answer?.role !== 'assistant' || !/^(True|False)$/.test(answer.content)) {
      throw new UserError(
        'pair-dataset.row',
        `pair dataset: not a question and an answer True or False: ${row.place}; make the data set again`,
      );
    }
    return { kind: 'class', input: question.content, label: answer.content === 'True' ? 1 : 0, place: row.place };
  });
}

/** A question no longer than so many tokens, special ones included; both records keep their readings. */
export function questionCutter(tokenizer: Tokenizer, maxLength: number): (question: string) => string {
  const special = tokenizer.encode('').length;
  const count = (text: string) => tokenizer.encode(text, { special: false }).length;
  return (question) => cutPairPrompt(question, { tokens: maxLength - special, count });
}

/** So many rows, half of each class, drawn by the seed and in their old order; 0: all. */
export function sampleRows(
  rows: readonly PairRow[],
  { count, seed }: { readonly count: number; readonly seed: number },
): readonly PairRow[] {
  if (count === 0 || count >= rows.length) return rows;
  const chosen = ([0, 1] as const).flatMap((label) => {
    const places = [...rows.keys()].filter((i) => rows[i]!.label === label);
    return random(seed, 'sample', label)
      .shuffle(places)
      .slice(0, Math.floor(count / 2));
  });
  return chosen.sort((a, b) => a - b).map((i) => rows[i]!);
}

const info = z.looseObject({ fingerprint: z.string() });

/** What stands for the questions of one split, where the data set says; figures on equal ones can be compared. */
export function datasetFingerprint(path: string, split: SplitName): string | undefined {
  const file = join(path, 'dataset_info.json');
  const parsed = existsSync(file) ? info.safeParse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
  return parsed?.success ? `${parsed.data.fingerprint}/${split}` : undefined;
}
