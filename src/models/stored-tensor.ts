// A weight as it is kept in memory: full precision, half precision or one of two block-quantised forms. Every form stands for the
// same thing, a row-major array of numbers of the given shape; `toFloat32` (expand.ts) spells it out.

export type StoredTensor = FloatTensor | HalfTensor | Nf4Tensor | BlockTensor;

export type FloatTensor = { readonly format: 'f32'; readonly shape: readonly number[]; readonly data: Float32Array };

/** IEEE half or bfloat16, as their 16 bits. */
export type HalfTensor = { readonly format: 'f16' | 'bf16'; readonly shape: readonly number[]; readonly data: Uint16Array };

/**
 * bitsandbytes' NF4: the flattened values in blocks of `blockSize`; two values a byte, the first in the high nibble.
 * value[i] = code[nibble] * absmax[floor(i / blockSize)]; double quantisation is expanded on reading.
 */
export type Nf4Tensor = {
  readonly format: 'nf4';
  readonly shape: readonly number[];
  readonly packed: Uint8Array;
  readonly absmax: Float32Array;
  readonly blockSize: number;
};

/**
 * A GGUF matrix [rows, columns] with its blocks taken apart: value = q * scale + minimum, one scale (and minimum, where there is one)
 * for every `blockSize` neighbours in a row.
 */
export type BlockTensor = {
  readonly format: 'blocks';
  readonly shape: readonly number[];
  /**
   * `int8`: q in [rows, columns], signed. `uint8`: the same, unsigned.
   * `uint4`: [rows / 2, columns]; the low nibble of row r is row r, its high nibble row r + rows / 2 (rows is even).
   */
  readonly values: { readonly kind: 'int8'; readonly q: Int8Array } | { readonly kind: 'uint8' | 'uint4'; readonly q: Uint8Array };
  readonly blockSize: number;
  /** [rows, columns / blockSize] */
  readonly scales: Float32Array;
  /** [rows, columns / blockSize]; none: zero. */
  readonly minimums?: Float32Array;
};
