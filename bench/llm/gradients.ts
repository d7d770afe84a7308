// LoRA gradients of the real SmolLM2 beside PyTorch + PEFT, matrix by matrix: exact against float32, and the fast mode's error beside that
// of PyTorch's own bfloat16. Text: this repository's README. Then 200 steps: what the fast mode's loss curve becomes.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryFolder } from '../../src/base/files.ts';
import { random } from '../../src/base/random.ts';
import type { Batch } from '../../src/models/batch.ts';
import { openModel } from '../../src/models/folder.ts';
import { languageModel } from '../../src/models/language-model.ts';
import { newAdapter } from '../../src/models/lora.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { loadResident } from '../../src/models/resident.ts';
import { storageOf } from '../../src/models/storage.ts';
import { fineTune } from '../../src/training/fine-tune.ts';
import { clipFactor, gradientNorm, startAdamW, stepAdamW } from '../../src/training/optimizer.ts';
import { readAll } from '../../test/models/tiny-models.ts';
import { atMost, type Row } from '../row.ts';
import { pythonOf } from '../splink.ts';
import { smollm2 } from './model.ts';

type Errors = { readonly median: number; readonly worst: number; readonly whole: number };

export async function* gradients(): AsyncIterable<Row> {
  const [python, gguf] = [pythonOf('llm'), smollm2()];
  if (!python || !gguf) {
    yield { figure: 'gradients beside PyTorch', value: 0, unit: 'matrices', peer: python ? 'no model' : 'not installed', ok: true };
    return;
  }
  const scratch = temporaryFolder();
  try {
    const words = [
      join(import.meta.dirname, '..', 'peers', 'llm-gradients.py'),
      gguf,
      scratch.path,
      join(import.meta.dirname, '..', '..', 'README.md'),
      '256',
    ];
    const said = execFileSync(python, words, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, HF_HUB_OFFLINE: '1' },
    });
    const { bfloat16 } = JSON.parse(said.trim().split('\n').at(-1)!) as { readonly bfloat16: Readonly<Record<'text' | 'random', Errors>> };
    const folder = await openModel(gguf);
    const { adapter } = await readAdapter(join(scratch.path, 'adapter'), { base: folder });
    const model = languageModel(await loadResident(folder, { storage: storageOf('f32') }), { adapter, session: { threads: 2 } });
    await folder.close();
    for (const kind of ['text', 'random'] as const) {
      const { ids } = JSON.parse(readFileSync(join(scratch.path, `${kind}.json`), 'utf8')) as { readonly ids: number[] };
      const wanted = await readAll(join(scratch.path, `${kind}.safetensors`));
      const found: Record<string, Errors> = {};
      for (const precision of ['exact', 'fast'] as const) {
        const tuned = fineTune(model, { seed: 1, precision });
        await tuned.accumulate(causal(Int32Array.from(ids)), { denominator: ids.length - 1, step: 0 });
        found[precision] = errors(tuned.parameters.map(({ name, gradient }) => [gradient, wanted.get(name)!]));
        await tuned.close();
      }
      const { exact, fast } = found as Record<'exact' | 'fast', Errors>;
      const peer = (of: keyof Errors) => ({ peer: `${bfloat16[kind][of].toPrecision(3)} PyTorch bfloat16` });
      yield atMost(`gradients on ${kind}, exact: median relative error of 420 matrices`, exact.median, 1e-4);
      yield atMost(`gradients on ${kind}, exact: worst`, exact.worst, 1e-3);
      for (const one of ['median', 'worst', 'whole'] as const)
        yield atMost(`gradients on ${kind}, fast: ${one}`, fast[one], bfloat16[kind][one], '', peer(one));
    }
    await model.close();
  } finally {
    scratch.remove();
  }
}

/** The same 200 steps in both modes; at every step the running mean over 20 steps is compared, since single batches differ. */
export async function* fastCurve(texts: readonly Int32Array[], steps: number): AsyncIterable<Row> {
  const gguf = smollm2();
  if (!gguf) return;
  const folder = await openModel(gguf);
  const resident = await loadResident(folder, { storage: storageOf('f32') });
  await folder.close();
  const curve = async (precision: 'exact' | 'fast'): Promise<number[]> => {
    const settings = {
      task: 'CAUSAL_LM',
      targets: 'all-linear',
      rank: 16,
      alpha: 32,
      dropout: 0,
      rsLora: false,
      dora: false,
      prefix: 'model',
    } as const;
    const model = languageModel(resident, { adapter: newAdapter(resident, { settings, seed: 1 }), session: { threads: 2 } });
    const tuned = fineTune(model, { seed: 1, precision });
    const optimizer = startAdamW(tuned.parameters);
    const draw = random(4);
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) {
      const batch = causal(draw.pick(texts));
      const denominator = tuned.weightOf(batch);
      losses.push((await tuned.accumulate(batch, { denominator, step })).lossSum / denominator);
      const gradientFactor = clipFactor(gradientNorm(tuned.parameters), 1);
      stepAdamW(tuned.parameters, optimizer, { learningRate: 2e-4, weightDecay: 0.01, gradientFactor });
    }
    await tuned.close();
    await model.close();
    return losses;
  };
  const [exact, fast] = [await curve('exact'), await curve('fast')];
  const worst = Math.max(...exact.map((loss, i) => Math.abs(fast[i]! - loss) / loss));
  yield atMost(`fast mode, ${steps} steps on real text: largest difference of the loss at any step`, worst, 0.01, '', {
    peer: `exact: ${exact[0]!.toFixed(3)} at the first step, ${exact.at(-1)!.toFixed(3)} at the last`,
  });
}

function causal(ids: Int32Array): Batch {
  const targets = ids.map((_, i) => ids[i + 1] ?? -100);
  return { kind: 'causal', rows: 1, tokens: ids.length, ids, lengths: Int32Array.of(ids.length), targets };
}

/** Relative L2 errors of each matrix, and of all together. */
function errors(pairs: readonly (readonly [Float32Array, Float32Array])[]): Errors {
  let [allWrong, all] = [0, 0];
  const each = pairs.map(([found, wanted]) => {
    let [wrong, size] = [0, 0];
    wanted.forEach((value, i) => {
      wrong += (value - found[i]!) ** 2;
      size += value ** 2;
    });
    allWrong += wrong;
    all += size;
    return Math.sqrt(wrong / size);
  });
  each.sort((a, b) => a - b);
  return { median: each[each.length >> 1]!, worst: each.at(-1)!, whole: Math.sqrt(allWrong / all) };
}
