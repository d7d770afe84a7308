// One layer of a decoder, as a graph over [rows * tokens, hidden]. Llama and Gemma 3 are the same walk:
//
//   attention:     h + [norm](o(softmax(q k' * scale + mask) v))     q, k turned by position, and normed per head in Gemma
//   feed-forward:  h + [norm](down(act(gate n) * up n))              n = norm(h); the norms in brackets are Gemma's
//
// Weights, adapters, cosines, mask are inputs, so one compiled graph serves every layer of the model with the same storage.
// Keys and values are not repeated for grouped queries: the queries of one key head stand under each other as [group * size, dim].

import { add, concat, gelu, input, matMul, mul, reshape, rmsNorm, rotate, silu, slice, softmax, split, transpose } from '../graph/node.ts';
import { fixed, type Value } from '../graph/value.ts';
import type { ModelConfig } from './config.ts';
import { type AdapterShape, type LinearShape, linears, type Trained } from './linear.ts';
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
  /** Only each row's last token is asked for: keys and values are those of all tokens, everything else is computed for that one alone. */
  readonly isLastOnly?: boolean;
  readonly forms: Readonly<Record<LinearName, WeightForm>>;
  readonly adapters: Readonly<Partial<Record<LinearName, AdapterShape>>>;
};

export type LayerGraph = {
  /** The layer's input, [rows * tokens, hidden]. */
  readonly hidden: Value;
  /** The places of it that go on, [places, hidden]: all, or each row's last, which is then an input of its own. */
  readonly asked: Value;
  /** Of the shape of `asked`. */
  readonly output: Value;
  /** What is dear to compute: kept from the forward pass, the backward pass needs no large product of it again. */
  readonly kept: ReadonlyMap<string, Value>;
  /** The adapters' inputs. */
  readonly trained: Trained;
};

/** A layer within a larger graph. */
export type LayerPlace = {
  /** Put before the names of its weights and adapters. */
  readonly prefix: string;
  /** Its input, [places, hidden]. */
  readonly hidden: Value;
  /** The places of it that go on; all where left out. */
  readonly asked?: Value;
  readonly attention: Attention;
};

/** What comes between the normed input and the output projection: from all places and those that ask to [asked places, heads * headDim]. */
export type Attention = (x: Value, asked: Value, parts: LayerParts) => Value;

/** What a layer is made of: its projections and norms by name, and the keeping of what is dear to compute. */
export type LayerParts = {
  readonly project: (name: LinearName, x: Value, residual?: Value) => Value;
  /** Several projections of the same x. */
  readonly projectEach: (names: readonly LinearName[], x: Value) => readonly Value[];
  readonly norm: (name: string, x: Value) => Value;
  readonly keep: (name: string, value: Value) => Value;
};

/** Builds the graph of one layer, alone. */
export function decoderLayer(config: ModelConfig, shape: LayerShape): LayerGraph {
  const { rows, tokens, isLastOnly } = shape;
  const hidden = input('hidden', 'float32', [rows * tokens, config.hiddenSize]);
  const asked = isLastOnly ? input('asked', 'float32', [rows, config.hiddenSize]) : hidden;
  return placedLayer(config, shape, { prefix: '', hidden, asked, attention: causalAttention(config, shape) });
}

/** Builds a layer onto what comes before it. */
export function placedLayer(
  config: ModelConfig,
  { forms, adapters }: Pick<LayerShape, 'forms' | 'adapters'>,
  { prefix, hidden, asked = hidden, attention }: LayerPlace,
): LayerGraph {
  const { family, normEpsilon } = config;
  const sizes = linearSizes(config);
  const norms = normSizes(config);
  const trained: Trained = new Map();
  const kept = new Map<string, Value>();
  const keep = (name: string, value: Value): Value => {
    kept.set(`kept.${name}`, value);
    return value;
  };
  const described = (name: LinearName): LinearShape => {
    const [out, inner] = sizes[name];
    const adapter = adapters[name];
    return { name: `${prefix}${name}`, out, inner, form: forms[name], ...(adapter && { adapter }) };
  };
  const projectEach = (names: readonly LinearName[], x: Value) => linears(names.map(described), x, { trained, keep });
  const project = (name: LinearName, x: Value, residual?: Value): Value =>
    linears([described(name)], x, { trained, keep, ...(residual && { residual }) })[0]!;
  const weights = new Map<string, Value>();
  const norm = (name: string, x: Value): Value => {
    const weight = weights.get(name) ?? input(`${prefix}${name}`, 'float32', [norms[name]!]);
    weights.set(name, weight);
    return rmsNorm(x, weight, normEpsilon);
  };
  const parts: LayerParts = { project, projectEach, norm, keep };

  const normed = norm('input_layernorm', hidden);
  const mixed = attention(normed, asked === hidden ? normed : norm('input_layernorm', asked), parts);
  if (family === 'llama') {
    const middle = keep('middle', project('self_attn.o_proj', mixed, asked));
    const output = project('mlp.down_proj', feedForward(config, norm('post_attention_layernorm', middle), parts), middle);
    return { hidden, asked, output, kept, trained };
  }
  const attended = keep('attended', project('self_attn.o_proj', mixed));
  const middle = add(asked, norm('post_attention_layernorm', attended));
  const fed = keep('fed', project('mlp.down_proj', feedForward(config, norm('pre_feedforward_layernorm', middle), parts)));
  const output = add(middle, norm('post_feedforward_layernorm', fed));
  return { hidden, asked, output, kept, trained };
}

function feedForward({ activation }: ModelConfig, x: Value, { projectEach, keep }: LayerParts): Value {
  const [gate, up] = projectEach(['mlp.gate_proj', 'mlp.up_proj'], x).map((value, i) => keep(['gate', 'up'][i]!, value)) as [Value, Value];
  return mul(activation === 'silu' ? silu(gate) : gelu(gate), up);
}

/**
 * Queries that are looked at together: they see keys only up to the last one's own, so that of what the mask would hide only their
 * own corner is computed. From as many tokens on a text is cut; the first block takes what is left over.
 */
const blockTokens = 128;

/** Rows of the mask: queries of the largest block. */
export const maskRows = (tokens: number): number => blockSizes(tokens)[0]!;

function blockSizes(tokens: number): readonly number[] {
  const count = Math.max(1, Math.floor(tokens / blockTokens));
  return [tokens - (count - 1) * blockTokens, ...new Array<number>(count - 1).fill(blockTokens)];
}

/**
 * Grouped-query attention of whole texts. Beside the weights it takes `positions` [rows, tokens], `cosines` and `sines`
 * [tokens, headDim / 2], and `mask` [maskRows, tokens], added to the scores of the last queries, 0 or a very negative number: earlier
 * blocks take its corner. Where only the last tokens ask: `asked.positions` [rows, 1] as well, and a `mask` [rows, 1, 1, tokens].
 */
function causalAttention(
  { heads, keyValueHeads, headDim, attentionScale, family }: ModelConfig,
  { rows, tokens, isLastOnly = false }: Pick<LayerShape, 'rows' | 'tokens' | 'isLastOnly'>,
): Attention {
  const group = heads / keyValueHeads;
  const queries = isLastOnly ? 1 : tokens;
  const table = (name: string) => input(name, 'float32', [tokens, headDim / 2]);
  const tables = { cosines: table('cosines'), sines: table('sines') };
  const positions = input('positions', 'int64', [rows, tokens]);
  const askedPositions = isLastOnly ? input('asked.positions', 'int64', [rows, 1]) : positions;
  const mask = input('mask', 'float32', isLastOnly ? [rows, 1, 1, tokens] : [maskRows(tokens), tokens]);

  // Of long texts they would outgrow everything else that is kept.
  const keepsShares = tokens <= 512;

  const perHead = (x: Value, [length, count]: readonly [number, number]): Value =>
    transpose(reshape(x, [rows, length, count, headDim]), [0, 2, 1, 3]);

  /** What `size` queries per head read from the first `end` keys: [rows, heads, size, headDim]. */
  const readBlock = (
    query: Value,
    [key, value]: readonly [Value, Value],
    { size, end, keep }: { readonly size: number; readonly end: number; readonly keep: LayerParts['keep'] },
  ): Value => {
    // Threads share whole products: of an odd number the last would leave one of two idle, so each is made of two.
    const halves = (rows * keyValueHeads) % 2 === 1 && (group * size) % 2 === 0 ? 2 : 1;
    const grouped = [rows, keyValueHeads, halves, (group * size) / halves];
    const seen = (x: Value) =>
      reshape(end === tokens ? x : slice(x, { axis: 2, from: 0, to: end }), [rows, keyValueHeads, 1, end, headDim]);
    const hidden = isLastOnly ? mask : corner(mask, { size, end });
    const scores = matMul(reshape(query, [...grouped, headDim]), seen(key), { transB: true, alpha: attentionScale });
    const masked = softmax(add(reshape(scores, [rows, heads, size, end]), hidden));
    const shares = keepsShares ? keep(`shares.${end}`, masked) : masked;
    return reshape(matMul(reshape(shares, [...grouped, end]), seen(value)), [rows, heads, size, headDim]);
  };

  return (x, asked, { project, projectEach, norm, keep }) => {
    // What is kept lies before the norms: from there on everything is cheap, and the norms' own backward pass starts there.
    const turned = (which: 'q' | 'k', of: Value, { size, at }: { readonly size: readonly [number, number]; readonly at: Value }): Value => {
      const turn = { ...tables, positions: at };
      if (family === 'llama') return keep(which, rotate(perHead(of, size), turn));
      return rotate(norm(`self_attn.${which}_norm`, perHead(keep(which, of), size)), turn);
    };
    const [q, k, v] = (
      asked === x
        ? projectEach(['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'], x)
        : [project('self_attn.q_proj', asked), ...projectEach(['self_attn.k_proj', 'self_attn.v_proj'], x)]
    ) as [Value, Value, Value];
    const query = turned('q', q, { size: [queries, heads], at: askedPositions });
    const key = turned('k', k, { size: [tokens, keyValueHeads], at: positions });
    const value = perHead(keep('v', v), [tokens, keyValueHeads]);
    const sizes = isLastOnly ? [1] : blockSizes(tokens);
    let end = isLastOnly ? tokens - 1 : 0;
    const read = split(query, { axis: 2, sizes }).map((block, i) => {
      end += sizes[i]!;
      return readBlock(block, [key, value], { size: sizes[i]!, end, keep });
    });
    const whole = read.length === 1 ? read[0]! : concat(read, 2);
    return keep('mixed', reshape(transpose(whole, [0, 2, 1, 3]), [rows * queries, heads * headDim]));
  };
}

/** The mask of a block's queries over the keys up to its end: a mask only tells how far a key lies before its query. */
function corner(mask: Value, { size, end }: { readonly size: number; readonly end: number }): Value {
  const [rows, tokens] = fixed(mask.shape) as [number, number];
  const below = size === rows ? mask : slice(mask, { axis: 0, from: rows - size, to: rows });
  return end === tokens ? below : slice(below, { axis: 1, from: tokens - end, to: tokens });
}
