/** Element types that pass between our code and the runtime. Half precision travels as its 16 bits; bfloat16 the runtime refuses. */
export type DataType = 'float32' | 'float16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'uint16' | 'bool';

type Arrays = {
  float32: Float32Array;
  float16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int8: Int8Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  bool: Uint8Array;
};

/** A dense row-major array. */
export type Tensor<T extends DataType = DataType> = {
  readonly [D in T]: { readonly type: D; readonly shape: readonly number[]; readonly data: Arrays[D] };
}[T];

/** A tensor over existing memory; nothing is copied. */
export const tensor = <T extends DataType>(type: T, shape: readonly number[], data: Arrays[T]): Tensor<T> =>
  ({ type, shape, data }) as unknown as Tensor<T>;
