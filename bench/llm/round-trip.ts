// Adapters and merged models between PEFT, transformers and us, both directions: whatever one side writes, the other loads with the same
// logits. Also by itself: node bench/llm/round-trip.ts

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { temporaryFolder } from '../../src/base/files.ts';
import { random } from '../../src/base/random.ts';
import type { Adapter } from '../../src/models/adapter.ts';
import { type AdapterSettings, prefixFor } from '../../src/models/adapter-settings.ts';
import type { Batch } from '../../src/models/batch.ts';
import { openModel } from '../../src/models/folder.ts';
import type { LanguageModel } from '../../src/models/language-model.ts';
import { newAdapter } from '../../src/models/lora.ts';
import { type Merge, mergeModel } from '../../src/models/merge.ts';
import { readAdapter } from '../../src/models/peft.ts';
import { writeAdapter } from '../../src/models/write-peft.ts';
import { largestDifference, logitsOf, runnable, tinyBatch, tinyFolder } from '../../test/models/tiny-models.ts';
import { atMost, type Row } from '../row.ts';
import { pythonOf } from '../splink.ts';
import { smollm2 } from './model.ts';

const tiny = resolve(tinyFolder('llama'), '..');
const must = 1e-4;

/** What the peer is to load, and the logits we have for it. */
type Case = {
  readonly name: string;
  readonly model: string;
  readonly adapter: string | null;
  readonly labels: number | null;
  readonly ids: readonly (readonly number[])[];
  readonly lengths: readonly number[];
  readonly logits: string;
};
/** What the peer wrote, and the logits it has for it. */
type Made = Omit<Case, 'labels'>;

/** Rows of the round trip; one that says so where the peer (bench/peers/setup.sh) is not installed. */
export async function* roundTrip(): AsyncIterable<Row> {
  const python = pythonOf('llm');
  if (!python) {
    yield { figure: 'round trip with PEFT and transformers', value: 0, unit: 'cases', peer: 'not installed', ok: true };
    return;
  }
  const scratch = temporaryFolder();
  const peer = <T>(verb: string): T => {
    const script = join(import.meta.dirname, '..', 'peers', 'llm-round-trip.py');
    const env = { ...process.env, HF_HUB_OFFLINE: '1' };
    const said = execFileSync(python, [script, verb, scratch.path, tiny], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] });
    const lines = said.trim().split('\n');
    return JSON.parse(lines.at(-1)!) as T;
  };
  try {
    const made = peer<readonly Made[]>('make');
    for (const one of made) {
      yield atMost(`${one.adapter === null ? 'model merged by' : 'adapter of'} PEFT, here: ${one.name}`, await differenceHere(one), must);
    }
    const cases = await writeCases(scratch.path, made);
    writeFileSync(join(scratch.path, 'cases.json'), JSON.stringify(cases));
    for (const { name, difference, largest } of peer<readonly { name: string; difference: number; largest: number }[]>('check')) {
      yield atMost(`written here, there: ${name}`, difference, must, '', { peer: `logits to ${largest.toFixed(1)}` });
    }
  } finally {
    scratch.remove();
  }
}

async function differenceHere({ model: path, adapter: adapterPath, ids, lengths, logits }: Made): Promise<number> {
  const batch = batchOf({ ids, lengths, isClass: path.includes('-class') });
  const model = await runWith(path, adapterPath);
  const bytes = readFileSync(logits);
  const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const difference = differenceOf(await logitsOf(model, batch), theirs, batch);
  await model.close();
  return difference;
}

/** Places after a text's end do not count. */
function differenceOf(ours: Float32Array, theirs: Float32Array, batch: Batch): number {
  if (batch.kind === 'class') return largestDifference(ours, theirs);
  const width = theirs.length / (batch.rows * batch.tokens);
  return [...batch.lengths].reduce((worst, length, row) => {
    const [from, to] = [row * batch.tokens * width, (row * batch.tokens + length) * width];
    return Math.max(worst, largestDifference(ours.subarray(from, to), theirs.subarray(from, to)));
  }, 0);
}

async function runWith(path: string, adapterPath: string | null): Promise<LanguageModel> {
  if (adapterPath === null) return runnable(path);
  const base = await openModel(path);
  const { adapter } = await readAdapter(adapterPath, { base });
  await base.close();
  return runnable(path, { adapter });
}

const plain: AdapterSettings = {
  ...{ task: 'CAUSAL_LM', targets: 'all-linear', prefix: 'model', rank: 4, alpha: 8, dropout: 0.1, rsLora: false, dora: false },
};

/** A base, the settings of a new adapter on it, and the types it is merged in. */
type Plan = {
  readonly name: string;
  readonly base: string;
  readonly settings: AdapterSettings;
  readonly labels?: number;
  readonly merges: readonly Merge['format'][];
  readonly batch: Batch;
};

/** Writes adapters and merged models, and our logits for each. */
async function writeCases(folder: string, made: readonly Made[]): Promise<readonly Case[]> {
  const of = (name: 'llama' | 'llama31' | 'gemma3' | 'llama-class' | 'gemma3-class') => ({
    base: tinyFolder(name),
    batch: tinyBatch(name),
  });
  const asClass = { ...tinyBatch('llama'), kind: 'class', labels: Int32Array.of(0, 1) } as Batch;
  const patterns = { rankPattern: { 'layers.1.mlp.up_proj': 2 }, alphaPattern: { q_proj: 32 }, layers: [1, 3, 4] };
  const plans: Plan[] = [
    { name: 'LoRA on Llama', ...of('llama'), settings: plain, merges: ['f32', 'bf16', 'f16'] },
    {
      name: 'rsLoRA on some layers',
      ...of('llama31'),
      settings: { ...plain, ...patterns, rsLora: true, targets: ['q_proj', 'mlp.up_proj'] },
      merges: ['f32'],
    },
    { name: 'DoRA on Gemma 3', ...of('gemma3'), settings: { ...plain, dora: true }, merges: ['f32', 'bf16'] },
    { name: 'a pattern of targets', ...of('gemma3'), settings: { ...plain, targets: '.*\\.layers\\.[25]\\..*_proj' }, merges: [] },
    { name: 'Llama classifier', ...of('llama-class'), settings: { ...plain, task: 'SEQ_CLS' }, labels: 3, merges: ['f32'] },
    { name: 'Gemma 3 classifier', ...of('gemma3-class'), settings: { ...plain, task: 'SEQ_CLS' }, labels: 2, merges: ['f32', 'bf16'] },
    {
      name: 'new classifier on a language model',
      ...of('llama'),
      batch: asClass,
      settings: { ...plain, task: 'SEQ_CLS' },
      labels: 4,
      merges: ['f32'],
    },
    ...made
      .filter(({ adapter }) => adapter !== null)
      .map(({ name, model, ids, lengths }) => ({
        ...{ name: `LoRA on ${name}`, base: model, settings: { ...plain, dora: name.endsWith('dora') }, merges: ['f32' as const] },
        batch: batchOf({ ids, lengths, isClass: false }),
      })),
  ];
  const cases: Case[] = [];
  for (const plan of plans) cases.push(...(await writePlan(folder, plan)));
  const gguf = smollm2();
  if (gguf !== undefined) {
    const ids = [Array.from({ length: 24 }, (_, i) => (i * 977 + 31) % 49152)];
    const batch = batchOf({ ids, lengths: [24], isClass: false });
    cases.push(...(await writePlan(folder, { name: 'SmolLM2-135M from GGUF', base: gguf, settings: plain, merges: ['f32'], batch })));
  }
  return cases;
}

async function writePlan(folder: string, { name, base: path, settings: asked, labels, merges, batch }: Plan): Promise<readonly Case[]> {
  const bare = await runnable(path);
  const settings = { ...asked, prefix: prefixFor(bare.config) };
  const adapter = disturbed(newAdapter(bare.resident, { settings, seed: 5, ...(labels !== undefined && { labels }) }));
  await bare.close();
  const place = join(folder, name.replaceAll(/\W+/g, '-'));
  const { rows, tokens, lengths, ids } = batch;
  const common = {
    labels: labels ?? null,
    ids: Array.from({ length: rows }, (_, row) => [...ids.subarray(row * tokens, (row + 1) * tokens)]),
    lengths: [...lengths],
  };
  const keep = async (model: LanguageModel, file: string): Promise<string> => {
    writeFileSync(file, await logitsOf(model, batch));
    await model.close();
    return file;
  };
  const cases: Case[] = [];
  // transformers has no GGUF base to put an adapter on: there only the merged model is compared.
  const apart = await keep(await runnable(path, { adapter }), `${place}.f32`);
  if (!path.endsWith('.gguf')) {
    await writeAdapter(`${place}-adapter`, { adapter, settings });
    cases.push({ name: `adapter, ${name}`, model: path, adapter: `${place}-adapter`, logits: apart, ...common });
  }
  const base = await openModel(path);
  for (const format of merges) {
    const model = `${place}-${format}`;
    await mergeModel(model, { base, adapter, format });
    // In half precision the sums are rounded, so the merged model is compared with itself; in full precision with base and adapter.
    const logits = format === 'f32' ? apart : await keep(await runnable(model), `${model}.f32`);
    cases.push({ name: `merged in ${format}, ${name}`, model, adapter: null, logits, ...common });
  }
  await base.close();
  return cases;
}

/** As after training: B is not zero any more, nor are lengths those of the base. */
function disturbed(adapter: Adapter): Adapter {
  const noise = random(5, 'noise');
  const near = () => noise.float() - 0.5;
  const modules = [...adapter.modules].map(([name, module]) => {
    const magnitude = module.magnitude?.map((value) => value * (1 + 0.2 * near()));
    return [name, { ...module, b: module.b.map(() => 0.2 * near()), ...(magnitude && { magnitude }) }] as const;
  });
  return { ...adapter, modules: new Map(modules) };
}

function batchOf({ ids, lengths, isClass }: Pick<Case, 'ids' | 'lengths'> & { readonly isClass: boolean }): Batch {
  const batch = { rows: ids.length, tokens: ids[0]!.length, ids: Int32Array.from(ids.flat()), lengths: Int32Array.from(lengths) };
  return isClass
    ? { ...batch, kind: 'class', labels: new Int32Array(ids.length) }
    : { ...batch, kind: 'causal', targets: new Int32Array(batch.ids.length).fill(-100) };
}

if (import.meta.main)
  for await (const { figure, value, ok } of roundTrip()) console.log(`${ok ? 'ok  ' : 'MISS'} ${value.toExponential(1)}  ${figure}`);
