import type { Command } from 'commander';
import { z } from 'zod';

import { evidenceMetrics } from '../../apps/entity-resolution/evidence-metrics.ts';
import { trainEvidence } from '../../apps/entity-resolution/evidence-train.ts';
import { writeJson } from '../../base/files.ts';
import { countOption, threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import { folderSchema, inOption } from './options.ts';

const schema = z.strictObject({
  in: folderSchema,
  out: z.string().min(1),
  metrics: z.string().min(1).optional(),
  seed: countOption,
  ablations: z.boolean().default(false),
  test: z.array(folderSchema).default([]),
  threads: threadsSchema,
});

/** `clinfuse er evidence-train`: fits both evidence models and writes the model and its card. */
export function evidenceTrainCommand(): Command {
  return verb({
    name: 'evidence-train',
    summary: 'learns demographic and clinical evidence from records whose truth is known',
    example: 'clinfuse er evidence-train --in output/training/augmented --out models/evidence.json --seed 42 --ablations',
    options: [
      { ...inOption, help: 'run folder with metadata/ground_truth.parquet' },
      { flags: '--out <file>', help: 'model file to write; the model card goes beside it as .md', required: true },
      { flags: '--metrics <file>', help: 'also write the held-out figures as eval_* JSON, for clinfuse registry promote' },
      { flags: '--seed <number>', help: 'decides folds and samples', default: 42 },
      { flags: '--ablations', help: 'also measure without parts of the evidence (several times the time)' },
      { flags: '--test <folders...>', help: 'other run folders with truth to measure the model on' },
      threadsOption,
    ],
    schema,
    run: async ({ in: folder, out, metrics, seed, ablations, test, threads }, { progress }) => {
      const figures = await trainEvidence({
        folder,
        out,
        seed,
        withAblations: ablations,
        testFolders: test,
        command: commandLine({ seed, ablations, tests: test.length }),
        threads,
        progress,
      });
      if (metrics !== undefined) await writeJson(metrics, await evidenceMetrics(folder, figures));
      const { balanced, fused } = figures.heldOut;
      return {
        text: `held-out patients: clinical evidence on balanced pairs F1 ${balanced.f1.toFixed(4)}; with demographics ${fused.pairs.f1.toFixed(4)} pairs, ${fused.clustered.f1.toFixed(4)} clustered; ${out}`,
        json: figures,
      };
    },
  });
}

/** The command without this machine's places, so that the card is the same wherever it is made. */
function commandLine({ seed, ablations, tests }: { readonly seed: number; readonly ablations: boolean; readonly tests: number }): string {
  const parts = ['clinfuse er evidence-train --in FOLDER --out FILE', `--seed ${seed}`];
  if (ablations) parts.push('--ablations');
  if (tests > 0) parts.push(`--test ${'FOLDER '.repeat(tests).trim()}`);
  return parts.join(' ');
}
