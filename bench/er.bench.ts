// npm run bench -- er: the main job measured on the evaluation population, peers beside it in the same run.
//
// Everything that is fitted was fitted on the training population (models/evidence.json and, here, two weakened variants); the
// evaluation population is only scored. --quick leaves out growth and the two variants.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ablations } from '../src/apps/entity-resolution/evidence-ablations.ts';
import { loadEvidenceData } from '../src/apps/entity-resolution/evidence-data.ts';
import { fitEvidence } from '../src/apps/entity-resolution/evidence-fit.ts';
import { measureEvidence } from '../src/apps/entity-resolution/evidence-measure.ts';
import { loadEvidenceModel } from '../src/apps/entity-resolution/infer.ts';
import type { RunResult } from '../src/apps/entity-resolution/run.ts';
import { strictRules } from '../src/evidence/fusion.ts';
import { best, clinfuse } from './clinfuse.ts';
import { csvFolder, evaluation, growth, ingest, injectErrors, runFolders, segment, training } from './populations.ts';
import { atLeast, atMost, type Row } from './row.ts';
import { measureSplink } from './splink.ts';

type Run = Pick<RunResult, 'records' | 'patients' | 'seconds' | 'peakRssMb'> &
  Required<Pick<RunResult, 'pairwise' | 'bCubed' | 'clusters'>>;

export async function* bench({ quick }: { readonly quick: boolean }): AsyncGenerator<Row> {
  const scratch = mkdtempSync(join(tmpdir(), 'clinfuse-bench-'));
  try {
    yield* preparation(scratch, quick);
    yield* accuracy(scratch, quick);
    yield* linkageAlone(scratch);
    if (!quick) yield* clinicalAlone();
    if (!quick) yield* growing(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** CSV to run folder: what the reference took on another machine, as its users saw it. */
function* preparation(scratch: string, quick: boolean): Generator<Row> {
  csvFolder(evaluation);
  const times = quick ? 1 : 3;
  const parquet = best(times, () => ingest(evaluation, join(scratch, 'parquet')));
  yield atMost('CSV to Parquet, 2.5 GB', parquet.seconds, 18, 's', { peer: 'reference 27 s' });
  const segmented = best(times, () => segment(evaluation, join(scratch, 'parquet'), join(scratch, 'segmented')));
  yield atMost('segment', segmented.seconds, 10, 's', { peer: 'reference 22.5 s' });
  const damaged = best(times, () => injectErrors(evaluation, join(scratch, 'segmented'), join(scratch, 'augmented')));
  yield atMost('inject-errors', damaged.seconds, 4, 's', { peer: 'reference 10.4 s' });
}

function* accuracy(scratch: string, quick: boolean): Generator<Row> {
  const { augmented } = runFolders(evaluation);
  const run = best(quick ? 1 : 3, () => job(augmented, join(scratch, 'out')));
  const { pairwise, clusters, peakRssMb } = run.output;
  const metrics = readJson<{ f1_score: number; calibration_error: number }>(scratch, 'out', 'golden_records', 'evaluation_metrics.json');
  yield atLeast('F1, learned demographics + clinical, pairs', metrics.f1_score, 0.99, '', { peer: 'prototype 0.9944' });
  yield atLeast('F1, learned demographics + clinical, clustered', pairwise.f1, 0.996, '', { peer: 'prototype 0.9979' });
  yield atMost(`split patients of ${clusters.truePatients}`, clusters.splitPatients, 20, '', { peer: 'published 115' });
  yield atMost('clusters that mix people', clusters.impureClusters, 0);
  const em = job(augmented, join(scratch, 'em'), '--demographics', 'em');
  yield atLeast('F1, EM + clinical, clustered, no demographic labels', em.output.pairwise.f1, 0.99, '', { peer: 'published 0.916' });
  yield atMost('run folder to golden records', run.seconds, 30, 's', { peer: 'reference about 2 h with a GPU' });
  yield atMost('peak memory', peakRssMb, 2560, 'MB', { peer: 'reference killed at 23 GB' });
  const { throughput } = readJson<{ throughput: number }>(scratch, 'out', 'inferred', 'inference_metrics.json');
  yield atLeast('gray-zone scoring', throughput, 50_000, 'pairs/s', { peer: 'published 20 on an H100' });
  yield atMost('calibration error of the posterior among candidates', metrics.calibration_error, 0.005);
}

/**
 * The clinical model alone on balanced pairs (as many random strangers as true pairs), and both evidences with body sizes blurred by
 * 1 cm and 1 kg and no timing features, in fitting and in scoring. Nobody here was trained on.
 */
async function* clinicalAlone(): AsyncGenerator<Row> {
  const seed = 42;
  const data = await loadEvidenceData(runFolders(evaluation).augmented);
  const { balanced } = measureEvidence({ model: loadEvidenceModel('evidence'), data, rules: strictRules, seed });
  yield atLeast('balanced-pair F1, clinical histories alone, other patients', balanced.f1, 0.985, '', { peer: 'published 0.963' });
  const ablation = ablations.find(({ hidden, change }) => hidden && change)!;
  const learned = ablation.change!(await loadEvidenceData(runFolders(training).augmented), seed);
  const model = { ...fitEvidence({ data: learned, seed, rules: strictRules, hidden: ablation.hidden! }), metadata: {} };
  const { fused, emFused } = measureEvidence({ model, data: ablation.change!(data, seed), rules: strictRules, seed });
  yield atLeast('F1, bodies blurred, no timing, learned, clustered', fused.clustered.f1, 0.985, '', { peer: 'prototype 0.999' });
  yield atLeast('F1, bodies blurred, no timing, EM, clustered', emFused.clustered.f1, 0.985, '', { peer: 'prototype 0.987' });
}

/** Linkage by demographics alone, the reference's comparisons and rules: accuracy beside Splink 4, time beside Splink 5. */
async function* linkageAlone(scratch: string): AsyncGenerator<Row> {
  const { augmented } = runFolders(evaluation);
  const { ours, splink4, splink5 } = await measureSplink(augmented, scratch);
  const peer4 = splink4 ? `Splink ${splink4.version}: ${splink4.bestF1.toFixed(4)}` : 'Splink 4 not installed';
  const gap = Math.abs(ours.bestF1 - (splink4?.bestF1 ?? 0.758));
  yield {
    figure: 'F1, demographics only, Splink’s settings, best threshold',
    value: ours.bestF1,
    unit: '',
    peer: peer4,
    must: 'within 0.005 of Splink 4',
    ok: gap <= 0.005,
  };
  if (!splink5) {
    yield { figure: 'linkage alone, load to clusters', value: ours.seconds, unit: 's', peer: 'Splink 5 not installed', ok: true };
    return;
  }
  const ratio = splink5.seconds / ours.seconds;
  yield {
    figure: 'linkage alone, load to clusters',
    value: ours.seconds,
    unit: 's',
    peer: `Splink ${splink5.version}: ${splink5.seconds.toFixed(2)} s`,
    ratio,
    must: '>= 2x',
    ok: ratio >= 2,
  };
}

function* growing(scratch: string): Generator<Row> {
  const small = job(runFolders(evaluation).augmented, join(scratch, 'small'));
  const large = job(runFolders(growth).augmented, join(scratch, 'large'));
  yield atLeast('10,000 people: F1 clustered', large.output.pairwise.f1, 0.99);
  yield atMost('10,000 people: time against 2,500', large.seconds / small.seconds, 6, 'x', {
    peer: `${small.seconds.toFixed(1)} s and ${large.seconds.toFixed(1)} s`,
  });
  yield atMost('10,000 people: peak memory', large.output.peakRssMb, 6144, 'MB');
  yield atLeast(
    '10,000 people: true pairs that blocking keeps',
    readJson<{ blocking_recall: number }>(scratch, 'large', 'resolved', 'resolve_metrics.json').blocking_recall,
    0.995,
  );
}

function job(folder: string, out: string, ...more: readonly string[]) {
  return clinfuse<Run>('er', 'run', '--in', folder, '--out', out, ...more);
}

function readJson<T>(...path: readonly string[]): T {
  return JSON.parse(readFileSync(join(...path), 'utf8')) as T;
}
