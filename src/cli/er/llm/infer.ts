import { statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';

import { pullQuestions } from '../../../apps/entity-resolution/llm/hub-questions.ts';
import { type InferPairsReport, inferPairs } from '../../../apps/entity-resolution/llm/infer.ts';
import { openQuestions } from '../../../apps/entity-resolution/llm/questions.ts';
import { UserError } from '../../../base/errors.ts';
import type { Progress } from '../../../base/progress.ts';
import { thousands } from '../../../base/text.ts';
import { claimRepository, type PushTarget, pushFiles } from '../../../models/push-files.ts';
import { storagePolicies } from '../../../models/storage.ts';
import { Database } from '../../../sql/duckdb.ts';
import { elsewhereOptions, elsewhereSchema, isElsewhere, runElsewhere } from '../../job/elsewhere.ts';
import { hubFor, offlineOption, repositorySchema, revisionSchema } from '../../llm/hub-access.ts';
import { countOption, threadsSchema } from '../../option-schemas.ts';
import { threadsOption, verb } from '../../verb.ts';

const path = z.string().min(1);
const positive = countOption.refine((count) => count > 0, { message: 'not a whole number from 1 up' });
const schema = z.strictObject({
  input: path.optional(),
  dataset: path.optional(),
  split: z.enum(['train', 'validation', 'test'], 'not one of train, validation, test').optional(),
  hfInput: revisionSchema.optional(),
  hfOutput: repositorySchema.optional(),
  public: z.boolean().default(false),
  offline: z.boolean().default(false),
  model: path,
  adapter: path.optional(),
  out: path,
  batchSize: positive,
  maxLength: positive,
  storage: z.enum(storagePolicies, `not one of ${storagePolicies.join(', ')}`).optional(),
  quantize: z.boolean().default(true),
  threads: threadsSchema,
  ...elsewhereSchema,
});

/** `clinfuse er llm infer`: what a language model makes of the histories of each pair. */
export function inferCommand(): Command {
  return verb({
    name: 'infer',
    summary: 'asks a language model about each pair: gray zone, a file with texts, or a split',
    example:
      'clinfuse er llm infer --input output/resolved/gray_zone_pairs.parquet --model text-only-base --adapter run/adapter --out predictions.parquet',
    options: [
      { flags: '--input <file>', help: 'pairs with a column text (.parquet, .csv), as er resolve writes them' },
      { flags: '--dataset <folder>', help: 'or a data set of prepare-dataset: figures are printed as well' },
      { flags: '--hf-input <owner/name>', help: 'or a data set of the Hugging Face Hub, OWNER/NAME or OWNER/NAME@REVISION' },
      { flags: '--split <name>', help: 'train, validation or test (default: test; of a data set of the hub: train)' },
      { flags: '--model <path>', help: 'model folder or GGUF file: merged, or the base of --adapter', required: true },
      { flags: '--adapter <folder>', help: 'adapter to put on it' },
      { flags: '--out <file>', help: 'predictions (.parquet or .csv); inference_metrics.json goes beside it', required: true },
      { flags: '--hf-output <owner/name>', help: 'with --hf-input: send predictions and metrics to this data set, as one commit; private' },
      { flags: '--public', help: 'let everybody see what is sent; without this nothing public is written to' },
      offlineOption,
      { flags: '--batch-size <count>', help: 'most pairs at once', default: 16 },
      { flags: '--max-length <tokens>', help: 'longest question; histories are cut to fit, record by record', default: 2048 },
      { flags: '--storage <form>', help: 'how weights are kept: f32, stored, int8, nf4 (default: as the adapter was trained, else nf4)' },
      { flags: '--no-quantize', help: 'the same as --storage f32' },
      threadsOption,
      ...elsewhereOptions,
    ],
    schema,
    run: async ({ on, timeOut, cancel, hfInput, hfOutput, public: isPublic, offline, ...typed }, context) => {
      const { input, dataset, split, quantize, storage, ...options } = typed;
      const { progress, log } = context;
      if ([input, dataset, hfInput].filter((one) => one !== undefined).length !== 1) {
        throw new UserError('cli.option', 'infer: name either --input or --dataset, or --hf-input');
      }
      if (hfOutput !== undefined && hfInput === undefined) {
        throw new UserError('cli.option', 'infer: --hf-output goes with --hf-input; answers about local files stay here');
      }
      const place = { on, timeOut, cancel };
      if (isElsewhere(place)) {
        if (hfInput) throw new UserError('cli.option', 'infer: --hf-input with --on: fetch the data set and name it with --dataset');
        const { out, ...given } = { ...typed, quantize: quantize ? undefined : false };
        const [name, inputs] = [basename(out), ['input', 'dataset', 'model', 'adapter']];
        const what = { stage: 'infer', verb: ['er', 'llm', 'infer'], options: given, inputs } as const;
        return runElsewhere(place, { ...what, output: out, kind: 'file', out: name, outputs: [name, 'inference_metrics.json'] }, context);
      }
      const hub = hfInput && (await hubFor({ verb: 'infer', kind: 'dataset', offline, writes: hfOutput !== undefined, log }));
      const target = hub && hfOutput !== undefined ? { hub, name: hfOutput, isPublic, log } : undefined;
      // What cannot be sent is to be known before hours of work.
      if (target) await claimRepository(target);
      const fetched = hub && (await pullQuestions({ ...{ hub, ...hfInput!, split: split ?? 'train', out: options.out }, progress, log }));
      await using db = await Database.open({ memoryMb: 1000, threads: options.threads });
      const files = fetched?.files ?? (input === undefined ? undefined : [input]);
      const questions = await openQuestions(db, files ? { files } : { dataset: dataset!, split: split ?? 'test' });
      try {
        const chosen = storage ?? (quantize ? undefined : 'f32');
        const finish = target && (() => sendAnswers({ ...target, out: options.out, progress }));
        const report = await inferPairs(db, questions, { ...options, storage: chosen, finish, progress, clock: Date.now });
        fetched?.remove();
        return { text: `${tell(report)}\n${options.out}${target ? `, ${target.name}` : ''}`, json: report };
      } finally {
        questions.close();
      }
    },
  });
}

/** Where `load_dataset` looks for rows; the figures are beside them. */
async function sendAnswers({ out, ...target }: PushTarget & { readonly out: string; readonly progress: Progress }): Promise<void> {
  const here = [
    { path: `data/train${extname(out)}`, source: out },
    { path: 'inference_metrics.json', source: join(dirname(out), 'inference_metrics.json') },
  ];
  const files = here.map((one) => ({ ...one, size: statSync(one.source).size }));
  await pushFiles({ ...target, files, title: 'Predictions', replaces: /^data\// });
}

function tell({ examples, resumed, elapsed_seconds: seconds, throughput, storage, form, metrics, kinds }: InferPairsReport): string {
  const lines = [
    `${thousands(examples)} pairs${resumed > 0 ? `, ${thousands(resumed)} of them scored before` : ''} in ${seconds} s: ${throughput} pairs/s`,
    `weights kept as ${storage}; asked for ${form === 'class' ? 'a class' : 'the words True and False'}`,
  ];
  if (metrics)
    lines.push(
      Object.entries(metrics)
        .map(([name, value]) => `${name} ${value.toFixed(4)}`)
        .join(', '),
    );
  for (const [kind, { pairs, correct }] of Object.entries(kinds ?? {}))
    lines.push(`  ${kind.padEnd(24)} ${thousands(correct)} of ${thousands(pairs)} right (${((100 * correct) / pairs).toFixed(1)} %)`);
  return lines.join('\n');
}
