import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { Batch } from '../../src/models/batch.ts';
import { readParameters } from '../../src/training/checkpoint.ts';
import { evaluateLoss } from '../../src/training/evaluate-loss.ts';
import type { Metric } from '../../src/training/tracking.ts';
import type { Trainable } from '../../src/training/trainable.ts';
import { planRun, type TrainOptions, train } from '../../src/training/trainer.ts';
import { trainingSettings } from '../../src/training/training-settings.ts';
import { smallBatch, smallModel } from './small-model.ts';

const oracle = JSON.parse(readFileSync(new URL('../oracle/llm/trainer/torch.json', import.meta.url), 'utf8')) as {
  readonly settings: Record<string, number>;
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  readonly values: Record<string, number[]>;
};

let home: string;
beforeEach(() => void (home = mkdtempSync(join(tmpdir(), 'clinfuse-trainer-'))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** Batches 0 to 4 in the first epoch, 5 to 9 in the second, and so on. */
const batches = (epoch: number): Batch[] => Array.from({ length: 5 }, (_, i) => smallBatch(epoch * 5 + i));
const clock = () => 0;
const identity = { model: 'small', data: 'numbers' };
const gathered = () => {
  const metrics: Metric[] = [];
  return { metrics, sink: { metrics: async (batch: readonly Metric[]) => void metrics.push(...batch), rewind: async () => {} } };
};
const run = (settings: Record<string, unknown>, more: Partial<TrainOptions> = {}) =>
  train({
    trainable: smallModel(),
    batches,
    clock,
    settings: trainingSettings({ evaluationEvery: 'never', learningRate: 0.05, ...settings }),
    ...more,
  });
const values = ({ parameters }: Trainable) => parameters.map((parameter) => [...parameter.values]);
/** Gives these figures, one an evaluation. */
const scripted = (figures: readonly number[]) => {
  let next = 0;
  return async () => ({ f1: figures[next++]! });
};

describe('a run', () => {
  test('is that of torch: loss, gradient norm and values under accumulation, decay, clipping and a schedule', async () => {
    const { epochs, accumulation, learningRate, weightDecay, maxGradientNorm, warmup } = oracle.settings;
    const trainable = smallModel();
    const { metrics, sink } = gathered();
    const settings = { epochs, accumulation, learningRate, weightDecay, maxGradientNorm, warmup, schedule: 'cosine' };
    const { ended, state } = await run(settings, { trainable, sinks: [sink] });
    expect({ ended, steps: state.step, epoch: state.epoch, batches: state.batches }).toEqual({
      ...{ ended: 'finished', steps: 12, epoch: 4, batches: 20 },
    });
    oracle.losses.forEach((loss, step) => void expect(state.losses[step]).toBeCloseTo(loss, 5));
    const norms = metrics.filter(({ key }) => key === 'grad_norm').map(({ value }) => value);
    oracle.norms.forEach((norm, step) => void expect(norms[step]).toBeCloseTo(norm, 5));
    for (const parameter of trainable.parameters) {
      oracle.values[parameter.name]!.forEach((value, i) => void expect(parameter.values[i]).toBeCloseTo(value, 5));
    }
  });

  test('learns: the loss falls, and evaluation says so', async () => {
    const trainable = smallModel();
    const held = batches(9);
    const before = await evaluateLoss(trainable, held);
    const { state } = await run({ epochs: 30, evaluationEvery: 'epoch' }, { trainable, evaluate: () => evaluateLoss(trainable, held) });
    const after = state.evaluations.at(-1)!.metrics;
    expect(state.evaluations).toHaveLength(31);
    expect(after['loss']).toBeLessThan(before.loss / 2);
    expect(after['perplexity']).toBeCloseTo(Math.exp(after['loss']!), 12);
  });

  test('is the same however rows are cut into the batches of a step', async () => {
    const whole = smallBatch(3);
    const rowsOf = (from: number, to: number): Batch => ({
      ...whole,
      rows: to - from,
      ids: whole.ids.subarray(from * whole.tokens, to * whole.tokens),
      lengths: whole.lengths.subarray(from, to),
      labels: whole.labels.subarray(from, to),
    });
    const [one, three] = [smallModel(), smallModel()];
    const a = await run({ epochs: 1 }, { trainable: one, batches: () => [whole] });
    const b = await run({ epochs: 1, accumulation: 3 }, { trainable: three, batches: () => [rowsOf(0, 2), rowsOf(2, 3), rowsOf(3, 4)] });
    expect(b.state.losses[0]).toBeCloseTo(a.state.losses[0]!, 12);
    values(three).forEach((list, at) => void list.forEach((value, i) => void expect(value).toBeCloseTo(values(one)[at]![i]!, 6)));
  });

  test.each([
    { settings: { epochs: 2 }, steps: 10, warmup: 0 },
    { settings: { epochs: 2, accumulation: 2 }, steps: 6, warmup: 0 },
    { settings: { epochs: 2, accumulation: 100, warmup: 0.5 }, steps: 2, warmup: 1 },
    { settings: { epochs: 2, maxSteps: 17, warmup: 3 }, steps: 17, warmup: 3 },
  ])('has $steps steps under $settings', async ({ settings, steps, warmup }) => {
    const plan = planRun({ batches, settings: trainingSettings(settings) });
    expect(plan).toEqual({ kind: 'linear', totalSteps: steps, warmupSteps: warmup });
    expect((await run(settings)).state.losses).toHaveLength(steps);
  });

  test('reports loss, rate, gradient and speed of every step, and says them beside the bar', async () => {
    let time = 0;
    const notes: (string | undefined)[] = [];
    const { metrics, sink } = gathered();
    await run(
      { epochs: 1, warmup: 2 },
      {
        sinks: [sink],
        clock: () => (time += 500),
        progress: {
          step: (name, options) => ({ advance: (_, note) => void notes.push(`${name} of ${options?.total}: ${note}`), finish: () => {} }),
        },
      },
    );
    expect(metrics.filter(({ step }) => step === 2).map(({ key, value }) => [key, value])).toEqual([
      ['loss', expect.closeTo(1.1, 0)],
      ['learning_rate', 0.025],
      ['grad_norm', expect.any(Number)],
      ['epoch', 0.4],
      ['tokens_per_second', 2 * [...smallBatch(1).lengths].reduce((a, b) => a + b)],
    ]);
    expect(notes[1]).toMatch(/^training of 5: loss \d\.\d{4}, rate 2\.50e-2, gradient [\d.]+, [\d.]+ tokens\/s$/);
  });
});

describe('evaluation', () => {
  test('of nothing is refused', async () => {
    await expect(evaluateLoss(smallModel(), [])).rejects.toThrow('training: nothing to evaluate: no targets in the held-out data');
  });

  test.each([
    { every: 'epoch', at: [0, 5, 10] },
    { every: 4, at: [0, 4, 8, 10] },
    { every: 'never', at: [] },
  ])('every $every: after steps $at, the first one before training', async ({ every, at }) => {
    const { state } = await run({ epochs: 2, evaluationEvery: every, metric: 'f1' }, { evaluate: async () => ({ f1: 0.5 }) });
    expect(state.evaluations.map(({ step }) => step)).toEqual(at);
  });

  test.each([
    { name: 'higher is better unless it is a loss', metric: { metric: 'f1' }, best: { step: 3, value: 0.9 } },
    { name: 'lower where said', metric: { metric: 'f1', higherIsBetter: false }, best: { step: 1, value: 0.2 } },
  ])('$name; what is not a number, or not trained, is never best', async ({ metric, best }) => {
    const evaluate = scripted([1, 0.2, Number.NaN, 0.9, 0.9, 0.3]);
    expect((await run({ epochs: 1, evaluationEvery: 1, ...metric }, { evaluate })).state.best).toEqual(best);
  });

  test('a run that gets no better ends early; the best checkpoint and the newest stay', async () => {
    const trainable = smallModel();
    const settings = { epochs: 4, schedule: 'constant', evaluationEvery: 2, metric: 'f1', patience: 3, keep: 1, checkpointEvery: 1 };
    const checkpoints = { folder: home, identity };
    const evaluate = scripted([0.8, 0.1, 0.5, 0.5, 0.4, 0.3, 0.9]);
    const { ended, state } = await run(settings, { trainable, checkpoints, evaluate });
    expect({ ended, step: state.step, best: state.best }).toEqual({ ended: 'early', step: 10, best: { step: 4, value: 0.5 } });
    expect(readdirSync(home).sort()).toEqual(['checkpoint-000004', 'checkpoint-000010']);
    const upToBest = smallModel();
    await run({ schedule: 'constant', maxSteps: 4 }, { trainable: upToBest });
    await readParameters(join(home, 'checkpoint-000004'), trainable.parameters);
    expect(values(trainable)).toEqual(values(upToBest));
  });

  test('a metric that evaluation does not give is refused with those it gives', async () => {
    const failing = run({ evaluationEvery: 1, metric: 'f2' }, { evaluate: async () => ({ loss: 1, f1: 0.5 }) });
    await expect(failing).rejects.toThrow('training: metric not found: f2; evaluation gives: loss, f1');
    await expect(run({ evaluationEvery: 1, patience: 2 })).rejects.toThrow('training: patience: nothing to evaluate on');
  });
});

describe('bad input', () => {
  const poisoned = (batch: number, what: 'loss' | 'gradient'): Trainable => {
    const model = smallModel();
    return {
      ...model,
      accumulate: async (given, options) => {
        const loss = await model.accumulate(given, options);
        if (options.step !== batch) return loss;
        if (what === 'loss') return { ...loss, lossSum: Number.NaN };
        model.parameters[1]!.gradient[0] = Number.POSITIVE_INFINITY;
        return loss;
      },
    };
  };

  test.each([
    {
      what: 'loss' as const,
      says: /^training: loss is NaN: step 5, batch 4 of 5 of epoch 2; lower the learning rate \(0\.05\) .*; checkpoint-000004 is kept$/,
    },
    {
      what: 'gradient' as const,
      says: /^training: gradient of score\.weight is not finite: step 5, batch 3 of 5 of epoch 2 to batch 4 of 5 of epoch 2; .*; checkpoint-000004 is kept$/,
    },
  ])('a $what that is not finite stops the run before it does harm', async ({ what, says }) => {
    const trainable = poisoned(8, what);
    const settings = { epochs: 3, accumulation: 2, checkpointEvery: 2, schedule: 'constant' };
    await expect(run(settings, { trainable, checkpoints: { folder: home, identity } })).rejects.toThrow(says);
    const same = smallModel();
    await run({ ...settings, maxSteps: 4 }, { trainable: same });
    expect(values(trainable)).toEqual(values(same));
    expect(readdirSync(home).sort()).toEqual(['checkpoint-000002', 'checkpoint-000004']);
  });

  test('a step without a single target is refused', async () => {
    const trainable = { ...smallModel(), weightOf: () => 0 };
    await expect(run({ accumulation: 2 }, { trainable })).rejects.toThrow(
      'training: nothing to learn from in step 1: batch 1 of 5 of epoch 1 and the 1 after it; look for rows',
    );
  });

  test('no data is refused', async () => {
    await expect(run({}, { batches: () => [] })).rejects.toThrow('training: no batches: the data is empty');
    await expect(run({ maxSteps: 3 }, { batches: () => [] })).rejects.toThrow('training: no batches in epoch 1');
  });
});
