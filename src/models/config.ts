/** What decides the shape and arithmetic of a decoder; read from a Hugging Face config.json or from GGUF metadata. */
export type ModelConfig = {
  readonly family: 'llama' | 'gemma3';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly normEpsilon: number;
  readonly activation: 'silu' | 'gelu_tanh';
  /** Factor on q·k before the softmax: headDim^-0.5, or Gemma's query_pre_attn_scalar^-0.5. */
  readonly attentionScale: number;
  /** Factor on embeddings; sqrt(hiddenSize) for Gemma, rounded to the weights' own precision, else 1. */
  readonly embeddingScale: number;
  /** One entry per layer: `local` layers see `window` tokens back (themselves included) and turn by `ropeLocal`. */
  readonly layers: readonly ('global' | 'local')[];
  readonly window?: number;
  readonly rope: Rope;
  readonly ropeLocal?: Rope;
  readonly tiedEmbeddings: boolean;
  readonly contextLength: number;
  readonly bosTokenId?: number;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId?: number;
  /** Names of the classes, in order, where the model has a classification head (`score.weight`). */
  readonly labels?: readonly string[];
  /** Read from a model that has a vision part too: its classes in transformers hold the decoder under another name. */
  readonly multimodal?: true;
  /** The text model's config as it was found (Hugging Face keys), for writing it again. */
  readonly source: Readonly<Record<string, unknown>>;
};

/** Rotary position embedding: base frequency and how it is stretched. */
export type Rope = { readonly base: number; readonly scaling: RopeScaling };

export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalContext: number;
    };
