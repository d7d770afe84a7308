import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { type RunResult, run } from '../../apps/entity-resolution/run.ts';
import { duration, thousands } from '../../base/text.ts';
import { threadsOption, verb } from '../verb.ts';
import { chosenParameters, demographicsOption, inOption, modelOption, modelShape, outOption, paramsOption } from './options.ts';

const schema = z.strictObject(modelShape);

/** `clinfuse er run`: the whole job on one run folder. */
export function runCommand(): Command {
  return verb({
    name: 'run',
    summary: 'the whole job: link, weigh histories, build golden records, evaluate, report',
    example: 'clinfuse er run --in examples/data --out output/demo',
    options: [inOption, outOption, modelOption, demographicsOption, paramsOption, threadsOption],
    schema,
    run: async ({ in: folder, out, model, threads, ...rest }, { progress }) => {
      const parameters = chosenParameters(rest);
      const result = await run({ folder, out, model, parameters, threads, progress, peakRssMb });
      const { records, patients, pairwise, bCubed, clusters, seconds, peakRssMb: peak } = result;
      return { text: tell(result, { folder, out }), json: { records, patients, pairwise, bCubed, clusters, seconds, peakRssMb: peak } };
    },
  });
}

function peakRssMb(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

/** Published figures of the system this one is compared with: another draw of the same simulated state, 2,922 patients. */
const published = { precision: 0.922, recall: 0.91, f1: 0.916, split: '115 of 2,922', mixed: '' };

function tell(result: RunResult, { folder, out }: { readonly folder: string; readonly out: string }): string {
  const { records, facilities, patients, candidates, seconds, peakRssMb: peak } = result;
  const total = Object.values(seconds).reduce((sum, value) => sum + value, 0);
  const stages = Object.entries(seconds).map(([stage, value]) => `${stage} ${value.toFixed(1)}`);
  return [
    '',
    `${folder}: ${thousands(records)} records of ${facilities} facilities are ${thousands(patients)} patients.`,
    `${thousands(candidates)} candidate pairs weighed by demographics and clinical history; ${duration(total)}, ${thousands(peak)} MB.`,
    ...(result.pairwise ? ['', ...resultTable(result)] : ['', 'No ground truth in this folder, so nothing to score against.']),
    '',
    `Patients   ${join(out, 'golden_records', 'golden_records.parquet')}`,
    `Report     ${join(out, 'report', 'report.html')}`,
    `Seconds    ${stages.join(', ')}`,
  ].join('\n');
}

function resultTable({ pairwise, clusters, baselines }: RunResult): string[] {
  const row = (name: string, precision: number, recall: number, f1: number, split: string, mixed: string) =>
    `${name.padEnd(46)}${precision.toFixed(3).padStart(9)}${recall.toFixed(3).padStart(9)}${f1.toFixed(4).padStart(9)}${split.padStart(15)}${mixed.padStart(8)}`;
  const scenarios = baselines?.scenarios;
  const baseline = (name: string, scenario: { pair_metrics: object; cluster_metrics: object } | undefined) => {
    if (!scenario) return [];
    const { precision, recall, f1_score } = scenario.pair_metrics as Record<string, number>;
    const { split_patients, impure_clusters } = scenario.cluster_metrics as Record<string, number>;
    return [row(name, precision!, recall!, f1_score!, String(split_patients), String(impure_clusters))];
  };
  return [
    `${''.padEnd(46)}${'precision'.padStart(9)}${'recall'.padStart(9)}${'F1'.padStart(9)}${'split patients'.padStart(15)}${'mixed'.padStart(8)}`,
    ...baseline('Splink’s settings, best threshold in hindsight', scenarios?.splink_best_f1),
    ...baseline('demographics alone, clustered', scenarios?.demographics_only),
    row(
      'demographics + clinical evidence (this run)',
      pairwise!.precision,
      pairwise!.recall,
      pairwise!.f1,
      `${clusters!.splitPatients} of ${thousands(clusters!.truePatients)}`,
      String(clusters!.impureClusters),
    ),
    row('published: Splink + 4B LLM on an H100', published.precision, published.recall, published.f1, published.split, published.mixed),
    '',
    'split: patients left in more than one piece; mixed: clusters that hold two people.',
  ];
}
