// The cascade on the evaluation population: F1 of pairs and of clusters by the share of the gray zone that the language model is asked about,
// beside the evidence alone. How answers count was fitted on the training population's validation patients.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { clinfuse } from '../clinfuse.ts';
import { evaluation, runFolders, training } from '../populations.ts';
import { atLeast, type Row } from '../row.ts';
import { home, maxLength, validationQuestions } from './data.ts';

const validation = 600;
const budgets = [50, 100, 200, 400];

type Golden = { readonly pairwise: { readonly f1: number }; readonly f1_score: number };

export async function* cascade(model: string): AsyncIterable<Row> {
  const folder = join(home, 'cascade');
  mkdirSync(folder, { recursive: true });
  const asking = ['--model', model, '--storage', 'f32', '--max-length', maxLength];
  const answers = join(folder, 'validation', 'answers.parquet');
  if (!existsSync(answers)) clinfuse('er', 'llm', 'infer', '--input', await validationQuestions(validation), ...asking, '--out', answers);
  const fusion = join(folder, 'fusion.json');
  const opinion = clinfuse<{ readonly first: number; readonly second: number }>(
    ...['er', 'llm', 'fit-cascade', '--in', runFolders(training).augmented, '--answers', answers, '--out', fusion],
  ).output;
  const { augmented } = runFolders(evaluation);
  const resolved = join(folder, 'resolved');
  const inferred = join(folder, 'inferred');
  clinfuse('er', 'resolve', '--in', augmented, '--out', resolved);
  clinfuse('er', 'infer', '--in', augmented, '--resolved', resolved, '--out', inferred);
  const alone = golden(augmented, { resolved, inferred, out: join(folder, 'alone') });
  yield {
    figure: 'evidence alone, F1 of pairs, clustered',
    value: alone.pairwise.f1,
    unit: '',
    peer: `before clustering ${alone.f1_score.toFixed(4)}`,
    ok: true,
  };
  for (const budget of budgets) {
    const out = join(folder, `asked-${budget}`);
    const words = ['--resolved', resolved, '--inferred', inferred, '--fusion', fusion, '--max-pairs', budget];
    const { output } = clinfuse<{ readonly pairs: number; readonly candidates: number; readonly expectedGain: number }>(
      ...['er', 'llm', 'cascade', ...words, ...asking, '--out', out],
    );
    const joined = golden(augmented, { resolved, inferred: out, out: join(folder, `golden-${budget}`) });
    const share = `${((100 * output.pairs) / output.candidates).toFixed(1)} % of the gray zone`;
    yield atLeast(`cascade, ${output.pairs} pairs asked: F1 of pairs, clustered`, joined.pairwise.f1, alone.pairwise.f1, '', {
      peer: `${share}; before clustering ${joined.f1_score.toFixed(4)}; weights ${opinion.first.toFixed(2)} evidence, ${opinion.second.toFixed(2)} answer; ${output.expectedGain.toFixed(1)} decisions expected`,
    });
  }
}

function golden(
  augmented: string,
  { resolved, inferred, out }: { readonly resolved: string; readonly inferred: string; readonly out: string },
): Golden {
  clinfuse('er', 'golden-records', '--in', augmented, '--resolved', resolved, '--inferred', inferred, '--out', out);
  return JSON.parse(readFileSync(join(out, 'evaluation_metrics.json'), 'utf8')) as Golden;
}
