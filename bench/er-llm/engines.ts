// Fine-tuning by TRL and Axolotl: every configuration we write is read by their own parsers with each value as it was meant; and a real run,
// of TRL on a tiny model, comes back as an adapter with PEFT's logits. Also by itself: node bench/er-llm/engines.ts

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';

import { trainWithEngine } from '../../src/apps/llm/engine.ts';
import { trainModel } from '../../src/apps/llm/train.ts';
import { UserError } from '../../src/base/errors.ts';
import { temporaryFolder } from '../../src/base/files.ts';
import { silent } from '../../src/base/progress.ts';
import { random } from '../../src/base/random.ts';
import { openModel } from '../../src/models/folder.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { engineDefaults, engineYaml } from '../../src/training/engine-config.ts';
import { type EngineName, engineNames } from '../../src/training/engine-rules.ts';
import { trainingSettings } from '../../src/training/training-settings.ts';
import { writeTinyModel } from '../../test/fixtures/tiny-model.ts';
import { writeTinyPairs } from '../../test/fixtures/tiny-pairs.ts';
import { largestDifference, logitsOf, runnable } from '../../test/models/tiny-models.ts';
import { atLeast, atMost, type Row } from '../row.ts';
import { pythonOf } from '../splink.ts';

const script = join(import.meta.dirname, '..', 'peers', 'engines-check.py');
const golden = resolve(import.meta.dirname, '../../test/golden/engines');

/** Values that mean something of their own; the first of each is what is taken where nothing is said. */
const values: Readonly<Record<string, readonly unknown[]>> = {
  ...{ rank: [undefined, 16], alpha: [undefined, 32], dropout: [undefined, 0.05], rslora: [undefined, true], dora: [undefined, true] },
  targets: [undefined, 'q_proj', ['q_proj', 'mlp.up_proj'], '.*layers\\.[01]\\..*_proj'],
  ...{ learningRate: [undefined, 2e-4, 1e-7], schedule: [undefined, 'cosine', 'constant'], warmup: [undefined, 10, 0.1] },
  ...{ weightDecay: [undefined, 0.01], maxGradientNorm: [undefined, 0], batchSize: [undefined, 1], accumulation: [undefined, 4, 6] },
  ...{
    epochs: [undefined, 1],
    maxSteps: [undefined, 20],
    maxLength: [undefined, 2048],
    labelSmoothing: [undefined, 0.1],
    seed: [undefined, 0],
  },
  ...{ classWeights: [undefined, [1, 2]], evaluationEvery: [undefined, 10, 'never'], metric: [undefined, 'f1'], patience: [undefined, 3] },
  ...{ higherIsBetter: [undefined, false, true], checkpointEvery: [undefined, 'epoch', 10, 'never'], keep: [undefined, 1] },
  ...{ recompute: [undefined, 'none', 'all'], precision: [undefined, 'exact'], quantize: [undefined, 'nf4', 'int8'] },
};
const drawn = 300;

/** Rows for the bench `er-llm`; one that says so where the peers (bench/peers/setup.sh) are not installed. */
export async function* engines(): AsyncIterable<Row> {
  const python = pythonOf('engines');
  if (!python) {
    yield { figure: 'configurations read by TRL and Axolotl', value: 0, unit: 'share', peer: 'not installed', ok: true };
    return;
  }
  const scratch = temporaryFolder();
  try {
    for (const engine of engineNames) {
      const folder = join(scratch.path, engine);
      mkdirSync(folder);
      const { written, refused } = writeConfigurations(engine, folder);
      const found = peer<readonly { readonly name: string; readonly fault: readonly string[] }[]>(python, [engine, folder]);
      for (const { name, fault } of found) if (fault.length > 0) console.error(`${engine} ${name}: ${fault.join('; ')}`);
      const good = found.filter(({ fault }) => fault.length === 0).length;
      const told = `${written} configurations, ${refused} refused by name`;
      yield atLeast(`configurations that ${engine} reads as they are meant`, good / written, 1, 'share', { peer: told });
    }
    yield* roundTrip(python, scratch.path);
  } finally {
    scratch.remove();
  }
}

/** One for each value of each setting, as many with all settings drawn, and the golden ones. */
function writeConfigurations(engine: EngineName, folder: string): { readonly written: number; readonly refused: number } {
  const draw = random(7, engine);
  const singles = Object.entries(values).flatMap(([name, list]) => list.map((value) => ({ [name]: value })));
  const mixed = Array.from({ length: drawn }, () =>
    Object.fromEntries(
      Object.entries(values).map(([name, list]) => [name, draw.float() < 0.85 ? list[0] : list[draw.integer(0, list.length - 1)]]),
    ),
  );
  let [written, refused] = [0, 0];
  for (const said of [...singles, ...mixed]) {
    const known = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
    const [processes, hasValidation] = [draw.integer(1, 2), draw.float() < 0.8];
    try {
      const settings = trainingSettings(engineDefaults(known), known);
      const run = {
        model: '../../model',
        settings,
        processes: settings.accumulation === 1 ? 1 : processes,
        totalSteps: 100,
        hasValidation,
      };
      writeFileSync(join(folder, `drawn-${String(written).padStart(4, '0')}.yaml`), engineYaml(engine, run));
      written += 1;
    } catch (cause) {
      if (!(cause instanceof UserError)) throw cause;
      refused += 1;
    }
  }
  for (const name of readdirSync(golden)) {
    writeFileSync(join(folder, `${name}.yaml`), readFileSync(join(golden, name, `${engine}.yaml`)));
    written += 1;
  }
  return { written, refused };
}

/** A real run of TRL, one with our own trainer on the same rows, and PEFT's logits of what TRL learned. */
async function* roundTrip(python: string, home: string): AsyncIterable<Row> {
  const [model, data, out] = [join(home, 'model'), join(home, 'pairs'), join(home, 'run')];
  await writeTinyModel(model);
  writeTinyPairs(data);
  const said = { precision: 'exact', learningRate: 1e-2, batchSize: 8, epochs: 2 };
  const common = { model, data, task: undefined, progress: silent, clock: Date.now };
  const env = { ...process.env, PATH: `${dirname(python)}${delimiter}${process.env['PATH']}` };
  const report = await trainWithEngine({
    ...{ ...common, out, engine: 'trl', processes: 1, settings: trainingSettings(engineDefaults(said), said) },
    launch: async ({ script: run }) => {
      execFileSync('sh', [run], { env, stdio: 'ignore' });
      return { code: 0 };
    },
  });
  if (report === 'interrupted') return;
  const ours = await trainModel({ ...common, out: join(home, 'ours'), memory: 4e9, threads: 1, settings: trainingSettings(said) });
  const before = Math.abs(ours.before!['loss']! - report.before!['loss']!);
  yield atMost('loss before training, TRL’s less ours, on rows as we wrote them', before, 1e-4, '', {
    peer: report.before!['loss']!.toFixed(4),
  });

  const ids = [
    [1, 20, 300, 41, 7, 99],
    [1, 5, 6, 7, 8, 9],
  ];
  const theirs = peer<readonly (readonly (readonly number[])[])[]>(python, [
    'logits',
    model,
    join(out, 'engine/output'),
    JSON.stringify(ids),
  ]);
  const base = await openModel(model);
  const { adapter } = await readAdapter(join(out, 'adapter'), { base });
  await base.close();
  const loaded = await runnable(model, { adapter });
  const flat = Int32Array.from(ids.flat());
  const batch = { rows: 2, tokens: 6, ids: flat, lengths: Int32Array.of(6, 6), targets: new Int32Array(12).fill(-100) };
  const logits = await logitsOf(loaded, { ...batch, kind: 'causal' });
  await loaded.close();
  const all = theirs.flat(2);
  const difference = all.length === logits.length ? largestDifference(logits, all) : Number.POSITIVE_INFINITY;
  const largest = all.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  yield atMost('logits of what TRL learned: PEFT less ours', difference, 1e-4, '', { peer: `logits to ${largest.toFixed(1)}` });
}

function peer<T>(python: string, words: readonly string[]): T {
  const env = { ...process.env, HF_HUB_OFFLINE: '1' };
  const said = execFileSync(python, [script, ...words], { encoding: 'utf8', env, maxBuffer: 1e9, stdio: ['ignore', 'pipe', 'ignore'] });
  return JSON.parse(said.trim().split('\n').at(-1)!) as T;
}

if (import.meta.main)
  for await (const { figure, value, peer: told = '', ok } of engines())
    console.log(`${ok ? 'ok  ' : 'MISS'} ${value.toPrecision(3)}  ${figure}  ${told}`);
