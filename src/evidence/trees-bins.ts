// Feature values as small whole numbers, for histogram-based tree training.
//
// Idea: cut each feature's range into at most 255 bins that hold about equally many rows (every distinct value its own bin when there
// are few). A row then needs one byte per feature, and the best split is found among at most 254 cuts instead of among all values.
// A cut lies midway between two neighbouring values; bin(v) = number of cuts below v; the last byte, 255, is a missing value.
// Worked case: values 1, 1, 2, 5 -> cuts 1.5, 3.5 -> bins 0, 0, 1, 2.
// Cost: one sort of n values per feature, then n log(255) to place them.

/** The byte that stands for a missing value. */
export const missingBin = 255;

/** Rows as bytes, column by column: the bin of row r in feature f is `bins[f * rowCount + r]`. */
export type Bins = {
  readonly rowCount: number;
  readonly featureCount: number;
  readonly bins: Uint8Array;
  /** Per feature its cuts, ascending: bin b holds values in (cuts[b - 1], cuts[b]]. */
  readonly cuts: readonly Float32Array[];
};

/**
 * Bins a row-major matrix. Cuts are placed by the rows that `learns` marks (all by default), so held-out rows shape nothing.
 */
export function binFeatures(options: {
  readonly features: Float32Array;
  readonly rowCount: number;
  readonly featureCount: number;
  readonly learns?: (row: number) => boolean;
}): Bins {
  const { features, rowCount, featureCount, learns = () => true } = options;
  const bins = new Uint8Array(rowCount * featureCount);
  const cuts: Float32Array[] = [];
  for (let first = 0; first < featureCount; first += stripe) {
    const width = Math.min(stripe, featureCount - first);
    const columns = transpose(features, { rowCount, featureCount, first, width });
    for (let f = 0; f < width; f++) {
      const column = columns.subarray(f * rowCount, (f + 1) * rowCount);
      const featureCuts = placeCuts(column.filter((x, row) => !Number.isNaN(x) && learns(row)).sort());
      const base = (first + f) * rowCount;
      for (let row = 0; row < rowCount; row++) bins[base + row] = binOf(column[row]!, featureCuts);
      cuts.push(featureCuts);
    }
  }
  return { rowCount, featureCount, bins, cuts };
}

/** Features taken at a time: as many as share a cache line, for reading a row-major matrix by single columns misses at every row. */
const stripe = 16;

function transpose(
  features: Float32Array,
  { rowCount, featureCount, first, width }: { rowCount: number; featureCount: number; first: number; width: number },
): Float32Array {
  const columns = new Float32Array(width * rowCount);
  for (let row = 0; row < rowCount; row++) {
    const at = row * featureCount + first;
    for (let f = 0; f < width; f++) columns[f * rowCount + row] = features[at + f]!;
  }
  return columns;
}

/** Number of cuts below the value; `missingBin` for NaN. */
export function binOf(x: number, cuts: Float32Array): number {
  if (Number.isNaN(x)) return missingBin;
  let low = 0;
  let high = cuts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x > cuts[middle]!) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** At most 254 cuts between neighbouring distinct values: all of them when they fit, else those next to the quantiles. */
function placeCuts(sorted: Float32Array): Float32Array {
  const distinct: number[] = [];
  for (let i = 0; i < sorted.length; i++) if (i === 0 || sorted[i] !== sorted[i - 1]) distinct.push(i);
  const limit = missingBin - 1;
  if (distinct.length - 1 <= limit) return Float32Array.from(distinct.slice(1), (i) => between(sorted[i - 1]!, sorted[i]!));
  const chosen: number[] = [];
  let next = 1;
  for (let k = 1; k <= limit; k++) {
    const rank = (k * sorted.length) / (limit + 1);
    while (next < distinct.length && distinct[next]! < rank) next++;
    if (next >= distinct.length) break;
    const at = distinct[next]!;
    if (chosen[chosen.length - 1] !== at) chosen.push(at);
  }
  return Float32Array.from(chosen, (i) => between(sorted[i - 1]!, sorted[i]!));
}

/** A float32 in [low, high): the middle, or `low` itself where rounding would reach `high`. */
function between(low: number, high: number): number {
  const middle = Math.fround(low + (high - low) / 2);
  return middle < high ? middle : low;
}
