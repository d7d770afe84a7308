// Where questions come from and where their answers go: files of pairs with a column `text` or chats in
// `messages` (Parquet, CSV, JSON lines), or a split of a pair data set.
// Files may hold far more text than memory: rows are read in windows, by their number, from Parquet; a CSV is turned into Parquet first.

import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';

import { UserError } from '../../../base/errors.ts';
import { temporaryFolder } from '../../../base/files.ts';
import { requireColumns } from '../../../sql/columns.ts';
import { type Database, literal, quote, readingFile } from '../../../sql/duckdb.ts';
import { datasetFiles, type Split } from '../../../training/dataset-files.ts';
import type { PairRow } from './pair-rows.ts';

export type Questions = {
  readonly count: number;
  readonly hasLabels: boolean;
  /** Texts of rows from `from` on, at most `size`. */
  readonly texts: (from: number, size: number) => Promise<readonly string[]>;
  /** Labels and kinds of all rows, where there are labels. */
  readonly labels: () => Promise<{ readonly label: Int32Array; readonly kind: readonly string[] | undefined }>;
  /** SQL of all columns but the text, with `place` from 0. */
  readonly source: string;
  readonly close: () => void;
};

/** Answers that a data set's chats end in. */
const labelOfChat = `case messages[2].content when 'True' then 1 when 'False' then 0 end`;

/**
 * Opens files of pairs, or a split of a data set.
 *
 * @throws UserError `questions.missing`, `questions.column`, those of the data set
 */
export async function openQuestions(
  db: Database,
  input: { readonly files: readonly string[] } | { readonly dataset: string; readonly split: Split },
): Promise<Questions> {
  const scratch = temporaryFolder();
  try {
    const files = 'files' in input ? input.files : splitFiles(input.dataset, input.split);
    const { file, text, others } = await readTables(db, files, scratch.path);
    const numbered = `read_parquet(${literal(file)}, file_row_number = true)`;
    const names = others.map(({ name }) => name);
    const columns = others.map(({ name, sql }) => (sql === undefined ? quote(name) : `${sql} as ${quote(name)}`));
    return {
      count: await db.value<number>(`select count(*)::integer from read_parquet(${literal(file)})`),
      hasLabels: names.includes('label'),
      texts: async (from, size) => {
        const rows = await db.rows<{ text: string | null }>(
          `select ${text} as text from ${numbered} where file_row_number between ${from} and ${from + size - 1} order by file_row_number`,
        );
        return rows.map((row, i) => {
          if (row.text) return row.text;
          throw new UserError('questions.text', `questions: no text in row ${from + i + 1}; each row needs one`);
        });
      },
      labels: async () => {
        const label = others.find(({ name }) => name === 'label')?.sql ?? 'label';
        const kind = names.includes('kind');
        const read = await db.columns<{ label: Int32Array; kind?: string[] }>(
          `select cast(${label} as INTEGER) as label${kind ? ', kind' : ''} from ${numbered} order by file_row_number`,
        );
        return { label: read.label, kind: read.kind };
      },
      source: `select ${[...columns, 'cast(file_row_number as INTEGER) as place'].join(', ')} from ${numbered}`,
      close: scratch.remove,
    };
  } catch (cause) {
    scratch.remove();
    throw cause;
  }
}

/** Labelled rows that are in memory already; the table `asked` holds all but their texts. */
export async function questionsOfRows(db: Database, rows: readonly PairRow[]): Promise<Questions> {
  const label = Int32Array.from(rows, (row) => row.label);
  const place = Int32Array.from(rows.keys());
  await db.createTable('asked', {
    place: { type: 'INTEGER', values: place },
    row: { type: 'INTEGER', values: place },
    label: { type: 'INTEGER', values: label },
  });
  return {
    count: rows.length,
    hasLabels: true,
    texts: async (from, size) => rows.slice(from, from + size).map(({ input }) => input),
    labels: async () => ({ label, kind: undefined }),
    source: 'select * from asked',
    close: () => {},
  };
}

type Source = {
  readonly file: string;
  readonly text: string;
  readonly others: readonly { readonly name: string; readonly sql?: string }[];
};

function splitFiles(dataset: string, split: Split): readonly string[] {
  const files = datasetFiles(dataset)[split];
  if (files.length === 0) throw new UserError('questions.missing', `questions: no ${split} split in ${dataset}; name one that it has`);
  return files;
}

async function readTables(db: Database, files: readonly string[], scratch: string): Promise<Source> {
  const missing = files.find((one) => !existsSync(one));
  if (missing !== undefined)
    throw new UserError('questions.missing', `questions: file not found: ${missing}; name the file that er resolve wrote`);
  const first = files[0]!;
  const isParquet = extname(first) === '.parquet';
  let file = first;
  if (files.length > 1 || !isParquet) {
    file = join(scratch, 'questions.parquet');
    const list = `[${files.map(literal).join(', ')}]`;
    // CSV as text: a number of many digits or with leading zeros stays as it is written.
    const csv = `read_csv(${list}, header = true, all_varchar = true)`;
    const reader = isParquet ? `read_parquet(${list})` : /^\.jsonl?$/.test(extname(first)) ? `read_json(${list})` : csv;
    await readingFile(first, () => db.writeParquet(`select * from ${reader}`, file, { groupRows: 4096 }));
  }
  const names = (await readingFile(first, () => db.describe(`read_parquet(${literal(file)})`))).map(({ name }) => name);
  const plain = (without: readonly string[]) => names.filter((name) => !without.includes(name)).map((name) => ({ name }));
  if (names.includes('messages') && !names.includes('text'))
    return { file, text: 'messages[1].content', others: [...plain(['messages', 'label']), { name: 'label', sql: labelOfChat }] };
  requireColumns(['text'], names, { part: 'questions', code: 'questions.column', file: first });
  return { file, text: 'text', others: plain(['text']) };
}
