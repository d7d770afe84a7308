// The real fine-tune: SmolLM2-135M as a classifier of pairs, from the command line as its users run it. It takes an hour or more on two cores,
// so its folder is kept, and a run that was cut short goes on from its newest checkpoint.
//
// Figures are of 1,000 balanced pairs of another population (seed 67890); settings were chosen by the loss on the training population alone.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { fingerprint } from '../../src/base/content-hash.ts';
import { clinfuse } from '../clinfuse.ts';
import { atLeast, type Row } from '../row.ts';
import { home, maxLength, testQuestions, trainingPairs } from './data.ts';

/** Most questions trained on, once each. */
export const trainedOn = 4000;
const batchSize = 8;
const validation = 160;

const settings = {
  ...{
    'max-samples': trainedOn,
    'max-validation': validation,
    'max-length': maxLength,
    epochs: 1,
    'batch-size': batchSize,
    accumulation: 1,
  },
  ...{ 'learning-rate': 2e-4, alpha: 64, schedule: 'cosine', warmup: 20, dropout: 0, precision: 'fast', quantize: 'none' },
  // Of at most so many pairs: it stops after the first 500 that bring nothing.
  ...{ 'evaluation-every': 62, 'checkpoint-every': 62, keep: 20, patience: 1 },
};

type Answered = { readonly metrics: { readonly f1: number; readonly accuracy: number; readonly log_loss: number } } & {
  readonly kinds: Readonly<Record<string, { readonly pairs: number; readonly correct: number }>>;
  readonly throughput: number;
};

/** Where the champion of the benches lies. */
export const champion = { run: join(home, `trained-${trainedOn}`), model: join(home, `exported-${trainedOn}`, 'model') };
const registry = join(home, 'registry');

/** Trains, unless that is done; promotes; merges; a second, worse run is turned down. Then the test questions before and after. */
export async function* fineTune(model: string): AsyncIterable<Row> {
  const questions = await testQuestions(1000);
  trainPairs(model, champion.run, settings);
  if (!existsSync(champion.model)) {
    clinfuse('er', 'llm', 'promote', '--train', champion.run, '--registry', registry);
    exportRun(model, champion.run, join(champion.model, '..'));
  }
  const before = ask('before', questions, ['--model', model]);
  const after = ask('after', questions, ['--model', champion.model, '--storage', 'f32']);
  const kinds = Object.entries(after.kinds).map(([kind, { pairs, correct }]) => `${kind} ${((100 * correct) / pairs).toFixed(0)} %`);
  const { best_step, global_steps } = readJson<{ best_step: number; global_steps: number }>(join(champion.run, 'training_metrics.json'));
  const [kept, seen] = [best_step, global_steps].map((steps) => (steps * batchSize).toLocaleString('en-US'));
  const figure = `F1 on 1,000 pairs of other people, SmolLM2-135M trained on ${seen} pairs, best on validation after ${kept}`;
  const accuracy = `accuracy ${before.metrics.accuracy.toFixed(3)} to ${after.metrics.accuracy.toFixed(3)}`;
  const peer = `before, asked in words: ${before.metrics.f1.toFixed(3)}; ${accuracy}; right: ${kinds.join(', ')}`;
  yield atLeast(figure, after.metrics.f1, 0.8, '', { peer });
  yield* curve(model);
  yield* worseRun(model);
}

/** F1 on test questions as training goes on: each checkpoint is an adapter. */
async function* curve(model: string): AsyncIterable<Row> {
  const questions = await testQuestions(200);
  for (const name of readdirSync(join(champion.run, 'checkpoints')).sort()) {
    const pairs = (batchSize * Number(name.slice(-6))).toLocaleString('en-US');
    const adapter = join(champion.run, 'checkpoints', name);
    const { metrics } = ask(`after-${pairs}`, questions, ['--model', model, '--adapter', adapter]);
    const peer = `accuracy ${metrics.accuracy.toFixed(3)}, log loss ${metrics.log_loss.toFixed(3)}`;
    yield { figure: `F1 after ${pairs} training pairs, on 200 test pairs`, value: metrics.f1, unit: '', peer, ok: true };
  }
}

/** A run of a few steps at a learning rate that teaches nothing: not promoted, and the champion stays as it was, byte for byte. */
async function* worseRun(model: string): AsyncIterable<Row> {
  const worse = join(home, 'trained-worse');
  const before = await fingerprint(champion.model);
  trainPairs(model, worse, { ...settings, 'max-samples': 64, 'learning-rate': 1e-7, 'evaluation-every': 8, 'checkpoint-every': 8 });
  const { output } = clinfuse<{ readonly promoted: boolean; readonly reason: string; readonly champion_version: number }>(
    ...['er', 'llm', 'promote', '--train', worse, '--registry', registry],
  );
  const skipped = exportRun(model, worse, join(home, 'exported-worse'));
  const unchanged = (await fingerprint(champion.model)) === before;
  const isKept = !output.promoted && skipped.skipped === true && unchanged;
  yield {
    figure: 'a worse run is not promoted, the champion unchanged',
    value: Number(isKept),
    unit: '',
    peer: output.reason,
    must: '1',
    ok: isKept,
  };
}

function trainPairs(model: string, out: string, given: Readonly<Record<string, string | number>>): void {
  if (existsSync(join(out, 'training_metrics.json'))) return;
  const flags = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const resume = existsSync(join(out, 'checkpoints')) ? ['--resume'] : [];
  const words = ['er', 'llm', 'train', '--model', model, '--dataset', trainingPairs(), '--out', out, ...flags, ...resume];
  const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
  // Its progress is shown: it is the longest part by far.
  const { status } = spawnSync(process.execPath, [main, ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`bench: clinfuse ${words.join(' ')}: exit ${status}`);
}

function exportRun(model: string, run: string, out: string): { readonly skipped?: boolean } {
  const decision = ['--adapter', join(run, 'adapter'), '--decision', join(run, 'promotion_decision.json')];
  return clinfuse<{ readonly skipped?: boolean }>('er', 'llm', 'export', '--model', model, ...decision, '--out', out).output;
}

/** Answers are kept beside the run: asking a thousand takes minutes. */
function ask(name: string, questions: string, model: readonly string[]): Answered {
  const folder = join(champion.run, name);
  const metrics = join(folder, 'inference_metrics.json');
  if (!existsSync(metrics)) {
    const words = ['--input', questions, ...model, '--max-length', maxLength, '--out', join(folder, 'predictions.parquet')];
    clinfuse('er', 'llm', 'infer', ...words);
  }
  return readJson<Answered>(metrics);
}

const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;
