// The tiny models of test/oracle/llm/models, made by transformers and PEFT (recipe.py there), and how to run them here.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { writeModel } from '../../src/graph/onnx-proto.ts';
import { openSession } from '../../src/graph/session.ts';
import type { Adapter } from '../../src/models/adapter.ts';
import type { Batch } from '../../src/models/batch.ts';
import { toFloat32 } from '../../src/models/expand.ts';
import { openModel } from '../../src/models/folder.ts';
import { logitsHead } from '../../src/models/head.ts';
import { type LanguageModel, languageModel } from '../../src/models/language-model.ts';
import { lossHead } from '../../src/models/loss.ts';
import { loadResident, type Storage } from '../../src/models/resident.ts';
import { openSafetensors, readStored } from '../../src/models/safetensors.ts';
import { formOf, weightTensors } from '../../src/models/weight.ts';

export const tinyNames = ['llama', 'llama31', 'gemma3', 'llama-class', 'gemma3-class'] as const;
export type TinyName = (typeof tinyNames)[number];

const root = resolve(import.meta.dirname, '..', 'oracle', 'llm', 'models');
export const tinyFolder = (name: TinyName): string => join(root, name);

export type TinyOracle = {
  readonly ids: readonly (readonly number[])[];
  readonly lengths: readonly number[];
  readonly logits: readonly (readonly number[])[];
  readonly adapter: { readonly loss: number; readonly logits: readonly (readonly number[])[] };
};

export const tinyOracle = (name: TinyName): TinyOracle => JSON.parse(readFileSync(join(root, name, 'oracle.json'), 'utf8'));

/** The oracle's two texts as a batch, with the labels its loss was computed for. */
export function tinyBatch(name: TinyName): Batch {
  const { ids, lengths } = tinyOracle(name);
  const [rows, tokens] = [ids.length, ids[0]!.length];
  const batch = { rows, tokens, ids: Int32Array.from(ids.flat()), lengths: Int32Array.from(lengths) };
  if (name.endsWith('-class')) return { ...batch, kind: 'class', labels: Int32Array.of(1, 0) };
  const targets = Int32Array.from(batch.ids, (_, at) => (at % tokens < lengths[Math.floor(at / tokens)]! - 1 ? batch.ids[at + 1]! : -100));
  return { ...batch, kind: 'causal', targets };
}

/** Opens and runs a model folder. */
export async function runnable(
  path: string,
  options: { readonly adapter?: Adapter; readonly storage?: Storage } = {},
): Promise<LanguageModel> {
  const folder = await openModel(path);
  const resident = await loadResident(folder, options);
  await folder.close();
  return languageModel(resident, { ...options, session: { threads: 1 } });
}

/** Class logits [rows, labels], or those of the vocabulary at every place [rows * tokens, vocabulary]. */
export async function logitsOf(model: LanguageModel, batch: Batch): Promise<Float32Array> {
  const hidden = await model.hidden(batch);
  if (batch.kind === 'class') {
    const head = lossHead(model);
    const { logits } = await head.run(batch, hidden);
    await head.close();
    return logits!;
  }
  const { head: stored, norm } = model.resident;
  const head = stored.format === 'bf16' ? { ...stored, format: 'f32' as const, data: toFloat32(stored) } : stored;
  const logits = logitsHead(model.config, formOf(head));
  const session = await openSession(writeModel({ outputs: { logits } }), model.sessionOptions);
  const found = await session.run({ hidden, norm, ...weightTensors('lm_head', head) });
  await session.close();
  return found['logits']!.data as Float32Array;
}

/** Every tensor of a safetensors file as float32. */
export async function readAll(path: string): Promise<ReadonlyMap<string, Float32Array>> {
  const file = await openSafetensors(path);
  const all = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) all.set(name, toFloat32(await readStored(file, name)));
  await file.close();
  return all;
}

/** Largest difference; of the first rows only, where the oracle holds no more. */
export function largestDifference(ours: Float32Array, theirs: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < theirs.length; i++) worst = Math.max(worst, Math.abs(ours[i]! - theirs[i]!));
  return Number.isNaN(worst) ? Number.POSITIVE_INFINITY : worst;
}

/** Length of the difference over the length of what it should be. */
export function relativeL2(ours: Float32Array, theirs: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [i, value] of theirs.entries()) {
    difference += (value - ours[i]!) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}
