// The fast mode's last product with the vocabulary: words W mixed by their shares p, p summing to 1. Their mean needs no shares,
//
//   p W = mean(W) + p (W - mean(W)),
//
// and what is left is mixed on 8-bit numbers. Most shares are far below the largest: under one scale a row they would all round to 0,
// alike in every row, which adds up over rows and steps. So shares and words have a scale for every 128 words. Worked case, a scale for
// all: of the shares 0.9, 0.003, 0.003 ... the small ones are less than half a step of 0.9 / 127 and vanish, a tenth of the whole.
// Measured beside bfloat16: docs/experiments.md.

import { apply, input } from '../graph/node.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { fixed, type Value } from '../graph/value.ts';
import type { ModelConfig } from './config.ts';

const blockSize = 128;

/** Numbers of a vocabulary up to which it is mixed so: a larger one would take its own size several times over while it is laid out. */
const largestMixed = 1 << 28;

export const isMixed = ({ vocabSize, hiddenSize }: ModelConfig): boolean => vocabSize * hiddenSize <= largestMixed;

/** Bytes that mixing takes at most: the copy, in the model's bytes, read from these, and laid out. */
export const mixBytes = (config: ModelConfig): number => (isMixed(config) ? 4 * config.vocabSize * config.hiddenSize : 0);

/** `shares` [rows, words] times the words less their mean, [rows, width]; what `mixTensors` gives is stored in the model. */
export function mixWords(name: string, shares: Value, width: number): Value {
  const [words] = fixed(shares.shape.slice(1)) as [number];
  const blocks = Math.ceil(words / blockSize);
  const packed = input(`${name}.int8`, 'uint8', [width, blocks, blockSize]);
  const scales = input(`${name}.int8.scales`, 'float32', [width * blocks]);
  const attributes = { K: words, N: width, bits: 8, block_size: blockSize, accuracy_level: 4 };
  return apply('MatMulNBits', [shares, packed, scales], { attributes, label: name })[0]!;
}

/** Rows of the words as `mixWords` sees them, their mean with them: what is taken from a mixture must be rounded as it is. */
export function mixedRows(
  copies: readonly Readonly<Record<string, Tensor>>[],
  rows: Int32Array,
  { size, mean }: { readonly size: number; readonly mean: Float32Array },
): Float32Array {
  const width = mean.length;
  const found = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    const part = Math.floor(row / size);
    const name = `lm_head.${part}.int8`;
    const packed = copies[part]![name]!.data as Uint8Array;
    const scales = copies[part]![`${name}.scales`]!.data as Float32Array;
    const blocks = scales.length / width;
    const word = row - part * size;
    const block = Math.floor(word / blockSize);
    for (let column = 0; column < width; column++) {
      const at = column * blocks + block;
      found[i * width + column] = mean[column]! + (packed[at * blockSize + (word % blockSize)]! - 128) * scales[at]!;
    }
  }
  return found;
}

/** Words [words, width] less their mean as `mixWords` takes them: transposed, whole numbers around 128 with a scale a block. */
export function mixTensors(
  name: string,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
  mean: Float32Array,
): Readonly<Record<string, Tensor>> {
  const [words, width] = shape as readonly [number, number];
  const blocks = Math.ceil(words / blockSize);
  const packed = new Uint8Array(width * blocks * blockSize).fill(128);
  const scales = new Float32Array(width * blocks);
  for (let block = 0; block < blocks; block++) {
    const [from, to] = [block * blockSize, Math.min(words, (block + 1) * blockSize)];
    for (let column = 0; column < width; column++) {
      const middle = mean[column]!;
      let most = 0;
      for (let word = from; word < to; word++) most = Math.max(most, Math.abs(data[word * width + column]! - middle));
      const factor = most > 0 ? 127 / most : 0;
      const at = column * blocks + block;
      scales[at] = most / 127;
      for (let word = from; word < to; word++) {
        packed[at * blockSize + word - from] = 128.5 + (data[word * width + column]! - middle) * factor;
      }
    }
  }
  return {
    [`${name}.int8`]: tensor('uint8', [width, blocks, blockSize], packed),
    [`${name}.int8.scales`]: tensor('float32', [width * blocks], scales),
  };
}
