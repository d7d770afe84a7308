import type { Command } from 'commander';
import { z } from 'zod';

import { pairTrainingSettings, trainPairs, trainPairsWithEngine } from '../../../apps/entity-resolution/llm/train.ts';
import type { EngineFolder } from '../../../apps/llm/engine.ts';
import { readTrainingYaml, settingsFromFlags } from '../../../training/training-settings.ts';
import { finishOnInterrupt } from '../../interrupt.ts';
import { elsewhereOptions, elsewhereSchema, isElsewhere, runElsewhere } from '../../job/elsewhere.ts';
import { checkEngineOptions, engineOptions, engineSchemas, launcher, tellFolder } from '../../llm/engine.ts';
import { interrupted, settingFlags, tellPlan, tellReport } from '../../llm/train.ts';
import { countOption, threadsSchema } from '../../option-schemas.ts';
import { threadsOption, type VerbOption, verb } from '../../verb.ts';
import { folderSchema } from '../options.ts';

const schema = z.looseObject({
  model: z.string().min(1),
  dataset: folderSchema,
  out: folderSchema,
  maxSamples: countOption,
  maxValidation: countOption,
  settings: z.string().min(1).optional(),
  resume: z.boolean().optional(),
  resumeOrRestart: z.boolean().optional(),
  ...engineSchemas,
  threads: threadsSchema,
  ...elsewhereSchema,
});

/** What the reference's training script calls some settings: still understood, not shown. */
const olderNames: Readonly<Record<string, string>> = {
  loraR: 'rank',
  loraAlpha: 'alpha',
  gradAccum: 'accumulation',
  lr: 'learningRate',
  warmupSteps: 'warmup',
};

const olderFlags: readonly VerbOption[] = [
  ...Object.entries(olderNames).map(([name, now]) => ({
    flags: `--${kebab(name)} <value>`,
    help: `the same as --${kebab(now)}`,
    hidden: true,
  })),
  { flags: '--no-quantize', help: 'the same as --quantize none', hidden: true },
  { flags: '--gradient-checkpointing', help: 'the same as --recompute all', hidden: true },
];

/** `clinfuse er llm train`: fine-tunes a language model on questions about pairs of records. */
export function trainCommand(): Command {
  return verb({
    name: 'train',
    summary: 'fine-tunes a language model to tell whether two histories are one patient’s',
    example: 'clinfuse er llm train --model text-only-base --dataset output/training/dataset --out output/training/train --epochs 1',
    options: [
      { flags: '--model <path>', help: 'Hugging Face folder or GGUF file of the base model', required: true },
      { flags: '--dataset <folder>', help: 'what prepare-dataset wrote', required: true },
      { flags: '--out <folder>', help: 'folder of the run: adapter, checkpoints, log, training_metrics.json', required: true },
      { flags: '--max-samples <count>', help: 'most training questions, half of each class; 0: all', default: 0 },
      { flags: '--max-validation <count>', help: 'most validation questions; 0: all', default: 0 },
      { flags: '--settings <file>', help: 'YAML file of the settings below; flags overrule it' },
      { flags: '--resume', help: 'go on from the newest checkpoint' },
      { flags: '--resume-or-restart', help: 'the same if it is of this very run, else begin anew in its place: for pipelines' },
      ...engineOptions,
      ...settingFlags,
      ...olderFlags,
      threadsOption,
      ...elsewhereOptions,
    ],
    schema,
    run: async ({ on, timeOut, cancel, ...typed }, context) => {
      checkEngineOptions(typed);
      const { model, dataset, out, maxSamples, maxValidation, settings: file, resume, resumeOrRestart, ...others } = typed;
      const { engine, processes = 1, threads, ...given } = others;
      const { progress, log } = context;
      const place = { on, timeOut, cancel };
      if (isElsewhere(place)) {
        // Another machine has no checkpoints to go on from: there the second of its words always holds.
        const { out: _, resumeOrRestart: __, ...options } = typed;
        const outputs = ['training_metrics.json', 'validation_predictions.parquet', 'adapter/adapter_config.json'];
        const what = { stage: 'train', verb: ['er', 'llm', 'train'], options, inputs: ['model', 'dataset', 'settings'], outputs } as const;
        return runElsewhere(place, { ...what, output: out, kind: 'folder', out: '' }, context);
      }
      const said = { ...(file && readTrainingYaml(file)), ...settingsFromFlags(translated(given)) };
      const settings = pairTrainingSettings(said, engine);
      const asked = {
        ...{ model, dataset, out, maxSamples, maxValidation, settings, progress, clock: Date.now },
        resume: resumeOrRestart ? ('or-restart' as const) : resume === true,
      };
      if (engine) {
        const signal = finishOnInterrupt(`stopping ${engine}`);
        const onWritten = (written: EngineFolder) => log(tellFolder(written));
        const trained = await trainPairsWithEngine({ ...asked, engine, processes, signal, onWritten, launch: launcher(engine, log) });
        return trained === 'interrupted' ? interrupted : { text: tellReport(trained.report, out), json: trained.metrics };
      }
      const { report, metrics } = await trainPairs({
        ...asked,
        memory: 0.95 * process.availableMemory(),
        signal: finishOnInterrupt('finishing the step at hand and saving it'),
        ...(threads && { threads }),
        onPlan: (prepared) => log(tellPlan(prepared)),
      });
      return { text: tellReport(report, out), json: metrics, ...(report.ended === 'interrupted' && { exitCode: 130 }) };
    },
  });
}

/** Flags under the names that settings have now. `--max-steps 0` says: as many as the epochs need. */
function translated(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { quantize, gradientCheckpointing, maxSteps, ...others } = given;
  return {
    ...Object.fromEntries(Object.entries(others).map(([name, value]) => [olderNames[name] ?? name, value])),
    ...(quantize === false ? { quantize: 'none' } : typeof quantize === 'string' ? { quantize } : {}),
    ...(gradientCheckpointing === true && { recompute: 'all' }),
    ...(maxSteps !== undefined && maxSteps !== '0' && { maxSteps }),
  };
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}
