import type { AdapterShape } from './linear.ts';

/** A low-rank adapter in memory. Modules go by the base model's names: `model.layers.0.self_attn.q_proj`. */
export type Adapter = {
  readonly modules: ReadonlyMap<string, AdapterModule>;
  /** Layers trained whole beside the adapter: `score.weight` for a classification head. */
  readonly saved: ReadonlyMap<string, SavedTensor>;
};

export type AdapterModule = {
  readonly shape: AdapterShape;
  /** [rank, in] */
  readonly a: Float32Array;
  /** [out, rank] */
  readonly b: Float32Array;
  /** [out], with DoRA. */
  readonly magnitude?: Float32Array;
};

export type SavedTensor = { readonly shape: readonly number[]; readonly data: Float32Array };

export const noAdapter: Adapter = { modules: new Map(), saved: new Map() };
