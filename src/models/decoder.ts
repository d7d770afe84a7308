// A model ready to continue texts: its layers in a few compiled stages, its head, and what a call needs beside weights and cache.
//
// Two ways to hold the weights. `packed`: as constants of the compiled graphs, which the runtime lays out for its products: four-bit blocks as
// such (int4.ts), all else as f32; every product is faster, for that memory beside what the model already holds. `stored`: as they lie in memory, spelt out
// anew at every token where they are quantised; nothing is held twice. Packing is the choice up to 1.5 GB.

import { UserError } from '../base/errors.ts';
import { writeModel } from '../graph/onnx-proto.ts';
import { openSession, type Session } from '../graph/session.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import type { ModelConfig } from './config.ts';
import { decodeGraph, layerPrefix } from './decode-graph.ts';
import { type LayerShape, type LinearName, linearNames, linearSizes, normSizes } from './decoder-layer.ts';
import { sizeOf, toFloat32 } from './expand.ts';
import { logitsHead } from './head.ts';
import { int4Form, int4Tensors } from './int4.ts';
import type { KeyValueCache, Stretch } from './key-value-cache.ts';
import { adapterTensors, embed, type LanguageModel, layerShape } from './language-model.ts';
import { runnable } from './resident.ts';
import { ropeTables } from './rope.ts';
import { bytesPerWeight } from './storage.ts';
import type { BlockTensor, StoredTensor } from './stored-tensor.ts';
import { formOf, type WeightForm, weightTensors } from './weight.ts';

export type Decoder = {
  readonly model: LanguageModel;
  /**
   * Puts tokens behind what the cache holds of some of its rows.
   *
   * @returns the last layer's output, [rows * tokens, hidden]; of no meaning at and beyond a row's `fresh`
   */
  readonly run: (step: DecodeStep) => Promise<Float32Array>;
  /** Scores of the whole vocabulary for rows of the last layer's output, written into `into` [rows, vocabulary]. */
  readonly score: (hidden: Float32Array, into: Float32Array) => Promise<void>;
  readonly close: () => Promise<void>;
};

export type DecodeStep = {
  readonly cache: KeyValueCache;
  /** Rows of the cache. Several rows that begin (past 0) or one token each, or one row and any tokens. */
  readonly rows: Stretch;
  /** [rows, tokens], padded on the right. */
  readonly ids: Int32Array;
  /** Tokens of each row in the cache. */
  readonly past: ArrayLike<number>;
  /** Tokens of each row in `ids`. */
  readonly fresh: ArrayLike<number>;
};

const packedLimit = 1.5 * 2 ** 30;
/** Constants of one compiled stage. */
const stageBytes = 2 ** 26;

type Forms = LayerShape['forms'];

/** Bytes that packing takes at its worst, where that is what is done unless told otherwise; else 0. */
export function packedBytes(config: ModelConfig, layers: readonly Forms[]): number {
  const packed = layers.map((forms) => mapForms((name) => packedForm(forms[name], linearSizes(config)[name][1])));
  const head = 4 * config.vocabSize * config.hiddenSize;
  const all = packed.reduce((sum, forms) => sum + layerBytes(config, forms), head);
  // On their way into the runtime constants exist as an array, in the model's bytes, read from these, and laid out.
  return all <= packedLimit ? all + 4 * Math.max(head, Math.min(all - head, stageBytes)) : 0;
}

/** Four-bit blocks stay so. */
const packedForm = (form: WeightForm, inner: number): WeightForm => int4Form(form, inner) ?? { kind: 'f32' };

const layerBytes = (config: ModelConfig, forms: Forms): number =>
  linearNames.reduce((sum, name) => sum + sizeOf(linearSizes(config)[name]) * bytesPerWeight(forms[name]), 0);

const mapForms = (formOf: (name: LinearName) => WeightForm): Forms =>
  Object.fromEntries(linearNames.map((name) => [name, formOf(name)])) as Forms;

/**
 * Makes a model ready to continue texts.
 *
 * @throws UserError `generate.head-size`: the cached attention of the runtime wants a multiple of 8
 */
export function openDecoder(model: LanguageModel, { weights }: { readonly weights?: 'packed' | 'stored' } = {}): Decoder {
  const { config, resident, sessionOptions } = model;
  const width = config.hiddenSize;
  if (config.headDim % 8 !== 0) {
    throw new UserError('generate.head-size', `generate: head size not supported: ${config.headDim}; must be a multiple of 8`);
  }
  const isPacked =
    weights === undefined
      ? packedBytes(
          config,
          resident.layers.map(({ forms }) => forms),
        ) > 0
      : weights === 'packed';
  const packedForms = resident.layers.map((_, i) => formsOfPacked(model, i));
  const largest = Math.max(...packedForms.map((forms) => layerBytes(config, forms)));
  const perStage = isPacked ? Math.max(1, Math.floor(stageBytes / largest)) : config.layers.length;
  const stretches: Stretch[] = [];
  for (let from = 0; from < config.layers.length; from += perStage) {
    stretches.push({ from, to: Math.min(config.layers.length, from + perStage) });
  }

  const compile = ({ from, to }: Stretch, rows: number): Promise<Session> => {
    const layers = config.layers.map((_, i) => {
      const shape = layerShape(model, i, { batch: { rows, tokens: 1 }, isTraining: false });
      return isPacked ? { ...shape, forms: packedForms[i]! } : shape;
    });
    const outputs = decodeGraph(config, { rows, from, to, layers });
    const stored: Record<string, Tensor> = {};
    for (let i = from; i < to && isPacked; i++) Object.assign(stored, prefixed(i, packedTensors(i)));
    return openSession(writeModel({ outputs, stored }), sessionOptions);
  };
  const packedTensors = (i: number): Record<string, Tensor> => {
    const { tensors, linears } = resident.layers[i]!;
    const norms = Object.fromEntries(Object.keys(normSizes(config)).map((name) => [name, tensors[name]!]));
    return Object.assign(norms, ...linearNames.map((name) => packed(name, packedForms[i]![name], linears[name])));
  };

  const stages = new Map<number, Promise<readonly Session[]>>();
  const stagesFor = (rows: number): Promise<readonly Session[]> => {
    const found = stages.get(rows) ?? inTurn(stretches, (stretch) => compile(stretch, rows));
    stages.set(rows, found);
    return found;
  };
  // Arrays of weights stay the same, so that they are named once; an adapter's are read at every call.
  const layerInputs = config.layers.map((_, i) => (isPacked ? {} : prefixed(i, resident.layers[i]!.tensors)));

  // Packed, the head is not kept as an array beside the constant that it becomes.
  let head: Promise<Session> | undefined;
  const plainHead = isPacked ? undefined : runnable(resident.head);
  const headInputs = plainHead ? weightTensors('lm_head', plainHead) : {};
  const openHead = (): Promise<Session> => {
    const logits = logitsHead(config, plainHead ? formOf(plainHead) : { kind: 'f32' });
    const stored = isPacked ? { lm_head: dense(resident.head) } : {};
    return openSession(writeModel({ outputs: { logits }, stored }), sessionOptions);
  };

  const tables = rotationTables(model);
  return {
    model,
    run: async ({ cache, rows, ids, past, fresh }) => {
      const count = rows.to - rows.from;
      const tokens = ids.length / count;
      const lengths = Int32Array.from({ length: count }, (_, row) => past[row]! + fresh[row]! - 1);
      const common = {
        positions: tensor(
          'int64',
          [count, tokens],
          // A padded place may lie beyond the cache; it turns like the last.
          BigInt64Array.from(ids, (_, at) => BigInt(Math.min(cache.places - 1, past[Math.floor(at / tokens)]! + (at % tokens)))),
        ),
        lengths: tensor('int32', [count], lengths),
        // At the start all rows are as long as the padded text; that is how the operator knows there is no past.
        longest: tensor('int32', [], Int32Array.of(past[0] === 0 ? tokens : Math.max(...lengths) + 1)),
        ...tables(cache.places),
      };
      let hidden: Tensor = embed(resident, { ids });
      const sessions = await stagesFor(count);
      for (const [at, stretch] of stretches.entries()) {
        const memory = cache.of(stretch, rows);
        const inputs: Record<string, Tensor> = { hidden, ...common, ...memory };
        for (let i = stretch.from; i < stretch.to; i++)
          Object.assign(inputs, layerInputs[i], prefixed(i, adapterTensors(model.adapter, i)));
        const into = Object.fromEntries(Object.entries(memory).map(([name, of]) => [`new.${name}`, of]));
        hidden = (await sessions[at]!.run(inputs, into))['output']!;
      }
      return hidden.data as Float32Array;
    },
    score: async (hidden, into) => {
      const rows = hidden.length / width;
      const session = await (head ??= openHead());
      await session.run(
        { hidden: tensor('float32', [rows, width], hidden), norm: resident.norm, ...headInputs },
        { logits: tensor('float32', [rows, config.vocabSize], into) },
      );
    },
    close: async () => {
      for (const sessions of stages.values()) for (const session of await sessions) await session.close();
      await (await head)?.close();
    },
  };
}

/** How layer `i` is packed: an adapter may want a matrix spelt out. */
const formsOfPacked = ({ config, resident, adapter }: LanguageModel, i: number): Forms =>
  mapForms((name) =>
    adapter.modules.get(`model.layers.${i}.${name}`)?.shape.dora
      ? { kind: 'f32' }
      : packedForm(resident.layers[i]!.forms[name], linearSizes(config)[name][1]),
  );

const packed = (name: string, { kind }: WeightForm, stored: StoredTensor): Readonly<Record<string, Tensor>> =>
  kind === 'int4' ? int4Tensors(name, stored as BlockTensor) : { [name]: dense(stored) };

const dense = (stored: StoredTensor): Tensor => tensor('float32', stored.shape, toFloat32(stored));

const prefixed = (i: number, tensors: Readonly<Record<string, Tensor>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, of]) => [layerPrefix(i) + name, of]));

/** One after the other: each compiled stage needs its constants several times over while it is made. */
async function inTurn<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<readonly U[]> {
  const done: U[] = [];
  for (const item of items) done.push(await work(item));
  return done;
}

/** Tables for a number of positions, kept for the largest asked for so far. */
function rotationTables({ config }: LanguageModel): (positions: number) => Readonly<Record<string, Tensor>> {
  let made: { readonly positions: number; readonly tensors: Readonly<Record<string, Tensor>> } = { positions: 0, tensors: {} };
  return (positions) => {
    if (positions <= made.positions) return made.tensors;
    const tensors: Record<string, Tensor> = {};
    for (const kind of new Set(config.layers)) {
      const rope = kind === 'local' ? config.ropeLocal! : config.rope;
      const { cosines, sines } = ropeTables(rope, { dim: config.headDim, positions });
      tensors[`cosines.${kind}`] = tensor('float32', [positions, config.headDim / 2], cosines);
      tensors[`sines.${kind}`] = tensor('float32', [positions, config.headDim / 2], sines);
    }
    made = { positions, tensors };
    return tensors;
  };
}
