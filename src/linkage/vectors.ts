// Arrays of numbers by their angle, equal to DuckDB's to the last bit.
//
//   cosine = sum(x y) / sqrt(sum(x x) sum(y y)), held to -1 .. 1; -1 where it has no value (an array of zeros), as DuckDB says
//
// Idea: sums of squares do not depend on the pair and are made once; a pair costs one sum of products, one root and one division. Columns of
// FLOAT are summed in single precision, because DuckDB does.
//
// Worked case: (3, 4) and (4, 3): 24 / sqrt(25 * 25) = 0.96.
// Cost: one multiplication per number and pair.

/** Arrays of one column: record r has `values[starts[r] .. starts[r + 1])`; `squares` is their sum of squares, -1 where the array is missing. */
export type Vectors = {
  readonly values: Float64Array;
  readonly starts: Int32Array;
  readonly squares: Float64Array;
  /** Summed in single precision. */
  readonly isSingle: boolean;
};

/** Cosine of the angle between two arrays, NaN where one is missing or their lengths differ. */
export function cosine(a: Vectors, left: number, b: Vectors, right: number): number {
  const from = a.starts[left]!;
  const otherFrom = b.starts[right]!;
  const length = a.starts[left + 1]! - from;
  const squares = a.squares[left]!;
  const otherSquares = b.squares[right]!;
  if (length === 0 || length !== b.starts[right + 1]! - otherFrom || squares === -1 || otherSquares === -1) return Number.NaN;
  const x = a.values;
  const y = b.values;
  let sum = 0;
  let similarity: number;
  if (a.isSingle) {
    for (let i = 0; i < length; i++) sum = Math.fround(sum + Math.fround(x[from + i]! * y[otherFrom + i]!));
    similarity = Math.fround(sum / Math.fround(Math.sqrt(Math.fround(squares * otherSquares))));
  } else {
    for (let i = 0; i < length; i++) sum += x[from + i]! * y[otherFrom + i]!;
    similarity = sum / Math.sqrt(squares * otherSquares);
  }
  return Number.isNaN(similarity) ? -1 : Math.max(-1, Math.min(1, similarity));
}

/** Sum of squares of each array, in the precision of its column, -1 for one that is null or holds a null. */
export function sumSquares({ values, starts, isSingle }: Omit<Vectors, 'squares'>, isMissing: (record: number) => boolean): Float64Array {
  const squares = new Float64Array(new SharedArrayBuffer(8 * (starts.length - 1)));
  for (let record = 0; record < squares.length; record++) {
    let sum = 0;
    for (let i = starts[record]!; i < starts[record + 1]!; i++) {
      const square = values[i]! * values[i]!;
      sum = isSingle ? Math.fround(sum + Math.fround(square)) : sum + square;
    }
    squares[record] = isMissing(record) ? -1 : sum;
  }
  return squares;
}
