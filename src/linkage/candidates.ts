// What prediction gives.

/** Pairs kept by `predict`, sorted by (left, right); arrays of equal length. Records are numbered in order of the unique id. */
export type Candidates = {
  readonly count: number;
  readonly left: Int32Array;
  readonly right: Int32Array;
  /** log2 of the odds of a match, prior included. */
  readonly matchWeight: Float64Array;
  /** Place of the blocking rule that produced the pair first. */
  readonly matchKey: Uint8Array;
  /** Per comparison: level of each pair, -1 for missing, else counting down to 0. */
  readonly gammas: readonly Int8Array[];
};
