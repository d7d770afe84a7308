// What follows the last layer: the final norm, then either a score for every word of the vocabulary or one for every class.
//
// Loss of a row: log sum exp(z) - z[target]. Its gradient, softmax(z) - target, comes from the same table of rules as everything else.

import { add, detach, exp, gemm, input, log, mul, reduceMax, reduceSum, rmsNorm, scalar, sub } from '../graph/node.ts';
import type { Value } from '../graph/value.ts';
import type { ModelConfig } from './config.ts';
import { type WeightForm, weight } from './weight.ts';

export type HeadGraph = {
  /** Rows of the last layer's output, [rows, hidden]. */
  readonly hidden: Value;
  readonly logits: Value;
  /** Loss of each row before weighting, [rows, 1]. */
  readonly losses: Value;
  /** What is trained and what multiplies its loss: sum(losses * weights) is what is differentiated. */
  readonly total: Value;
};

const rows = 'rows';

/** Any number of rows of hidden states, after the final norm. */
function finalNorm({ hiddenSize, normEpsilon }: ModelConfig): { readonly hidden: Value; readonly normed: Value } {
  const hidden = input('hidden', 'float32', [rows, hiddenSize]);
  return { hidden, normed: rmsNorm(hidden, input('norm', 'float32', [hiddenSize]), normEpsilon) };
}

/** Scores of the vocabulary alone, [rows, vocabulary], for generation. */
export const logitsHead = (config: ModelConfig, form: WeightForm): Value =>
  weight('lm_head', form, [config.vocabSize, config.hiddenSize]).times(finalNorm(config).normed);

/**
 * Next-token prediction. Inputs beside the weights: `chosen` [rows, hidden], the vocabulary's rows of the targets, and `weights` [rows, 1].
 *
 * @param labelSmoothing share of the target given evenly to the whole vocabulary; then `mean` [1, hidden], the vocabulary's mean row, is asked for
 */
export function causalHead(
  config: ModelConfig,
  { form, labelSmoothing = 0 }: { readonly form: WeightForm; readonly labelSmoothing?: number },
): HeadGraph {
  const { hidden, normed } = finalNorm(config);
  const logits = weight('lm_head', form, [config.vocabSize, config.hiddenSize]).times(normed);
  const chosen = reduceSum(mul(normed, input('chosen', 'float32', [rows, config.hiddenSize])), [1]);
  const target =
    labelSmoothing === 0
      ? chosen
      : add(
          mul(chosen, scalar(1 - labelSmoothing)),
          gemm(normed, input('mean', 'float32', [1, config.hiddenSize]), { transB: true, alpha: labelSmoothing }),
        );
  return { hidden, logits, ...weighted(sub(logSumExp(logits), target)) };
}

/** One class per row. Inputs beside the norm: `score` [labels, hidden], `target` [rows, labels], rows that sum to 1, and `weights` [rows, 1]. */
export function classHead(config: ModelConfig, labels: number): HeadGraph & { readonly score: Value } {
  const { hidden, normed } = finalNorm(config);
  const score = input('score', 'float32', [labels, config.hiddenSize]);
  const logits = gemm(normed, score, { transB: true, label: 'score' });
  const target = reduceSum(mul(logits, input('target', 'float32', [rows, labels])), [1]);
  return { hidden, score, logits, ...weighted(sub(logSumExp(logits), target)) };
}

/** The largest is taken out first, so that exp() cannot overflow; as a constant, since it cancels in the derivative. */
function logSumExp(logits: Value): Value {
  const largest = detach(reduceMax(logits, [1]));
  return add(log(reduceSum(exp(sub(logits, largest)), [1])), largest);
}

const weighted = (losses: Value) => ({ losses, total: mul(losses, input('weights', 'float32', [rows, 1])) });
