// One forward and backward pass over a batch: what each layer will need again is kept or, to save memory, computed a second time from
// the layer's input, which is always kept.

import type { Tensor } from '../graph/tensor.ts';
import { tensor } from '../graph/tensor.ts';
import type { TokenBatch } from './batch.ts';
import { dropoutMask } from './dropout.ts';
import { asksLastOnly, embed, type LanguageModel, lastPlaces, layerInputs, layerShape, takeRows } from './language-model.ts';
import type { PassMemory } from './pass-memory.ts';

export type Trace = {
  readonly hidden: Tensor;
  readonly layers: readonly LayerTrace[];
};

type LayerTrace = {
  /** The layer's input. */
  readonly hidden: Tensor;
  readonly kept: Readonly<Record<string, Tensor>> | undefined;
};

export type PassOptions = {
  /** Names the dropout masks of this pass; none are drawn without it. */
  readonly dropoutKeys: readonly (number | string)[];
  /** From the top, how many layers keep their activations; the others compute them again. */
  readonly keptLayers: number;
  /** 8-bit copies of the frozen weights, layer by layer, for the fast backward pass. */
  readonly int8?: readonly Readonly<Record<string, Tensor>>[] | undefined;
  /** Where a pass leaves what it made, until the next one. */
  readonly memory: PassMemory;
};

/** Runs the layers and remembers what `backwardPass` needs. */
export async function forwardPass(
  model: LanguageModel,
  batch: TokenBatch,
  { dropoutKeys, keptLayers, memory }: PassOptions,
): Promise<Trace> {
  const layers: LayerTrace[] = [];
  const lowest = lowestTrained(model);
  const count = model.config.layers.length;
  let hidden = embed(model.resident, batch);
  for (let i = 0; i < count; i++) {
    const isKept = i >= lowest && i >= count - keptLayers;
    const shape = layerShape(model, i, { batch, isTraining: true });
    const session = await (isKept ? model.sessions.forwardKeeping(shape) : model.sessions.forward(shape));
    const inputs = { hidden, ...layerInputs(model, i, { batch, hidden }), ...masks(model, i, { batch, dropoutKeys }) };
    const { output, ...kept } = await session.run(inputs, memory(`layer ${i}`, session));
    layers.push({ hidden, kept: isKept ? kept : undefined });
    hidden = output!;
  }
  return { hidden, layers };
}

/**
 * Carries the gradient of the last layer's output down, handing out each trained input's gradient by its full name
 * (`model.layers.0.self_attn.q_proj.lora_A`); its array is written over by the next pass.
 */
export async function backwardPass(
  model: LanguageModel,
  {
    batch,
    trace,
    gradient,
    options,
    receive,
  }: {
    readonly batch: TokenBatch;
    readonly trace: Trace;
    readonly gradient: Tensor;
    readonly options: PassOptions;
    readonly receive: (name: string, gradient: Float32Array) => void;
  },
): Promise<void> {
  const lowest = lowestTrained(model);
  let arriving = gradient;
  for (let i = trace.layers.length - 1; i >= lowest; i--) {
    const { hidden, kept } = trace.layers[i]!;
    const shape = layerShape(model, i, { batch, isTraining: true });
    const session = await model.sessions.backward(shape, {
      hasKept: kept !== undefined,
      isLowest: i === lowest,
      isFast: options.int8 !== undefined,
    });
    const inputs = {
      hidden,
      'd.output': arriving,
      ...kept,
      ...layerInputs(model, i, { batch, hidden }),
      ...options.int8?.[i],
      ...masks(model, i, { batch, dropoutKeys: options.dropoutKeys }),
    };
    const { 'd.hidden': down, 'd.asked': asked, ...found } = await session.run(inputs, options.memory(`gradients ${i % 2}`, session));
    if (down && asked) addRows(down.data as Float32Array, lastPlaces(batch), asked.data as Float32Array);
    for (const [name, { data }] of Object.entries(found)) receive(`model.layers.${i}.${name.slice(2)}`, data as Float32Array);
    if (down) arriving = down;
  }
}

/** The first layer that holds anything trained; below it nothing needs a gradient. */
function lowestTrained({ adapter, config }: LanguageModel): number {
  const numbers = [...adapter.modules.keys()].map((name) => Number(/^model\.layers\.(\d+)\./.exec(name)![1]));
  return Math.min(config.layers.length, ...numbers);
}

/** Adds each row of `values` onto one of `target`'s. */
function addRows(target: Float32Array, rows: Int32Array, values: Float32Array): void {
  const width = values.length / rows.length;
  for (const [i, row] of rows.entries()) for (let at = 0; at < width; at++) target[row * width + at]! += values[i * width + at]!;
}

/** The masks of layer `i`'s adapters; one that sees only the last tokens has their rows of the mask for all. */
function masks(
  { adapter, config }: LanguageModel,
  i: number,
  { batch, dropoutKeys }: { readonly batch: TokenBatch; readonly dropoutKeys: readonly (number | string)[] },
): Record<string, Tensor> {
  const found: Record<string, Tensor> = {};
  const prefix = `model.layers.${i}.`;
  for (const [name, { shape, a }] of adapter.modules) {
    if (shape.dropout === 0 || !name.startsWith(prefix)) continue;
    const linear = name.slice(prefix.length);
    const inner = a.length / shape.rank;
    const mask = dropoutMask(batch.rows * batch.tokens * inner, { share: shape.dropout, keys: [...dropoutKeys, name] });
    const seesAll = !asksLastOnly(config, i, batch) || linear === 'self_attn.k_proj' || linear === 'self_attn.v_proj';
    const own = seesAll ? mask : takeRows(mask, lastPlaces(batch), inner);
    found[`${linear}.dropout`] = tensor('bool', [own.length / inner, inner], own);
  }
  return found;
}
