import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { newestCheckpoint, readResults } from '../../../src/apps/llm/engine-results.ts';

const oracle = resolve(import.meta.dirname, '../../oracle/engines/trl/output');
const home = mkdtempSync(join(tmpdir(), 'clinfuse-engine-results-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

type Entry = { step: number; loss?: number; eval_loss?: number };

/** What TRL left, with its history changed. */
function output(change: (history: Entry[]) => Entry[]): string {
  const folder = mkdtempSync(join(home, 'output-'));
  cpSync(oracle, folder, { recursive: true });
  const file = join(folder, 'checkpoint-12/trainer_state.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as { log_history: Entry[] };
  writeFileSync(file, JSON.stringify({ ...state, log_history: change(state.log_history) }));
  return folder;
}
const evaluated = (step: number, loss: number) => (history: Entry[]) =>
  history.map((entry) => (entry.step === step && entry.eval_loss !== undefined ? { ...entry, eval_loss: loss } : entry));

describe('what a run of another program left', () => {
  test.each([
    { name: 'of lowest loss', change: evaluated(9, 1), best: 9 },
    { name: 'of lowest loss whose checkpoint was kept', change: evaluated(3, 1), best: 12 },
    { name: 'and not the one before the first step', change: evaluated(0, 1), best: 12 },
    { name: 'the earlier of two alike', change: (history: Entry[]) => evaluated(6, 1)(evaluated(9, 1)(history)), best: 6 },
  ])('the best step is the one $name', ({ change, best }) => {
    const folder = output(change);
    const results = readResults(folder);
    expect(results.best?.step).toBe(best);
    expect(results.adapter).toBe(join(folder, `checkpoint-${best}`));
    expect(results).toMatchObject({ steps: 12, isWhole: true });
  });

  test('without evaluations the last adapter is taken', () => {
    const folder = output((history) => history.filter(({ eval_loss: loss }) => loss === undefined));
    expect(readResults(folder)).toMatchObject({ best: undefined, adapter: join(folder, 'checkpoint-12') });
  });

  test('a checkpoint without its state is not yet whole', () => {
    const folder = output((history) => history);
    rmSync(join(folder, 'checkpoint-12/trainer_state.json'));
    expect(newestCheckpoint(folder)).toEqual({ name: 'checkpoint-9', step: 9 });
    expect(readResults(folder)).toMatchObject({ steps: 9, isWhole: false });
    expect(newestCheckpoint(join(folder, 'nowhere'))).toBeUndefined();
  });

  test('figures of every step are there under the names of our own log', () => {
    const { logged } = readResults(oracle);
    expect(logged.filter(({ figures }) => figures['loss'] !== undefined).map(({ step }) => step)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]);
    expect(logged.find(({ step }) => step === 1)!.figures).toMatchObject({ learning_rate: 1 });
  });
});
