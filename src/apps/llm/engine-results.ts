// What a run of TRL or Axolotl left behind. Both are transformers' Trainer underneath: checkpoint-N/ holds the adapter as PEFT has it and
// trainer_state.json, whose log_history is all that was logged up to there.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';

const state = z.looseObject({
  global_step: z.int(),
  max_steps: z.int(),
  log_history: z.array(z.looseObject({ step: z.int() })),
});

export type EngineResults = {
  readonly steps: number;
  /** All steps that were planned were taken. */
  readonly isWhole: boolean;
  /** What was logged, by step; numbers only, under the names we log by ourselves (`loss`, `learning_rate`, `eval_loss`...). */
  readonly logged: readonly { readonly step: number; readonly figures: Readonly<Record<string, number>> }[];
  /** The evaluated step of lowest loss whose checkpoint is there. */
  readonly best: { readonly step: number; readonly metrics: Readonly<Record<string, number>> } | undefined;
  /** Folder of the adapter to take: the best step's, or the last. */
  readonly adapter: string;
};

/** The newest checkpoint of a run, to go on from. */
export function newestCheckpoint(output: string): { readonly name: string; readonly step: number } | undefined {
  if (!existsSync(output)) return undefined;
  const found = readdirSync(output).flatMap((name) => {
    const step = Number(/^checkpoint-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    return Number.isInteger(step) && existsSync(join(output, name, 'trainer_state.json')) ? [{ name, step }] : [];
  });
  return found.sort((a, b) => b.step - a.step)[0];
}

/**
 * Reads the results of a run.
 *
 * @throws UserError `engine.results` when there is no checkpoint, or its state is not understood; `engine.diverged` when a loss is not a number
 */
export function readResults(output: string): EngineResults {
  const newest = newestCheckpoint(output);
  if (!newest) throw new UserError('engine.results', `engine: no checkpoint in ${output}; let it run first`);
  const file = join(output, newest.name, 'trainer_state.json');
  const parsed = state.safeParse(pythonJson(readFileSync(file, 'utf8')));
  if (!parsed.success) throw new UserError('engine.results', `engine: not understood: ${file}; was it written whole?`);
  const { global_step: steps, max_steps: planned, log_history: history } = parsed.data;
  const logged = history.map(({ step, ...figures }) => ({ step, figures: numbersOf(figures) }));
  const lost = logged.find(({ figures: { loss } }) => loss !== undefined && !Number.isFinite(loss));
  if (lost) {
    throw new UserError('engine.diverged', `engine: loss is not a number at step ${lost.step}; lower the learning rate and train again`);
  }
  const evaluated = logged.filter(({ step, figures }) => step > 0 && Number.isFinite(figures['eval_loss'] ?? Number.NaN));
  const best = evaluated
    .filter(({ step }) => existsSync(join(output, `checkpoint-${step}`)))
    .sort((a, b) => a.figures['eval_loss']! - b.figures['eval_loss']! || a.step - b.step)[0];
  return {
    steps,
    isWhole: steps >= planned,
    logged,
    best: best && { step: best.step, metrics: { loss: best.figures['eval_loss']! } },
    adapter: join(output, best ? `checkpoint-${best.step}` : newest.name),
  };
}

/** Python writes numbers that JSON has no words for. */
function pythonJson(text: string): unknown {
  return JSON.parse(text.replace(/(:\s*)(-?)(NaN|Infinity)\b/g, '$1"$2$3"'));
}

function numbersOf(values: Readonly<Record<string, unknown>>): Readonly<Record<string, number>> {
  const numbers = Object.entries(values).map(([key, value]) => [key, typeof value === 'string' ? Number(value) : value] as const);
  const isNumber = (value: unknown, key: string) =>
    typeof value === 'number' && (Number.isFinite(value) || typeof values[key] === 'string');
  return Object.fromEntries(numbers.filter(([key, value]) => isNumber(value, key))) as Record<string, number>;
}
