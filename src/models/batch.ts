/** Token rows of one length, padded on the right: under a causal mask what follows a text cannot change it, so no batch needs a mask of its own. */
export type TokenBatch = {
  /** `class`: only each row's last token is asked for, and the last layer computes no more than that. */
  readonly kind?: 'causal' | 'class';
  readonly rows: number;
  /** Padded length. */
  readonly tokens: number;
  /** [rows, tokens]; any valid id where padded. */
  readonly ids: Int32Array;
  /** [rows]: tokens that count, 1 or more. */
  readonly lengths: Int32Array;
};

/** Next-token prediction. */
export type CausalBatch = TokenBatch & {
  readonly kind: 'causal';
  /** [rows, tokens]: the token to predict at each place (already shifted); -100: not counted. */
  readonly targets: Int32Array;
};

/** One class per row. */
export type ClassBatch = TokenBatch & { readonly kind: 'class' /** [rows] */; readonly labels: Int32Array };

export type Batch = CausalBatch | ClassBatch;
