/** ln(p / (1 - p)); p is first held inside [floor, 1 - floor] so that 0 and 1 stay finite. */
export function logit(p: number, floor = 1e-15): number {
  const held = Math.min(1 - floor, Math.max(floor, p));
  return Math.log(held / (1 - held));
}

/** 1 / (1 + e^-x), without overflow at either end. */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** Middle value (mean of the two middle ones when even); NaN for none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Value below which the share q of the values lies, interpolated linearly; NaN for none. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = sorted[Math.floor(at)]!;
  const high = sorted[Math.ceil(at)]!;
  return low + (high - low) * (at - Math.floor(at));
}

/** To so many decimals. */
export function rounded(value: number, decimals: number): number {
  const unit = 10 ** decimals;
  return Math.round(value * unit) / unit;
}

/** 2PR / (P + R); 0 when both are 0. */
export function f1Score(precision: number, recall: number): number {
  return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}

/** Shares that sum to 1, in proportion to e to each score. */
export function softmax(scores: ArrayLike<number>): number[] {
  const list = Array.from(scores);
  const largest = Math.max(...list);
  const shares = list.map((score) => Math.exp(score - largest));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}
