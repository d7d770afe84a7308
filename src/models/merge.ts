// An adapter built into its base: a model folder that needs neither adapter nor PEFT.
//
//   W' = W + scale B A          DoRA: each row of it brought to the adapter's length
//
// Computed in float32 a matrix at a time and rounded once, to the type asked for. A quantised base is spelled out first. An adapter that
// was trained on quantised weights can go two ways, and the output says which it was: onto the weights it was trained on, spelled out
// again (the sum is the model that was trained), or onto the original ones (closer to the original, not exactly what was trained).
// Sources: PEFT 0.21, merge of lora and dora; on the choice, its issues on merging into 4-bit bases.

import { statSync } from 'node:fs';

import { UserError } from '../base/errors.ts';
import { type Progress, silent } from '../base/progress.ts';
import { div, gemm, input, mul, reduceSum, reshape, sqrt } from '../graph/node.ts';
import { writeModel } from '../graph/onnx-proto.ts';
import { openSession, type Session, type SessionOptions } from '../graph/session.ts';
import { tensor } from '../graph/tensor.ts';
import { type Adapter, type AdapterModule, noAdapter } from './adapter.ts';
import type { ModelConfig } from './config.ts';
import { toFloat32 } from './expand.ts';
import type { AdapterShape } from './linear.ts';
import type { ModelFolder } from './model-folder.ts';
import { type StoragePolicy, storageOf } from './storage.ts';
import type { StoredTensor } from './stored-tensor.ts';
import { tensorShapes } from './tensor-shapes.ts';
import { type FolderToWrite, quantisable, type WeightToWrite, writeModelFolder } from './write-folder.ts';

export type Merge = {
  readonly base: ModelFolder;
  /** None: the base is written as it is, in another form. */
  readonly adapter?: Adapter;
  /** Names of the classes, where the adapter brings a classification head. */
  readonly labels?: readonly string[];
  readonly format: 'f32' | 'f16' | 'bf16';
  /** How the linear layers were kept in training: the adapter goes onto those weights. Left out: onto the base's own. */
  readonly storage?: StoragePolicy;
  /** More files for the folder: a tokenizer's, where the base's folder has none to copy. */
  readonly files?: Readonly<Record<string, string>>;
  readonly maxShardBytes?: number;
  readonly session?: SessionOptions;
  readonly progress?: Progress;
};

/**
 * Writes base and adapter as one Hugging Face folder.
 *
 * @returns a sentence that says onto which weights the adapter went; it stands in the folder's README too
 * @throws UserError `merge.not-finite`, `output.*`
 */
export async function mergeModel(target: string, merge: Merge): Promise<string> {
  const { base, adapter = noAdapter, format, session = {}, progress = silent } = merge;
  const config = mergedConfig(base.config, merge);
  const shapes = tensorShapes(config);
  const onto = describe(merge);
  const merging = merger(session);
  const step = progress.step('merge', { total: shapes.size, unit: 'tensors' });
  const weights = [...shapes].map(
    ([name, shape]): WeightToWrite => ({
      name,
      shape,
      format,
      read: async () => {
        const weight = await mergedWeight(name, { merge: { ...merge, adapter }, merging });
        refuseNotFinite(name, weight, format);
        step.advance(1);
        return weight;
      },
    }),
  );
  try {
    const files = { 'README.md': readme(merge, onto), ...merge.files };
    const { maxShardBytes } = merge;
    const folder: FolderToWrite = { config, weights, files, ...(maxShardBytes !== undefined && { maxShardBytes }) };
    await writeModelFolder(target, statSync(base.path).isDirectory() ? { ...folder, copyFrom: base.path } : folder);
  } finally {
    step.finish();
    await merging.close();
  }
  return onto;
}

type Merging = ReturnType<typeof merger>;

async function mergedWeight(
  name: string,
  {
    merge: { base, adapter, storage = 'stored' },
    merging,
  }: { readonly merge: Merge & { readonly adapter: Adapter }; readonly merging: Merging },
): Promise<StoredTensor> {
  const saved = adapter.saved.get(name);
  if (saved) return { format: 'f32', ...saved };
  const stored = await base.read(name);
  const weight = (quantisable(name) && storageOf(storage).linear?.(stored)) || stored;
  const module = adapter.modules.get(name.replace(/\.weight$/, ''));
  return module ? { format: 'f32', shape: weight.shape, data: await merging.run(toFloat32(weight), module) } : weight;
}

/** Merges matrices; those of one shape share a compiled graph. */
function merger(options: SessionOptions) {
  const sessions = new Map<string, Promise<Session>>();
  return {
    run: async (weight: Float32Array, { shape, a, b, magnitude }: AdapterModule): Promise<Float32Array> => {
      const { rank } = shape;
      const [out, inner] = [b.length / rank, a.length / rank];
      const key = `${out} ${inner} ${rank} ${shape.scale} ${shape.dora}`;
      const session = sessions.get(key) ?? openSession(mergeGraph(shape, [out, inner]), options);
      sessions.set(key, session);
      const { merged } = await (await session).run({
        weight: tensor('float32', [out, inner], weight),
        lora_A: tensor('float32', [rank, inner], a),
        lora_B: tensor('float32', [out, rank], b),
        ...(magnitude && { magnitude: tensor('float32', [out, 1], magnitude) }),
      });
      return merged!.data as Float32Array;
    },
    close: async () => {
      for (const session of sessions.values()) await (await session).close();
    },
  };
}

function mergeGraph({ rank, scale, dora }: AdapterShape, [out, inner]: readonly [number, number]) {
  const [a, b] = [input('lora_A', 'float32', [rank, inner]), input('lora_B', 'float32', [out, rank])];
  const sum = gemm(b, a, { alpha: scale, c: input('weight', 'float32', [out, inner]) });
  if (!dora) return writeModel({ outputs: { merged: sum } });
  const length = reshape(sqrt(reduceSum(mul(sum, sum), [1])), [out, 1]);
  return writeModel({ outputs: { merged: mul(sum, div(input('magnitude', 'float32', [out, 1]), length)) } });
}

/** A head of the adapter's makes the model a classifier. */
function mergedConfig(config: ModelConfig, { adapter = noAdapter, labels }: Merge): ModelConfig {
  const head = adapter.saved.get('score.weight');
  if (!head) return config;
  const count = head.shape[0]!;
  const named = labels ?? (config.labels?.length === count ? config.labels : undefined);
  if (named && named.length !== count) {
    throw new UserError(
      'merge.labels',
      `merge: names of classes do not fit the head: ${named.length} for ${count} classes; name each class once`,
    );
  }
  return { ...config, labels: named ?? Array.from({ length: count }, (_, i) => `LABEL_${i}`) };
}

/** Which weights the adapter goes onto. */
function describe({ base, adapter = noAdapter, storage }: Merge): string {
  const types = [...new Set([...base.tensors].filter(([name]) => quantisable(name)).map(([, { type }]) => type))].join(', ');
  const what = adapter.modules.size > 0 ? 'the adapter was merged onto' : 'the weights are';
  if (storage === 'nf4' || storage === 'int8') return `${what} the base's linear layers as ${storage}, spelled out`;
  return isPlain(types)
    ? `${what} the base's own weights (${types})`
    : `${what} the base's quantised weights (${named(types)}), spelled out`;
}

const isPlain = (types: string) => types.split(', ').every((type) => ['F32', 'F16', 'BF16'].includes(type));

/** NF4 is stored as bytes. */
const named = (types: string) => types.replace(/\bU8\b/, 'NF4');

/** The bits of the first size that is too large: infinity, and in half precision what rounds to it. */
const tooLarge = { f32: 0x7f800000, bf16: 0x7f7f8000, f16: 0x477ff000 };

function refuseNotFinite(name: string, weight: StoredTensor, format: Merge['format']): void {
  if (weight.format !== 'f32') return;
  const { data } = weight;
  // Sizes of floats are in the order of their bits, with NaN above all.
  const words = new Int32Array(data.buffer, data.byteOffset, data.length);
  let largest = 0;
  for (let i = 0; i < words.length; i++) largest = Math.max(largest, words[i]! & 0x7fffffff);
  if (largest < tooLarge[format]) return;
  const value = data[words.findIndex((word) => (word & 0x7fffffff) === largest)]!;
  const hint = Number.isFinite(value) ? `write ${format === 'f16' ? 'bf16 or f32' : 'f32'}` : 'the adapter or its base is damaged';
  throw new UserError('merge.not-finite', `merge: value does not fit ${format}: ${value} in ${name}; ${hint}`);
}

function readme({ base, format }: Merge, onto: string): string {
  return [
    ...['---', 'library_name: transformers', 'tags:', '- clinfuse', '---', ''],
    `Merged with ClinFuse, in ${format}. Base: ${base.path.split(/[/\\]/).findLast((part) => part !== '')}.`,
    `Which weights: ${onto}.`,
    '',
  ].join('\n');
}
