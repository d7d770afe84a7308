// A real fine-tuning run from the command line: SmolLM2-135M on medical questions and answers, judged on questions it has not seen.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryFolder } from '../../src/base/files.ts';
import { openTokenizer } from '../../src/models/open-tokenizer.ts';
import { clinfuse } from '../clinfuse.ts';
import { atLeast, type Row } from '../row.ts';
import { smollm2 } from './model.ts';

type Report = {
  readonly before: { readonly loss: number };
  readonly best: { readonly metrics: { readonly loss: number } };
  readonly steps: number;
};

export async function* fineTuning(questions: string): AsyncIterable<Row> {
  const gguf = smollm2();
  if (!gguf) return;
  const scratch = temporaryFolder();
  try {
    const settings = [
      '--rank',
      16,
      '--alpha',
      32,
      '--learning-rate',
      1e-3,
      '--warmup',
      0.05,
      '--batch-size',
      4,
      '--epochs',
      1,
      '--max-length',
      256,
    ] as const;
    const { output, seconds, peakMb } = clinfuse<Report>(
      'llm',
      'train',
      '--model',
      gguf,
      '--data',
      questions,
      '--out',
      join(scratch.path, 'run'),
      ...settings,
    );
    const fall = 1 - output.best.metrics.loss / output.before.loss;
    yield atLeast('SmolLM2-135M on 500 pairs of MedQuAD: fall of the held-out loss', fall, 0.15, '', {
      peer: `${output.before.loss.toFixed(3)} to ${output.best.metrics.loss.toFixed(3)} in ${output.steps} steps, ${Math.round(seconds)} s, ${Math.round(peakMb)} MB`,
    });
  } finally {
    scratch.remove();
  }
}

/** The first 256 tokens of each answer with its question, for the comparison of precisions. */
export function trainingTexts(questions: string): readonly Int32Array[] {
  const tokenizer = openTokenizer(smollm2()!);
  const lines = readFileSync(join(questions, 'train.jsonl'), 'utf8').trim().split('\n').slice(0, 200);
  const text = (line: string) => JSON.stringify(JSON.parse(line)).replace(/[{}[\]"]/g, ' ');
  return lines.map((line) => Int32Array.from(tokenizer.encode(text(line)).slice(0, 256))).filter(({ length }) => length > 64);
}
