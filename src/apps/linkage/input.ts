import { existsSync, readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { type LinkageSettings, settingsFault } from '../../linkage/settings.ts';
import { parseRule, readSplinkJson } from '../../linkage/splink-json.ts';
import { oneLine } from '../../linkage/sql-text.ts';
import type { TrainingPlan } from '../../linkage/training.ts';
import { type Database, literal, quote, readingFile } from '../../sql/duckdb.ts';
import { loadCsv } from './csv.ts';

const formats = ['.parquet', '.csv', '.jsonl', '.ndjson'];

/**
 * Makes a file of records a table or view. Columns of a CSV are text, and text in JSON lines stays text: a ZIP code, an id or a date is
 * what the file says, never a guess. Parquet keeps its types.
 *
 * @throws UserError `input.missing`, `input.format`, `input.unreadable`
 */
export async function loadTable(db: Database, file: string, table: string): Promise<void> {
  if (!existsSync(file)) throw new UserError('input.missing', `input: file not found: ${file}; name a ${formats.join(', ')} file`);
  const format = extname(file).toLowerCase();
  if (!formats.includes(format)) {
    throw new UserError('input.format', `input: unknown kind of file: ${file}; name a ${formats.join(', ')} file`);
  }
  await readingFile(file, async () => {
    if (format === '.parquet') await db.run(`create or replace view ${table} as from read_parquet(${literal(file)})`);
    else if (format === '.csv') await loadCsv(db, file, table);
    else await db.run(`create or replace table ${table} as from ${await jsonLines(db, file)}`);
  });
}

/** JSON lines with the types found in the whole file, except those that DuckDB reads into text. */
async function jsonLines(db: Database, file: string): Promise<string> {
  const read = (more: string) => `read_json(${literal(file)}, format = 'newline_delimited', ${more})`;
  const found = await db.describe(read('sample_size = -1'));
  const columns = found.map(({ name, type }) => `${quote(name)}: ${literal(type.replace(/\b(DATE|TIMESTAMP|TIME|UUID)\b/g, 'VARCHAR'))}`);
  return read(`columns = {${columns.join(', ')}}`);
}

const trainingSchema = z.strictObject({
  deterministic_rules: z.array(z.string()).optional(),
  recall: z.number().optional(),
  u_max_pairs: z.number().positive().optional(),
  em_rules: z.array(z.string()).min(1, 'needs at least one rule').optional(),
  max_pairs: z.number().positive().optional(),
  label_column: z.string().min(1).optional(),
});

/** A model file: Splink's JSON and, under `training`, how to train it. */
export type ModelFile = { readonly settings: LinkageSettings; readonly plan?: TrainingPlan };

/**
 * Reads a Splink model with its optional `training` block.
 *
 * @throws UserError `settings.missing`, `settings.json`, `linkage.settings`, `linkage.rule`
 */
export function readModelFile(file: string): ModelFile {
  if (!existsSync(file)) throw new UserError('settings.missing', `settings: file not found: ${file}; name a Splink model JSON`);
  const json = parseJson(file);
  if (json === null || typeof json !== 'object' || !('training' in json)) return { settings: readSplinkJson(json) };
  const { training, ...model } = json;
  const parsed = trainingSchema.safeParse(training);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw settingsFault({ path: ['training', ...issue.path], message: issue.message });
  }
  const { deterministic_rules, recall, u_max_pairs, em_rules = [], max_pairs, label_column } = parsed.data;
  return {
    settings: readSplinkJson(model),
    plan: {
      emRules: em_rules.map(parseRule),
      ...(deterministic_rules ? { deterministicRules: deterministic_rules.map(parseRule) } : {}),
      ...(recall === undefined ? {} : { recall }),
      ...(u_max_pairs === undefined ? {} : { samplePairs: u_max_pairs }),
      ...(max_pairs === undefined ? {} : { maxPairs: max_pairs }),
      ...(label_column === undefined ? {} : { labels: { column: label_column } }),
    },
  };
}

function parseJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new UserError('settings.json', `settings: not JSON: ${file}: ${oneLine((cause as Error).message)}; name a Splink model JSON`, {
      cause,
    });
  }
}

/** Sees that no output takes the place of an input or of another output. */
export function refuseSamePlace(inputs: readonly string[], outputs: readonly string[]): void {
  const taken = new Set(inputs.map((file) => resolve(file)));
  for (const output of outputs) {
    if (taken.has(resolve(output))) throw new UserError('output.overlap', `output: named twice: ${output}; write to another file`);
    taken.add(resolve(output));
  }
}
