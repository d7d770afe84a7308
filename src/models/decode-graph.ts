// Layers that continue texts: keys and values of earlier tokens lie in a cache, new ones are written into it, and each query looks back
// over both. One graph holds many layers, since a token is little work and a call of the runtime is not free.
//
// GroupQueryAttention reads and writes the cache in place and takes the length of every row by itself, so that texts of different
// length stand in one batch, padded on the right, and none sees its padding: what a padded place computes is never read.

import { apply, input, reshape, rotate } from '../graph/node.ts';
import type { Value } from '../graph/value.ts';
import type { ModelConfig } from './config.ts';
import { type Attention, type LayerShape, placedLayer } from './decoder-layer.ts';
import { cacheNames, type Stretch } from './key-value-cache.ts';

/** What a layer's weights are called in the graph: this before their own names. */
export const layerPrefix = (i: number): string => `layers.${i}.`;

/**
 * The graph of layers `from` up to `to` for `rows` texts and any number of tokens. Inputs beside weights and cache: `hidden`
 * [rows * tokens, hidden], `positions` [rows, tokens], `cosines.KIND` and `sines.KIND` [positions, headDim / 2] for the kinds of layers
 * there are, `lengths` [rows], places in use afterwards less 1, and `longest` [], the largest of those plus 1.
 */
export function decodeGraph(
  config: ModelConfig,
  { rows, from, to, layers }: Stretch & { readonly rows: number; readonly layers: readonly Pick<LayerShape, 'forms' | 'adapters'>[] },
): Readonly<Record<string, Value>> {
  const { heads, keyValueHeads, headDim, hiddenSize, family, attentionScale, window } = config;
  const shared = new Map<string, Value>();
  const common = (name: string, make: () => Value): Value => {
    const found = shared.get(name) ?? make();
    shared.set(name, found);
    return found;
  };
  const positions = input('positions', 'int64', [rows, 'tokens']);
  const lengths = input('lengths', 'int32', [rows]);
  const longest = input('longest', 'int32', []);
  const outputs: Record<string, Value> = {};

  const attention = (i: number): Attention => {
    const kind = config.layers[i]!;
    const table = (name: string) => common(`${name}.${kind}`, () => input(`${name}.${kind}`, 'float32', ['positions', headDim / 2]));
    const cache = (name: string) => input(name, 'float32', [rows, keyValueHeads, 'places', headDim]);
    const perRow = (x: Value, count: number): Value => reshape(x, [rows, 'tokens', count * headDim]);
    const attributes = {
      num_heads: heads,
      kv_num_heads: keyValueHeads,
      scale: attentionScale,
      ...(kind === 'local' && { local_window_size: window! }),
    };
    return (x, _asked, { project, norm }) => {
      const turned = (which: 'q' | 'k', count: number): Value => {
        const flat = project(`self_attn.${which}_proj`, x);
        const normed = family === 'gemma3' ? norm(`self_attn.${which}_norm`, reshape(flat, ['places', count, headDim])) : flat;
        return rotate(perRow(normed, count), { positions, cosines: table('cosines'), sines: table('sines') });
      };
      const query = turned('q', heads);
      const key = turned('k', keyValueHeads);
      const value = perRow(project('self_attn.v_proj', x), keyValueHeads);
      const { keys, values } = cacheNames(i);
      const [mixed, newKeys, newValues] = apply('GroupQueryAttention', [query, key, value, cache(keys), cache(values), lengths, longest], {
        attributes,
        label: `attention ${i}`,
      });
      outputs[`new.${keys}`] = newKeys!;
      outputs[`new.${values}`] = newValues!;
      return reshape(mixed!, ['places', heads * headDim]);
    };
  };

  let hidden: Value = input('hidden', 'float32', ['places', hiddenSize]);
  for (let i = from; i < to; i++) {
    hidden = placedLayer(config, layers[i]!, { prefix: layerPrefix(i), hidden, attention: attention(i) }).output;
  }
  return { ...outputs, output: hidden };
}
