import type { Batch } from '../models/batch.ts';

/** A trained array; `gradient` is added to by `Trainable.accumulate` and zeroed by the trainer. */
export type Parameter = {
  /** As PEFT names it: `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
  readonly gradient: Float32Array;
};

/** What one batch did: the sum of its losses, and the sum of their weights (targets counted, or class weights). */
export type BatchLoss = { readonly lossSum: number; readonly weightSum: number };

/** What the trainer needs of a model: it never sees layers, graphs or sessions. */
export type Trainable = {
  readonly parameters: readonly Parameter[];
  /** The weight a batch will report: what `accumulate` divides by must be known before the first batch of a step runs. */
  readonly weightOf: (batch: Batch) => number;
  /**
   * Forward and backward over one batch: adds the gradient of lossSum / `denominator` to every parameter.
   * `step` names the dropout masks, so that a resumed run draws the same ones: the number of the batch since the run began.
   */
  readonly accumulate: (batch: Batch, options: { readonly denominator: number; readonly step: number }) => Promise<BatchLoss>;
  /** Forward only. `logits` [rows, labels] for class batches. */
  readonly evaluate: (batch: Batch) => Promise<BatchLoss & { readonly logits?: Float32Array }>;
};
