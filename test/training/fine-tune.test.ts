import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import type { Adapter, AdapterModule } from '../../src/models/adapter.ts';
import type { Batch } from '../../src/models/batch.ts';
import type { LanguageModel } from '../../src/models/language-model.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { fineTune } from '../../src/training/fine-tune.ts';
import { type TrainOptions, train } from '../../src/training/trainer.ts';
import { trainingSettings } from '../../src/training/training-settings.ts';
import { runnable, type TinyName, tinyFolder, tinyNames } from '../models/tiny-models.ts';

type Oracle = {
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly batches: readonly (readonly (readonly number[])[])[];
  readonly labels: readonly (readonly number[])[] | null;
  readonly losses: readonly number[];
};
const oracleOf = (name: TinyName): Oracle => JSON.parse(readFileSync(join(tinyFolder(name), 'oracle.json'), 'utf8')).training;

const home = mkdtempSync(join(tmpdir(), 'clinfuse-fine-tune-'));
afterAll(() => rmSync(home, { recursive: true }));

/** The tiny model with the adapter that PEFT began with. */
async function begun(name: TinyName, dropout = 0): Promise<LanguageModel> {
  const base = await runnable(tinyFolder(name));
  const { adapter } = await readAdapter(join(tinyFolder(name), 'adapter'), { base: { path: name, config: base.config } });
  await base.close();
  const modules = [...adapter.modules].map(([key, module]): [string, AdapterModule] => [
    key,
    { ...module, shape: { ...module.shape, dropout } },
  ]);
  const changed: Adapter = { ...adapter, modules: new Map(modules) };
  return runnable(tinyFolder(name), { adapter: changed });
}

function batchesOf({ batches, labels }: Oracle): Batch[] {
  return batches.map((rows, at) => {
    const tokens = rows[0]!.length;
    const ids = Int32Array.from(rows.flat());
    const shared = { rows: rows.length, tokens, ids, lengths: Int32Array.from(rows, () => tokens) };
    if (labels) return { ...shared, kind: 'class', labels: Int32Array.from(labels[at]!) };
    return { ...shared, kind: 'causal', targets: ids.map((_, i) => (i % tokens === tokens - 1 ? -100 : ids[i + 1]!)) };
  });
}

async function run(
  name: TinyName,
  { dropout = 0, keptLayers, ...more }: Partial<TrainOptions> & { dropout?: number; keptLayers?: number },
) {
  const { learningRate, weightDecay, ...data } = oracleOf(name);
  const model = await begun(name, dropout);
  const trainable = fineTune(model, { seed: 5, ...(keptLayers !== undefined && { keptLayers }) });
  const epoch = batchesOf({ ...data, learningRate, weightDecay });
  const settings = trainingSettings({
    learningRate,
    weightDecay,
    schedule: 'constant',
    maxGradientNorm: 0,
    epochs: 5,
    evaluationEvery: 'never',
  });
  try {
    return await train({ trainable, batches: () => epoch, settings, clock: () => 0, ...more });
  } finally {
    await trainable.close();
    await model.close();
  }
}

describe('fine-tuning', () => {
  // The worst seen is 1.4e-5.
  test.each(tinyNames)('%s has the loss of PEFT and AdamW in each of 50 steps', async (name) => {
    const { losses } = oracleOf(name);
    const { state } = await run(name, {});
    expect(state.losses).toHaveLength(losses.length);
    expect(Math.max(...state.losses.map((loss, step) => Math.abs(loss - losses[step]!)))).toBeLessThan(1e-3);
  });

  test('with dropout, stopped, resumed and its activations computed again: the same bytes', async () => {
    const [whole, broken] = [join(home, 'whole'), join(home, 'broken')];
    const checkpoints = (folder: string) => ({ folder, identity: { model: 'llama' }, resume: true });
    await run('llama', { dropout: 0.2, checkpoints: checkpoints(whole) });
    const stop = new AbortController();
    const sink = {
      metrics: async ([first]: readonly { step: number }[]) => void (first!.step === 17 && stop.abort()),
      rewind: async () => {},
    };
    const first = await run('llama', { dropout: 0.2, checkpoints: checkpoints(broken), signal: stop.signal, sinks: [sink] });
    expect({ ended: first.ended, step: first.state.step }).toEqual({ ended: 'interrupted', step: 17 });
    await run('llama', { dropout: 0.2, checkpoints: checkpoints(broken), keptLayers: 2 });
    const last = 'checkpoint-000050';
    for (const file of readdirSync(join(whole, last))) {
      expect(readFileSync(join(broken, last, file)).equals(readFileSync(join(whole, last, file))), file).toBe(true);
    }
  });
});
