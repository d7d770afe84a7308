// What follows the last layer: the final norm, then either a score for every word of the vocabulary or one for every class.
//
// Loss of a row: log sum exp(z) - z[target]; its gradient on z: softmax(z) - target.

import { backward } from '../graph/backward.ts';
import {
  add,
  concat,
  detach,
  exp,
  gemm,
  input,
  log,
  mul,
  reduceMax,
  reduceSum,
  rmsNorm,
  scalar,
  slice,
  softmax,
  sub,
} from '../graph/node.ts';
import type { Value } from '../graph/value.ts';
import type { ModelConfig } from './config.ts';
import { mixWords } from './fast-vocabulary.ts';
import { type WeightForm, weight } from './weight.ts';

const rows = 'rows';

/** Any number of rows of hidden states, after the final norm. */
function finalNorm({ hiddenSize, normEpsilon }: ModelConfig): { readonly hidden: Value; readonly normed: Value } {
  const hidden = input('hidden', 'float32', [rows, hiddenSize]);
  return { hidden, normed: rmsNorm(hidden, input('norm', 'float32', [hiddenSize]), normEpsilon) };
}

/** Scores of the vocabulary alone, [rows, vocabulary], for generation. */
export const logitsHead = (config: ModelConfig, form: WeightForm): Value =>
  weight('lm_head', form, [config.vocabSize, config.hiddenSize]).times(finalNorm(config).normed);

export type CausalGraph = {
  /** Rows of the last layer's output, [rows, hidden]. */
  readonly hidden: Value;
  /** Loss of each row before weighting, [rows, 1]. */
  readonly losses: Value;
  /** The gradient of sum(losses * weights) on `hidden`. */
  readonly gradient: Value;
};

export type CausalOptions = {
  /** The vocabulary from its first row to its last. */
  readonly parts: readonly { readonly form: WeightForm; readonly size: number }[];
  readonly labelSmoothing?: number;
  /** The vocabulary is mixed by 8-bit products. */
  readonly isFast?: boolean;
};

/**
 * Next-token prediction. Inputs beside the vocabulary's parts and the norm: `chosen` [rows, hidden], the vocabulary's rows of the targets,
 * and `weights` [rows, 1]. The vocabulary comes in parts (`lm_head.0`, ...), so that scores never leave the processor's cache. With W the
 * rows of all parts, z = h W' and t the target's row:
 *
 *   loss = log sum exp(z) - <h, t>     d loss / dh = softmax(z) W - t
 *
 * @param options.labelSmoothing share of the target given evenly to the whole vocabulary; then `mean` [1, hidden], its mean row, is asked for, as in fast mode
 */
export function causalHead(config: ModelConfig, { parts, labelSmoothing = 0, isFast = false }: CausalOptions): CausalGraph {
  const { hidden, normed } = finalNorm(config);
  const whole = parts
    .map(({ form, size }, i): Mixture => {
      const part = weight(`lm_head.${i}`, form, [size, config.hiddenSize]);
      const { shares, sum } = softmaxed(part.times(normed));
      return { sum, mixed: isFast ? mixWords(`lm_head.${i}`, shares, config.hiddenSize) : gemm(shares, part.dense) };
    })
    .reduce(together);
  const chosen = input('chosen', 'float32', [rows, config.hiddenSize]);
  const mean = input('mean', 'float32', [1, config.hiddenSize]);
  const smoothed = (row: Value): Value =>
    labelSmoothing === 0 ? row : add(mul(row, scalar(1 - labelSmoothing)), mul(mean, scalar(labelSmoothing)));
  const target = smoothed(chosen);
  const mixed = isFast ? add(whole.mixed, mean) : whole.mixed;
  const losses = sub(whole.sum, reduceSum(mul(normed, target), [1]));
  const away = isFast ? smoothed(input('rounded', 'float32', [rows, config.hiddenSize])) : target;
  const arriving = mul(sub(mixed, away), input('weights', 'float32', [rows, 1]));
  const [gradient] = backward({ outputs: new Map([[normed, arriving]]), targets: [hidden] });
  return { hidden, losses, gradient: gradient! };
}

/** Of some rows of the vocabulary: log sum exp of their scores [rows, 1], and they themselves mixed by softmax [rows, hidden]. */
type Mixture = { readonly sum: Value; readonly mixed: Value };

function together(a: Mixture, b: Mixture): Mixture {
  const { shares, sum } = softmaxed(concat([a.sum, b.sum], 1));
  const [left, right] = [slice(shares, { axis: 1, from: 0, to: 1 }), slice(shares, { axis: 1, from: 1, to: 2 })];
  return { sum, mixed: add(mul(a.mixed, left), mul(b.mixed, right)) };
}

/** Softmax of each row, and log sum exp. The largest share is exp(0) / sum exp(z - max): it tells the sum. */
function softmaxed(scores: Value) {
  const shares = softmax(scores);
  const largest = reduceMax(shares, [1]);
  return { shares, sum: sub(reduceMax(scores, [1]), log(largest)) };
}

export type ClassGraph = {
  /** Rows of the last layer's output, [rows, hidden]. */
  readonly hidden: Value;
  readonly score: Value;
  readonly logits: Value;
  /** Loss of each row before weighting, [rows, 1]. */
  readonly losses: Value;
  /** What is trained and what multiplies its loss: sum(losses * weights) is what is differentiated. */
  readonly total: Value;
};

/** One class per row. Inputs beside the norm: `score` [labels, hidden], `target` [rows, labels], rows that sum to 1, and `weights` [rows, 1]. */
export function classHead(config: ModelConfig, labels: number): ClassGraph {
  const { hidden, normed } = finalNorm(config);
  const score = input('score', 'float32', [labels, config.hiddenSize]);
  const logits = gemm(normed, score, { transB: true, label: 'score' });
  const target = reduceSum(mul(logits, input('target', 'float32', [rows, labels])), [1]);
  const losses = sub(logSumExp(logits), target);
  return { hidden, score, logits, losses, total: mul(losses, input('weights', 'float32', [rows, 1])) };
}

/** The largest is taken out first, so that exp() cannot overflow; as a constant, since it cancels in the derivative. */
function logSumExp(logits: Value): Value {
  const largest = detach(reduceMax(logits, [1]));
  return add(log(reduceSum(exp(sub(logits, largest)), [1])), largest);
}
