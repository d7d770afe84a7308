import { UserError } from '../base/errors.ts';
import type { ModelConfig } from './config.ts';

/** Every tensor of a model by its name in transformers, with the shape its config asks for. A tied head is not a tensor of its own. */
export function tensorShapes(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const { family, vocabSize, hiddenSize, intermediateSize, heads, keyValueHeads, headDim, labels } = config;
  const gemma = family === 'gemma3';
  const shapes = new Map<string, readonly number[]>();
  shapes.set('model.embed_tokens.weight', [vocabSize, hiddenSize]);
  config.layers.forEach((_, i) => {
    const layer = (name: string, ...shape: number[]) => shapes.set(`model.layers.${i}.${name}.weight`, shape);
    layer('input_layernorm', hiddenSize);
    layer('self_attn.q_proj', heads * headDim, hiddenSize);
    layer('self_attn.k_proj', keyValueHeads * headDim, hiddenSize);
    layer('self_attn.v_proj', keyValueHeads * headDim, hiddenSize);
    layer('self_attn.o_proj', hiddenSize, heads * headDim);
    if (gemma) layer('self_attn.q_norm', headDim);
    if (gemma) layer('self_attn.k_norm', headDim);
    layer('post_attention_layernorm', hiddenSize);
    if (gemma) layer('pre_feedforward_layernorm', hiddenSize);
    layer('mlp.gate_proj', intermediateSize, hiddenSize);
    layer('mlp.up_proj', intermediateSize, hiddenSize);
    layer('mlp.down_proj', hiddenSize, intermediateSize);
    if (gemma) layer('post_feedforward_layernorm', hiddenSize);
  });
  shapes.set('model.norm.weight', [hiddenSize]);
  if (labels) shapes.set('score.weight', [labels.length, hiddenSize]);
  else if (!config.tiedEmbeddings) shapes.set('lm_head.weight', [vocabSize, hiddenSize]);
  return shapes;
}

/**
 * Checks that a model's tensors are all there and have the shapes its config asks for.
 *
 * @throws UserError `model.tensor-missing`, `model.shape`
 */
export function checkTensors(config: ModelConfig, found: ReadonlyMap<string, { readonly shape: readonly number[] }>): void {
  const wanted = [...tensorShapes(config)];
  const missing = wanted.filter(([name]) => !found.has(name)).map(([name]) => name);
  if (missing.length > 0) {
    const more = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
    const hint =
      missing[0] === 'lm_head.weight'
        ? 'set tie_word_embeddings if the head is the embedding'
        : 'is the folder complete, and its config right?';
    throw new UserError('model.tensor-missing', `model: tensor missing: ${missing[0]}${more}; ${hint}`);
  }
  for (const [name, shape] of wanted) {
    const has = found.get(name)!.shape;
    if (has.length !== shape.length || has.some((side, i) => side !== shape[i])) {
      throw new UserError(
        'model.shape',
        `model: shape does not match the config: ${name} is [${has.join(', ')}], the config asks for [${shape.join(', ')}]; are they of one model?`,
      );
    }
  }
}
