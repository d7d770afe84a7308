// Where questions come from and where their answers go: a file of pairs with a column `text` (Parquet or CSV), or a split of a pair data set.
// Files may hold far more text than memory: rows are read in windows, by their number, from Parquet; a CSV is turned into Parquet first.

import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';

import { UserError } from '../../../base/errors.ts';
import { temporaryFolder } from '../../../base/files.ts';
import { requireColumns } from '../../../sql/columns.ts';
import { type Database, literal, quote, readingFile } from '../../../sql/duckdb.ts';
import { datasetFiles } from '../../../training/dataset-files.ts';
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
 * Opens a file of pairs, or a split of a data set.
 *
 * @throws UserError `questions.missing`, `questions.column`, those of the data set
 */
export async function openQuestions(
  db: Database,
  input: { readonly file: string } | { readonly dataset: string; readonly split: 'train' | 'validation' | 'test' },
): Promise<Questions> {
  const scratch = temporaryFolder();
  try {
    const { file, text, others } =
      'file' in input ? await pairsFile(db, input.file, scratch.path) : await datasetFile(db, input, scratch.path);
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

async function pairsFile(db: Database, file: string, scratch: string): Promise<Source> {
  if (!existsSync(file))
    throw new UserError('questions.missing', `questions: file not found: ${file}; name the file that er resolve wrote`);
  let parquet = file;
  if (extname(file) !== '.parquet') {
    parquet = join(scratch, 'questions.parquet');
    // As text: a number of many digits or with leading zeros stays as it is written.
    await readingFile(file, () =>
      db.writeParquet(`select * from read_csv(${literal(file)}, header = true, all_varchar = true)`, parquet, { groupRows: 4096 }),
    );
  }
  const names = (await readingFile(file, () => db.describe(`read_parquet(${literal(parquet)})`))).map(({ name }) => name);
  requireColumns(['text'], names, { part: 'questions', code: 'questions.column', file });
  return { file: parquet, text: 'text', others: names.filter((name) => name !== 'text').map((name) => ({ name })) };
}

async function datasetFile(
  db: Database,
  { dataset, split }: { readonly dataset: string; readonly split: 'train' | 'validation' | 'test' },
  scratch: string,
): Promise<Source> {
  const files = datasetFiles(dataset)[split];
  if (files.length === 0) throw new UserError('questions.missing', `questions: no ${split} split in ${dataset}; name one that it has`);
  const list = `[${files.map(literal).join(', ')}]`;
  const reader = extname(files[0]!) === '.parquet' ? `read_parquet(${list})` : `read_json(${list})`;
  const file = join(scratch, 'questions.parquet');
  await readingFile(files[0]!, () => db.writeParquet(`select * from ${reader}`, file, { groupRows: 4096 }));
  const names = (await db.describe(`read_parquet(${literal(file)})`)).map(({ name }) => name);
  requireColumns(['messages'], names, { part: 'questions', code: 'questions.column', file: files[0]! });
  const others = names.filter((name) => name !== 'messages' && name !== 'label').map((name) => ({ name }));
  return { file, text: 'messages[1].content', others: [...others, { name: 'label', sql: labelOfChat }] };
}
