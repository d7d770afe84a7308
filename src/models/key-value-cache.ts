import { type Tensor, tensor } from '../graph/tensor.ts';
import type { ModelConfig } from './config.ts';

/** Keys and values of the tokens so far, for every layer and row. The graph writes new ones where they belong: nothing is copied. */
export type KeyValueCache = {
  readonly rows: number;
  /** Tokens each row can hold. */
  readonly places: number;
  /** The memory of some rows, [to - from, keyValueHeads, places, headDim] each, by the graph's input names. */
  readonly of: (layers: Stretch, rows: Stretch) => Readonly<Record<string, Tensor>>;
};

/** From, up to but not to. */
export type Stretch = { readonly from: number; readonly to: number };

/** Names of layer `i`'s part of the cache among a graph's inputs; its outputs are called the same with `new.` before. */
export const cacheNames = (i: number) => ({ keys: `cache.${i}.keys`, values: `cache.${i}.values` });

/** An empty cache: 8 bytes for each row, place, layer and number of a key. */
export function keyValueCache(
  { layers, keyValueHeads, headDim }: ModelConfig,
  { rows, places }: { readonly rows: number; readonly places: number },
): KeyValueCache {
  const rowSize = keyValueHeads * places * headDim;
  const memory = layers.map(() => ({ keys: new Float32Array(rows * rowSize), values: new Float32Array(rows * rowSize) }));
  return {
    rows,
    places,
    of: (stretch, { from, to }) => {
      const view = (data: Float32Array): Tensor =>
        tensor('float32', [to - from, keyValueHeads, places, headDim], data.subarray(from * rowSize, to * rowSize));
      const found: Record<string, Tensor> = {};
      for (let i = stretch.from; i < stretch.to; i++) {
        const { keys, values } = cacheNames(i);
        found[keys] = view(memory[i]!.keys);
        found[values] = view(memory[i]!.values);
      }
      return found;
    },
  };
}
