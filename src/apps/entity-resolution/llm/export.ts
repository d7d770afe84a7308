// The champion as a model of its own: base and adapter merged into a folder that transformers loads, with the calibration beside it. What the
// promotion gate turned down is not exported, and that is a result, not a fault: export_info.json says so, and the champion's model, where one
// was exported before, stays as it is.

import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../../base/errors.ts';
import { temporaryFolder, writeFolder, writeJson } from '../../../base/files.ts';
import type { Progress } from '../../../base/progress.ts';
import { Database } from '../../../sql/duckdb.ts';
import { mergeAdapter } from '../../llm/merge.ts';
import { inferPairs } from './infer.ts';
import { openQuestions } from './questions.ts';

export type ExportPairsOptions = {
  readonly model: string;
  readonly adapter: string;
  /** promotion_decision.json. */
  readonly decision: string;
  /** Folder: `model/` and `export_info.json`. */
  readonly out: string;
  /** Data set whose test split the merged model is measured on. */
  readonly validate?: string | undefined;
  readonly maxLength: number;
  /** Where on the hub it goes, for export_info.json. */
  readonly repository?: string | undefined;
  readonly threads?: number | undefined;
  readonly progress: Progress;
  readonly log: (line: string) => void;
  readonly clock: () => number;
};

export type ExportInfo =
  | { readonly skipped: true; readonly reason: 'model_not_promoted' }
  | {
      readonly timestamp: string;
      readonly hf_repo: string | null;
      readonly base_model: string;
      readonly adapter_repo: string;
      readonly params: Readonly<Record<string, unknown>>;
      readonly test_f1?: number;
      readonly test_accuracy?: number;
      readonly test_precision?: number;
      readonly test_recall?: number;
    };

const decisionFile = z.looseObject({ promoted: z.boolean(), model_version: z.int().optional() });

/**
 * Merges what was promoted.
 *
 * @throws UserError `export.decision` without a readable decision (nothing is exported unasked), those of merging and of inference
 */
export async function exportPairs(options: ExportPairsOptions): Promise<ExportInfo> {
  const { model, adapter, decision, out, validate, maxLength, threads, progress, log, clock } = options;
  const { promoted, model_version: version } = readDecision(decision);
  if (!promoted) {
    const info = { skipped: true, reason: 'model_not_promoted' } as const;
    await writeJson(join(out, 'export_info.json'), info);
    return info;
  }
  return writeFolder(out, { names: ['model', 'export_info.json'], inputs: [adapter] }, async (folder) => {
    const info = await exportInto(join(folder, 'model'));
    await writeJson(join(folder, 'export_info.json'), info);
    return info;
  });

  async function exportInto(place: string): Promise<ExportInfo> {
    const merged = await mergeAdapter({ model, adapter, out: place, threads, progress, log });
    const calibration = join(adapter, 'calibration.json');
    if (existsSync(calibration)) copyFileSync(calibration, join(place, 'calibration.json'));
    const params = { modules: merged.modules, format: merged.format, onto: merged.onto, model_version: version ?? null };
    const measured = validate === undefined ? {} : await measureMerged(place, validate);
    return {
      timestamp: new Date(clock()).toISOString(),
      hf_repo: options.repository ?? null,
      base_model: model,
      adapter_repo: adapter,
      params,
      ...measured,
    };
  }

  async function measureMerged(place: string, dataset: string) {
    await using db = await Database.open({ threads });
    const questions = await openQuestions(db, { dataset, split: 'test' });
    const scratch = temporaryFolder();
    try {
      const { metrics } = await inferPairs(db, questions, {
        ...{ model: place, out: join(scratch.path, 'test.parquet'), maxLength, batchSize: 16, storage: 'stored', threads, progress, clock },
      });
      const { f1, accuracy, precision, recall } = metrics!;
      return { test_f1: f1, test_accuracy: accuracy, test_precision: precision, test_recall: recall };
    } finally {
      questions.close();
      scratch.remove();
    }
  }
}

/** @throws UserError `export.decision` */
export function readDecision(file: string): z.infer<typeof decisionFile> {
  if (!existsSync(file)) throw new UserError('export.decision', `export: no promotion decision: ${file}; run promote first`);
  try {
    return decisionFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw new UserError('export.decision', `export: not a promotion decision: ${file}; run promote again`, { cause });
  }
}
