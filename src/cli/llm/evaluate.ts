import type { Command } from 'commander';
import { z } from 'zod';

import { type EvaluateReport, evaluateModel } from '../../apps/llm/evaluate.ts';
import { thousands } from '../../base/text.ts';
import { storagePolicies } from '../../models/storage.ts';
import { countOption, threadsSchema } from '../option-schemas.ts';
import { threadsOption, verb } from '../verb.ts';
import { adapterOption, modelOption, pathSchema } from './options.ts';

const schema = z.strictObject({
  model: pathSchema,
  adapter: pathSchema.optional(),
  data: pathSchema,
  split: z.enum(['train', 'validation', 'test'], 'not one of train, validation, test').optional(),
  task: z.enum(['causal', 'class'], 'not one of causal, class').optional(),
  storage: z.enum(storagePolicies, `not one of ${storagePolicies.join(', ')}`).optional(),
  maxLength: countOption.optional(),
  batchSize: countOption.optional(),
  predictions: pathSchema.optional(),
  threads: threadsSchema,
});

/** `clinfuse llm evaluate`: how good a model is on rows it has not seen. */
export function evaluateCommand(): Command {
  return verb({
    name: 'evaluate',
    summary: 'measures a model, with or without an adapter, on rows it was not trained on',
    example: 'clinfuse llm evaluate --model models/smollm2-135m --adapter run/adapter --data questions/',
    options: [
      modelOption,
      adapterOption,
      { flags: '--data <path>', help: 'JSONL or Parquet file, or a Hugging Face data set folder', required: true },
      { flags: '--split <name>', help: 'train, validation or test (default: test, else validation, else train)' },
      { flags: '--task <task>', help: 'causal or class (default: class where there is a classification head)' },
      { flags: '--storage <form>', help: 'how weights are kept: f32, stored, int8, nf4 (default: as the adapter was trained, else f32)' },
      { flags: '--max-length <tokens>', help: 'longest row; longer ones are cut (default: the model’s context)' },
      { flags: '--batch-size <rows>', help: 'rows of a batch (default: 8)' },
      { flags: '--predictions <file>', help: 'write every row’s class and probabilities (JSONL)' },
      threadsOption,
    ],
    schema,
    run: async (options, { progress }) => {
      const report = await evaluateModel({ ...options, progress });
      return { text: tell(report), json: report };
    },
  });
}

function tell({ split, rows, tokens, metrics, classes }: EvaluateReport): string {
  const figures = Object.entries(metrics).map(([name, value]) => `${name.padEnd(12)}${value.toFixed(4)}`);
  if (!classes) return [`${thousands(rows)} rows (${split}), ${thousands(tokens)} tokens`, ...figures].join('\n');
  const width = Math.max(5, ...classes.classes.map(({ label }) => label.length)) + 2;
  const row = (label: string, cells: readonly (string | number)[]) =>
    label.padEnd(width) + cells.map((cell) => String(cell).padStart(11)).join('');
  return [
    `${thousands(rows)} rows (${split}), ${thousands(tokens)} tokens`,
    ...figures,
    '',
    row('class', ['rows', 'precision', 'recall', 'f1']),
    ...classes.classes.map(({ label, count, ...of }) =>
      row(label, [thousands(count), ...[of.precision, of.recall, of.f1].map((share) => share.toFixed(4))]),
    ),
  ].join('\n');
}
