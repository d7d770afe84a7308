// One layer of a decoder, as a graph over [rows * tokens, hidden]. Llama and Gemma 3 are the same walk:
//
//   attention:     h + [norm](o(softmax(q k' * scale + mask) v))     q, k turned by position, and normed per head in Gemma
//   feed-forward:  h + [norm](down(act(gate n) * up n))              n = norm(h); the norms in brackets are Gemma's
//
// Weights, adapters, cosines, mask are inputs, so one compiled graph serves every layer of the model with the same storage.
// Keys and values are not repeated for grouped queries: the queries of one key head stand under each other as [group * tokens, dim].

import { add, concat, gelu, input, matMul, mul, reshape, rmsNorm, rotate, silu, softmax, transpose } from '../graph/node.ts';
import type { Value } from '../graph/value.ts';
import type { ModelConfig } from './config.ts';
import { type AdapterShape, type LinearShape, linear, type Trained } from './linear.ts';
import type { WeightForm } from './weight.ts';

/** The linear layers of a decoder layer, in the order they are applied. */
export const linearNames = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;
export type LinearName = (typeof linearNames)[number];

/** [out, in] of each linear layer. */
export function linearSizes({
  hiddenSize,
  intermediateSize,
  heads,
  keyValueHeads,
  headDim,
}: ModelConfig): Readonly<Record<LinearName, readonly [number, number]>> {
  return {
    'self_attn.q_proj': [heads * headDim, hiddenSize],
    'self_attn.k_proj': [keyValueHeads * headDim, hiddenSize],
    'self_attn.v_proj': [keyValueHeads * headDim, hiddenSize],
    'self_attn.o_proj': [hiddenSize, heads * headDim],
    'mlp.gate_proj': [intermediateSize, hiddenSize],
    'mlp.up_proj': [intermediateSize, hiddenSize],
    'mlp.down_proj': [hiddenSize, intermediateSize],
  };
}

/** The norms of a decoder layer with their sizes; Gemma's weights are given as 1 + weight. */
export function normSizes({ family, hiddenSize, headDim }: ModelConfig): Readonly<Record<string, number>> {
  return family === 'llama'
    ? { input_layernorm: hiddenSize, post_attention_layernorm: hiddenSize }
    : {
        input_layernorm: hiddenSize,
        'self_attn.q_norm': headDim,
        'self_attn.k_norm': headDim,
        post_attention_layernorm: hiddenSize,
        pre_feedforward_layernorm: hiddenSize,
        post_feedforward_layernorm: hiddenSize,
      };
}

/** Everything a layer's graph depends on; layers that agree in it share a session. */
export type LayerShape = {
  readonly rows: number;
  readonly tokens: number;
  /** Generation: keys and values of earlier tokens come as inputs, and the new ones are given back. */
  readonly hasPast?: boolean;
  readonly forms: Readonly<Record<LinearName, WeightForm>>;
  readonly adapters: Readonly<Partial<Record<LinearName, AdapterShape>>>;
};

export type LayerGraph = {
  /** The layer's input, [rows * tokens, hidden]. */
  readonly hidden: Value;
  /** Of the same shape. */
  readonly output: Value;
  /** The new keys and values, [tokens, rows, keyValueHeads, headDim], where the layer has a past. */
  readonly keys: Value;
  readonly values: Value;
  /** What is dear to compute: kept from the forward pass, the backward pass needs no large product of it again. */
  readonly kept: ReadonlyMap<string, Value>;
  /** The adapters' inputs. */
  readonly trained: Trained;
};

/** Builds the graph of one layer. */
export function decoderLayer(config: ModelConfig, shape: LayerShape): LayerGraph {
  const { family, hiddenSize, normEpsilon } = config;
  const { rows, tokens, forms, adapters } = shape;
  const sizes = linearSizes(config);
  const norms = normSizes(config);
  const trained: Trained = new Map();
  const kept = new Map<string, Value>();
  const keep = (name: string, value: Value): Value => {
    kept.set(`kept.${name}`, value);
    return value;
  };
  const project = (name: LinearName, x: Value, residual?: Value): Value => {
    const [out, inner] = sizes[name];
    const adapter = adapters[name];
    const described: LinearShape = { name, out, inner, form: forms[name], ...(adapter && { adapter }) };
    return linear(described, x, { trained, ...(residual && { residual }) });
  };
  const norm = (name: string, x: Value): Value => rmsNorm(x, input(name, 'float32', [norms[name]!]), normEpsilon);

  const hidden = input('hidden', 'float32', [rows * tokens, hiddenSize]);
  const attend = attention({ config, shape, project, norm, keep });
  const normed = norm('input_layernorm', hidden);
  const { mixed, keys, values } = attend(normed);
  if (family === 'llama') {
    const middle = keep('middle', project('self_attn.o_proj', mixed, hidden));
    const output = project('mlp.down_proj', feedForward(config, norm('post_attention_layernorm', middle), { project, keep }), middle);
    return { hidden, output, keys, values, kept, trained };
  }
  const attended = keep('attended', project('self_attn.o_proj', mixed));
  const middle = add(hidden, norm('post_attention_layernorm', attended));
  const fed = keep('fed', project('mlp.down_proj', feedForward(config, norm('pre_feedforward_layernorm', middle), { project, keep })));
  const output = add(middle, norm('post_feedforward_layernorm', fed));
  return { hidden, output, keys, values, kept, trained };
}

type Parts = {
  readonly project: (name: LinearName, x: Value, residual?: Value) => Value;
  readonly keep: (name: string, value: Value) => Value;
};

function feedForward({ activation }: ModelConfig, x: Value, { project, keep }: Parts): Value {
  const gate = keep('gate', project('mlp.gate_proj', x));
  const up = keep('up', project('mlp.up_proj', x));
  return mul(activation === 'silu' ? silu(gate) : gelu(gate), up);
}

/**
 * Grouped-query attention. Beside the weights it takes `positions` [rows, tokens], `cosines` and `sines` [positions, headDim / 2], and
 * `mask`, added to the scores: [1 or rows, 1, tokens, past + tokens], 0 or a very negative number.
 */
function attention({
  config,
  shape,
  project,
  norm,
  keep,
}: Parts & { readonly config: ModelConfig; readonly shape: LayerShape; readonly norm: (name: string, x: Value) => Value }) {
  const { heads, keyValueHeads, headDim, attentionScale, family } = config;
  const { rows, tokens, hasPast = false } = shape;
  const group = heads / keyValueHeads;
  const table = (name: string) => input(name, 'float32', [hasPast ? 'positions' : tokens, headDim / 2]);
  const turn = { positions: input('positions', 'int64', [rows, tokens]), cosines: table('cosines'), sines: table('sines') };
  const total = hasPast ? 'total' : tokens;
  // One row of scores per query: the group's queries repeat the tokens, so the mask does too.
  const mask = input('mask', 'float32', [hasPast ? rows : 1, 1, group * tokens, total]);

  const perHead = (x: Value, count: number): Value => transpose(reshape(x, [rows, tokens, count, headDim]), [0, 2, 1, 3]);
  // What is kept lies before the norms: from there on everything is cheap, and the norms' own backward pass starts there.
  const turned = (x: Value, count: number, which: 'q' | 'k'): Value => {
    if (family === 'llama') return keep(which, rotate(perHead(x, count), turn));
    return rotate(norm(`self_attn.${which}_norm`, perHead(keep(which, x), count)), turn);
  };

  return (x: Value): { readonly mixed: Value; readonly keys: Value; readonly values: Value } => {
    const query = turned(project('self_attn.q_proj', x), heads, 'q');
    const key = turned(project('self_attn.k_proj', x), keyValueHeads, 'k');
    const value = perHead(keep('v', project('self_attn.v_proj', x)), keyValueHeads);
    const [allKeys, allValues] = hasPast ? [withPast('keys', key), withPast('values', value)] : [key, value];
    const grouped = reshape(query, [rows, keyValueHeads, group * tokens, headDim]);
    const scores = add(matMul(grouped, allKeys, { transB: true, alpha: attentionScale }), mask);
    const read = reshape(matMul(softmax(scores), allValues), [rows, heads, tokens, headDim]);
    const mixed = keep('mixed', reshape(transpose(read, [0, 2, 1, 3]), [rows * tokens, heads * headDim]));
    return { mixed, keys: transpose(key, [2, 0, 1, 3]), values: transpose(value, [2, 0, 1, 3]) };
  };

  /** The past lies token by token, [past, rows, heads, dim], so that a longer cache begins with the shorter one's bytes. */
  function withPast(name: string, fresh: Value): Value {
    const past = input(`past.${name}`, 'float32', ['past', rows, keyValueHeads, headDim]);
    return concat([transpose(past, [1, 2, 0, 3]), fresh], 2);
  }
}
