// A language model that runs: weights in memory, one compiled graph for all layers of a shape, and a loop over the layers. Between two
// layers the hidden states pass through our own memory, which is what lets a training step keep, drop or recompute what it likes.

import type { SessionOptions } from '../graph/session.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { type Adapter, noAdapter } from './adapter.ts';
import type { TokenBatch } from './batch.ts';
import type { ModelConfig } from './config.ts';
import { type LayerShape, type LinearName, linearNames, maskRows } from './decoder-layer.ts';
import { expandRows } from './expand.ts';
import { type LayerSessions, layerSessions } from './layer-sessions.ts';
import type { AdapterShape } from './linear.ts';
import type { Resident } from './resident.ts';
import { ropeTables } from './rope.ts';

export type LanguageModel = {
  readonly config: ModelConfig;
  readonly resident: Resident;
  readonly adapter: Adapter;
  readonly sessions: LayerSessions;
  readonly sessionOptions: SessionOptions;
  /** The last layer's output before the final norm, [rows * tokens, hidden]; of a class batch each row's last token, [rows, hidden]. */
  readonly hidden: (batch: TokenBatch) => Promise<Tensor>;
  readonly close: () => Promise<void>;
};

/** Makes a loaded model ready to run. The adapter's arrays are read at every run: training changes them in place. */
export function languageModel(
  resident: Resident,
  { adapter = noAdapter, session = {} }: { readonly adapter?: Adapter; readonly session?: SessionOptions } = {},
): LanguageModel {
  const { config } = resident;
  const sessions = layerSessions(config, session);
  const model: LanguageModel = {
    config,
    resident,
    adapter,
    sessions,
    sessionOptions: session,
    hidden: async (batch) => {
      let hidden = embed(resident, batch);
      for (let i = 0; i < config.layers.length; i++) {
        const running = await sessions.forward(layerShape(model, i, { batch, isTraining: false }));
        hidden = (await running.run({ hidden, ...layerInputs(model, i, { batch, hidden }) }))['output']!;
      }
      return hidden;
    },
    close: sessions.close,
  };
  return model;
}

/** The vocabulary's rows of the batch's ids, [rows * tokens, hidden], scaled as the family does. */
export function embed({ config, embedding }: Resident, { ids }: { readonly ids: Int32Array }): Tensor {
  const data = expandRows(embedding, ids);
  const { embeddingScale } = config;
  if (embeddingScale !== 1) for (let i = 0; i < data.length; i++) data[i]! *= embeddingScale;
  return tensor('float32', [ids.length, config.hiddenSize], data);
}

/** What layer `i`'s graph depends on. Dropout is part of it only in training. */
export function layerShape(
  { config, resident, adapter }: LanguageModel,
  i: number,
  { batch, isTraining }: { readonly batch: Pick<TokenBatch, 'rows' | 'tokens' | 'kind'>; readonly isTraining: boolean },
): LayerShape {
  const { rows, tokens } = batch;
  const adapters: Partial<Record<LinearName, AdapterShape>> = {};
  for (const name of linearNames) {
    const shape = adapter.modules.get(`model.layers.${i}.${name}`)?.shape;
    if (shape) adapters[name] = isTraining ? shape : { ...shape, dropout: 0 };
  }
  const isLastOnly = asksLastOnly(config, i, batch);
  return { rows, tokens, ...(isLastOnly && { isLastOnly }), forms: resident.layers[i]!.forms, adapters };
}

/** Whether layer `i` is the last one and only the last tokens are asked for. */
export const asksLastOnly = ({ layers }: ModelConfig, i: number, { kind }: Pick<TokenBatch, 'kind'>): boolean =>
  kind === 'class' && i === layers.length - 1;

/** Where each row's last token stands among all places. */
export const lastPlaces = ({ lengths, tokens }: TokenBatch): Int32Array => lengths.map((length, row) => row * tokens + length - 1);

/** Some rows of a matrix [places, width], copied. */
export function takeRows<T extends Float32Array | Uint8Array>(data: T, rows: Int32Array, width: number): T {
  const taken = new (data.constructor as new (size: number) => T)(rows.length * width);
  for (const [i, row] of rows.entries()) taken.set(data.subarray(row * width, (row + 1) * width), i * width);
  return taken;
}

/** Everything layer `i`'s graph asks for beside its input `hidden` and what a pass keeps. */
export function layerInputs(
  model: LanguageModel,
  i: number,
  { batch, hidden }: { readonly batch: TokenBatch; readonly hidden: Tensor },
): Record<string, Tensor> {
  const { resident, config } = model;
  const { rows, tokens } = batch;
  return {
    ...resident.layers[i]!.tensors,
    ...adapterTensors(model.adapter, i),
    ...places(config, { kind: config.layers[i]!, rows, tokens }),
    ...(asksLastOnly(config, i, batch) && lastInputs(config, { kind: config.layers[i]!, batch, hidden })),
  };
}

/** What a layer is given where only the last tokens ask: their rows, their positions, and what each may look at. */
function lastInputs(
  { hiddenSize, window }: ModelConfig,
  { kind, batch, hidden }: { readonly kind: 'global' | 'local'; readonly batch: TokenBatch; readonly hidden: Tensor },
): Record<string, Tensor> {
  const { rows, tokens, lengths } = batch;
  const mask = new Float32Array(rows * tokens).fill(masked);
  for (const [row, length] of lengths.entries()) {
    const from = kind === 'local' ? Math.max(0, length - window!) : 0;
    mask.fill(0, row * tokens + from, row * tokens + length);
  }
  return {
    asked: tensor('float32', [rows, hiddenSize], takeRows(hidden.data as Float32Array, lastPlaces(batch), hiddenSize)),
    'asked.positions': tensor(
      'int64',
      [rows, 1],
      BigInt64Array.from(lengths, (length) => BigInt(length - 1)),
    ),
    mask: tensor('float32', [rows, 1, 1, tokens], mask),
  };
}

const madeAdapters = new WeakMap<Adapter, Map<number, Readonly<Record<string, Tensor>>>>();

/** The adapter's matrices of layer `i`, by the names its graph gives them: views of its arrays, made once. */
export function adapterTensors(adapter: Adapter, i: number): Readonly<Record<string, Tensor>> {
  const made = madeAdapters.get(adapter) ?? new Map<number, Readonly<Record<string, Tensor>>>();
  madeAdapters.set(adapter, made);
  const found = made.get(i) ?? tensorsOfAdapter(adapter, i);
  made.set(i, found);
  return found;
}

function tensorsOfAdapter({ modules }: Adapter, i: number): Readonly<Record<string, Tensor>> {
  const tensors: Record<string, Tensor> = {};
  for (const name of linearNames) {
    const found = modules.get(`model.layers.${i}.${name}`);
    if (!found) continue;
    const { a, b, magnitude, shape } = found;
    tensors[`${name}.lora_A`] = tensor('float32', [shape.rank, a.length / shape.rank], a);
    tensors[`${name}.lora_B`] = tensor('float32', [b.length / shape.rank, shape.rank], b);
    if (magnitude) tensors[`${name}.lora_magnitude_vector`] = tensor('float32', [magnitude.length], magnitude);
  }
  return tensors;
}

type Places = { readonly kind: 'global' | 'local'; readonly rows: number; readonly tokens: number };

const madePlaces = new WeakMap<ModelConfig, Map<string, Record<string, Tensor>>>();

/** Positions, rotation tables and mask of one batch shape; made once for each. */
function places(config: ModelConfig, { kind, rows, tokens }: Places): Record<string, Tensor> {
  const made = madePlaces.get(config) ?? new Map<string, Record<string, Tensor>>();
  madePlaces.set(config, made);
  const key = `${kind} ${rows} ${tokens}`;
  const found = made.get(key);
  if (found) return found;

  const { headDim, window } = config;
  const rope = kind === 'local' ? config.ropeLocal! : config.rope;
  const { cosines, sines } = ropeTables(rope, { dim: headDim, positions: tokens });
  const result = {
    positions: tensor(
      'int64',
      [rows, tokens],
      BigInt64Array.from({ length: rows * tokens }, (_, at) => BigInt(at % tokens)),
    ),
    cosines: tensor('float32', [tokens, headDim / 2], cosines),
    sines: tensor('float32', [tokens, headDim / 2], sines),
    mask: tensor('float32', [maskRows(tokens), tokens], causalMask(tokens, kind === 'local' ? window : undefined)),
  };
  made.set(key, result);
  return result;
}

/** Far below any score, yet not infinite: a row of nothing but masked places must not become NaN. */
export const masked = -1e30;

/** Of the last queries: 0 where one may look, else very negative. A window counts the query itself. */
function causalMask(tokens: number, window = tokens): Float32Array {
  const rows = maskRows(tokens);
  const mask = new Float32Array(rows * tokens).fill(masked);
  for (let row = 0; row < rows; row++) {
    const query = tokens - rows + row;
    mask.fill(0, row * tokens + Math.max(0, query - window + 1), row * tokens + query + 1);
  }
  return mask;
}
