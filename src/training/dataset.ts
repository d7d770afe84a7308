// Data sets as rows. A row's form is told by its columns:
//
//   messages                      a chat: [{ role, content }...]; every assistant turn is learned
//   prompt, completion            two texts, or two lists of messages; the completion is learned
//   text                          plain text; all of it is learned
//   text or messages, and label   (classification) a class by number or by name
//
// Messages about bad rows name the file and the row and never show what is in it.

import { createReadStream, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { random } from '../base/random.ts';
import type { ChatMessage } from '../models/chat-template.ts';
import { Database, literal, readingFile } from '../sql/duckdb.ts';
import { datasetFiles, type Split } from './dataset-files.ts';

export type Row = RowForm & {
  /** Where it stands, for messages: file, and row from 1 (in JSONL the line). */
  readonly place: string;
};

export type RowForm =
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[] /** First message that is learned. */; readonly from: number }
  | { readonly kind: 'pair'; readonly prompt: string; readonly completion: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'class'; readonly input: string | readonly ChatMessage[]; readonly label: number | string };

/** `causal`: the next token is learned; `class`: the row's label. */
export type Task = 'causal' | 'class';

export type DatasetOptions = {
  readonly task: Task;
  readonly config?: string | undefined;
  /** Share of the training rows that is held out where the data set has no validation split. */
  readonly validationShare?: number | undefined;
  readonly seed: number;
};

/**
 * Reads the training and validation rows of a file or a folder. `heldOut`: the validation rows were taken from the training split.
 *
 * @throws UserError `dataset.missing`, `dataset.format`, `dataset.config`, `dataset.row`, `dataset.columns`
 */
export async function readDataset(
  path: string,
  { task, config, validationShare = 0, seed }: DatasetOptions,
): Promise<{ readonly train: readonly Row[]; readonly validation: readonly Row[]; readonly heldOut: boolean }> {
  const train = await readSplit(path, { split: 'train', task, config });
  if (train.length === 0)
    throw new UserError('dataset.missing', `dataset: no training rows in ${path}; name a file or folder that has some`);
  const validation = await readSplit(path, { split: 'validation', task, config });
  if (validation.length > 0 || validationShare === 0) return { train, validation, heldOut: false };
  const held = holdOut(train, { share: validationShare, seed });
  return { train: held.kept, validation: held.held, heldOut: true };
}

/** Reads the rows of one split; none when the data set has no such split. */
export async function readSplit(
  path: string,
  { split, task, config }: { readonly split: Split; readonly task: Task; readonly config?: string | undefined },
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const file of datasetFiles(path, { config })[split]) {
    for await (const { value, place } of records(file)) rows.push({ ...rowForm(value, { task, place }), place });
  }
  return rows;
}

/**
 * Takes a share of the items away, drawn by the seed; both parts keep their order. At least one stays in each part where there are two.
 *
 * @example holdOut([1, 2, 3, 4], { share: 0.25, seed: 1 }) // one of the four is held
 */
export function holdOut<T>(
  items: readonly T[],
  { share, seed }: { readonly share: number; readonly seed: number },
): { readonly kept: readonly T[]; readonly held: readonly T[] } {
  const count = items.length < 2 || share <= 0 ? 0 : Math.min(items.length - 1, Math.max(1, Math.round(items.length * share)));
  const chosen = new Set(
    random(seed, 'held out')
      .shuffle([...items.keys()])
      .slice(0, count),
  );
  return { kept: items.filter((_, i) => !chosen.has(i)), held: items.filter((_, i) => chosen.has(i)) };
}

type Found = { readonly value: unknown; readonly place: string };

async function* records(file: string): AsyncGenerator<Found> {
  if (extname(file) === '.parquet') yield* parquet(file);
  else if (extname(file) === '.jsonl') yield* lines(file);
  else yield* wholeJson(file);
}

async function* lines(file: string): AsyncGenerator<Found> {
  let row = 0;
  for await (const line of createInterface({ input: createReadStream(file, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY })) {
    row += 1;
    const text = row === 1 ? line.replace(/^\ufeff/, '') : line;
    const place = `${file} row ${row}`;
    if (text.trim() !== '') yield { value: fromJson(text, place), place };
  }
}

/** A .json file: one list of objects, or lines after all. */
async function* wholeJson(file: string): AsyncGenerator<Found> {
  const text = readFileSync(file, 'utf8').replace(/^\ufeff/, '');
  if (!text.trimStart().startsWith('[')) {
    yield* lines(file);
    return;
  }
  const list = fromJson(text, file) as readonly unknown[];
  for (const [i, value] of list.entries()) yield { value, place: `${file} row ${i + 1}` };
}

async function* parquet(file: string): AsyncGenerator<Found> {
  await using database = await Database.open();
  const json: (string | null)[] = [];
  // Through JSON: a chat is a list of structs, which has no column type of its own on our side.
  const query = `select to_json(row)::varchar as json from read_parquet(${literal(file)}) as row`;
  await readingFile(file, () => database.eachChunk<{ readonly json: (string | null)[] }>(query, (chunk) => json.push(...chunk.json)));
  for (const [i, text] of json.entries()) {
    const place = `${file} row ${i + 1}`;
    yield { value: fromJson(text ?? 'null', place), place };
  }
}

/** The parser's own words quote the text, so they are left out. */
function fromJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError('dataset.row', `dataset: not JSON: ${place}; each row must be one JSON object`);
  }
}

const messages = z.array(z.looseObject({ role: z.string().min(1), content: z.string() })).min(1);
const chat = z.object({ messages });
const chatPair = z.object({ prompt: messages, completion: messages });
const textPair = z.object({ prompt: z.string(), completion: z.string().min(1) });
const text = z.object({ text: z.string().min(1) });
const label = z.object({ label: z.union([z.int(), z.string().min(1)]) });

/** What a row is, by its columns. */
function rowForm(value: unknown, { task, place }: { readonly task: Task; readonly place: string }): RowForm {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UserError('dataset.row', `dataset: not an object: ${place}; each row must be one JSON object`);
  }
  const has = (name: string) => (value as Record<string, unknown>)[name] !== undefined && (value as Record<string, unknown>)[name] !== null;
  const read = <T>(schema: z.ZodType<T>): T => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues[0]?.path.join('.') || 'row';
    throw new UserError('dataset.row', `dataset: bad value in ${place}: ${where}; ${expected[task]}`);
  };
  if (task === 'class') {
    if (has('label') && has('messages')) return { kind: 'class', input: read(chat).messages, label: read(label).label };
    if (has('label') && has('text')) return { kind: 'class', input: read(text).text, label: read(label).label };
  } else {
    if (has('messages')) return { kind: 'chat', messages: read(chat).messages, from: 0 };
    if (has('prompt') && has('completion')) {
      if (typeof (value as { readonly prompt: unknown }).prompt === 'string') return { kind: 'pair', ...read(textPair) };
      const { prompt, completion } = read(chatPair);
      return { kind: 'chat', messages: [...prompt, ...completion], from: prompt.length };
    }
    if (has('text')) return { kind: 'text', text: read(text).text };
  }
  const columns = Object.keys(value).join(', ') || 'none';
  throw new UserError('dataset.columns', `dataset: columns not understood: ${columns} in ${place}; ${expected[task]}`);
}

const expected: Readonly<Record<Task, string>> = {
  causal: 'expected messages, or prompt and completion, or text',
  class: 'expected text or messages, and label (a number or a name)',
};
