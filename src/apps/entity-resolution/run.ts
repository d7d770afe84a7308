// The main job in one call: resolve, infer, golden records, baselines where the truth is known, report.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { writeFolder, writeJson } from '../../base/files.ts';
import type { Progress } from '../../base/progress.ts';
import { type BaselineComparison, evaluateBaselines } from './evaluate-baselines.ts';
import { goldenRecords } from './golden-records.ts';
import { infer, loadEvidenceModel } from './infer.ts';
import { writeReport } from './report/write-report.ts';
import { resolve } from './resolve.ts';
import { openSession } from './session.ts';
import type { Parameters } from './settings.ts';

type Scores = { readonly precision: number; readonly recall: number; readonly f1: number };

/** What a run found; the last four only where the run folder holds ground truth. */
export type RunResult = {
  readonly records: number;
  readonly facilities: number;
  readonly patients: number;
  readonly candidates: number;
  readonly pairwise?: Scores;
  readonly bCubed?: Scores;
  readonly clusters?: {
    readonly splitPatients: number;
    readonly impureClusters: number;
    readonly completeness: number;
    readonly perfectResolutionRate: number;
    readonly truePatients: number;
  };
  readonly baselines?: BaselineComparison;
  /** Wall-clock seconds of each stage. */
  readonly seconds: Readonly<Record<string, number>>;
  readonly peakRssMb: number;
};

/** Folders and files of a run's output. */
export const runOutputs = ['resolved', 'inferred', 'golden_records', 'baselines', 'report', 'run.json'];

export type RunOptions = {
  readonly folder: string;
  readonly out: string;
  /** `evidence` (the model that comes with the package) or a model file. */
  readonly model: string;
  readonly parameters: Parameters;
  readonly threads?: number | undefined;
  readonly progress: Progress;
  /** Peak memory of this process so far, in MB. */
  readonly peakRssMb: () => number;
};

/**
 * Joins the records of a run folder into patients and writes everything into `out`: whole, or not at all.
 *
 * @throws UserError for a folder, model or output place that cannot be used
 */
export async function run({ folder, out, model: modelPath, parameters, threads, progress, peakRssMb }: RunOptions): Promise<RunResult> {
  const model = loadEvidenceModel(modelPath);
  return writeFolder(out, { names: runOutputs, inputs: [folder] }, async (place) => {
    const seconds: Record<string, number> = {};
    const timed = async <T>(stage: string, work: () => Promise<T>): Promise<T> => {
      const start = performance.now();
      const result = await work();
      seconds[stage] = Math.round(performance.now() - start) / 1000;
      return result;
    };
    const into = (stage: string) => {
      const path = join(place, stage);
      mkdirSync(path);
      return path;
    };
    await using session = await timed('open', () => openSession(folder, { threads, progress }));
    const resolved = await timed('resolve', () => resolve(session, { parameters, model, out: into('resolved') }));
    const { pairs } = await timed('infer', () => infer(session, { pairs: resolved.pairs, model, parameters, out: into('inferred') }));
    const golden = await timed('goldenRecords', () => goldenRecords(session, { pairs, parameters, out: into('golden_records') }));
    const { metrics } = golden;
    const baselines =
      metrics && (await timed('baselines', () => evaluateBaselines(session, { pairs, metrics, parameters, out: into('baselines') })));
    const result: RunResult = {
      records: session.recordCount,
      facilities: session.folder.facilities.length,
      patients: golden.patients,
      candidates: pairs.left.length,
      ...(metrics && {
        pairwise: scores(metrics.pairwise),
        bCubed: scores(metrics.b_cubed),
        clusters: {
          splitPatients: metrics.split_patients,
          impureClusters: metrics.impure_clusters,
          completeness: metrics.completeness,
          perfectResolutionRate: metrics.perfect_resolution_rate,
          truePatients: metrics.num_true_patients,
        },
      }),
      ...(baselines && { baselines }),
      seconds,
      peakRssMb: peakRssMb(),
    };
    await writeJson(join(place, 'run.json'), result);
    await timed('report', () => writeReport({ run: place, folder, model, out: into('report'), progress }));
    const whole = { ...result, peakRssMb: peakRssMb() };
    await writeJson(join(place, 'run.json'), whole);
    return whole;
  });
}

function scores({ precision, recall, f1 }: Scores): Scores {
  return { precision, recall, f1 };
}
