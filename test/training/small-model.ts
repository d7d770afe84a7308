// A real, tiny model for the trainer's tests: the mean of a text's word vectors, tanh, a linear layer, softmax; gradients by hand.
// Row r: h = tanh(mean over its tokens of E[id]), logits = W h + b, loss = -log softmax(logits)[label].

import { random } from '../../src/base/random.ts';
import type { Batch, ClassBatch } from '../../src/models/batch.ts';
import type { Parameter, Trainable } from '../../src/training/trainable.ts';

/** The recipe's numbers: whole until the last division, so that both sides hold the same f32 values. */
export const numbers = (count: number, seed: number, scale = 1) =>
  Float32Array.from({ length: count }, (_, i) => ((((i + 1) * 7919 + seed * 104729 + ((i * i) % 97) * 31) % 2003) - 1001) * (scale / 1001));

/** Batch `number` of a data set: 1 to 4 rows of 1 to 5 words. */
export function smallBatch(number: number, { vocabulary = 20, classes = 3 } = {}): ClassBatch {
  const rows = (number % 4) + 1;
  const tokens = 5;
  const lengths = Int32Array.from({ length: rows }, (_, row) => ((number * 3 + row * 7) % tokens) + 1);
  const ids = Int32Array.from({ length: rows * tokens }, (_, i) => (number * 131 + i * 37 + i * i) % vocabulary);
  const labels = Int32Array.from({ length: rows }, (_, row) => ids[row * tokens]! % classes);
  return { kind: 'class', rows, tokens, ids, lengths, labels };
}

export function smallModel({ vocabulary = 20, size = 4, classes = 3, dropout = 0 } = {}): Trainable {
  const parameter = (name: string, shape: number[], seed: number): Parameter => {
    const count = shape.reduce((product, side) => product * side, 1);
    return { name, shape, values: numbers(count, seed, 0.5), gradient: new Float32Array(count) };
  };
  const [E, W, b] = [
    parameter('embed.weight', [vocabulary, size], 1),
    parameter('score.weight', [classes, size], 2),
    parameter('score.bias', [classes], 3),
  ] as const;

  const forward = (batch: Batch, row: number, kept: (unit: number) => number) => {
    const length = batch.lengths[row]!;
    const ids = batch.ids.subarray(row * batch.tokens, row * batch.tokens + length);
    const h = Array.from({ length: size }, (_, unit) => {
      let sum = 0;
      for (const id of ids) sum += E.values[id * size + unit]!;
      return Math.tanh(sum / length) * kept(unit);
    });
    const logits = Array.from({ length: classes }, (_, label) =>
      h.reduce((sum, value, unit) => sum + W.values[label * size + unit]! * value, b.values[label]!),
    );
    const top = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    return { ids, h, logits, shares: logits.map((logit) => Math.exp(logit - top) / total) };
  };
  const labelsOf = (batch: Batch) => (batch as ClassBatch).labels;

  return {
    parameters: [E, W, b],
    weightOf: ({ rows }) => rows,
    accumulate: async (batch, { denominator, step }) => {
      const draw = random(7, 'dropout', step);
      let lossSum = 0;
      for (let row = 0; row < batch.rows; row++) {
        const mask = Array.from({ length: size }, () => (dropout > 0 && draw.float() < dropout ? 0 : 1 / (1 - dropout)));
        const { ids, h, shares } = forward(batch, row, (unit) => mask[unit]!);
        const label = labelsOf(batch)[row]!;
        lossSum -= Math.log(shares[label]!);
        const error = shares.map((share, at) => (share - (at === label ? 1 : 0)) / denominator);
        for (const [at, e] of error.entries()) {
          b.gradient[at]! += e;
          for (let unit = 0; unit < size; unit++) W.gradient[at * size + unit]! += e * h[unit]!;
        }
        for (let unit = 0; unit < size; unit++) {
          if (mask[unit] === 0) continue;
          const back = error.reduce((sum, e, at) => sum + e * W.values[at * size + unit]!, 0) * mask[unit]!;
          const slope = 1 - (h[unit]! / mask[unit]!) ** 2;
          for (const id of ids) E.gradient[id * size + unit]! += (back * slope) / ids.length;
        }
      }
      return { lossSum, weightSum: batch.rows };
    },
    evaluate: async (batch) => {
      const rows = Array.from({ length: batch.rows }, (_, row) => forward(batch, row, () => 1));
      const lossSum = rows.reduce((sum, { shares }, row) => sum - Math.log(shares[labelsOf(batch)[row]!]!), 0);
      return { lossSum, weightSum: batch.rows, logits: Float32Array.from(rows.flatMap(({ logits }) => logits)) };
    },
  };
}
