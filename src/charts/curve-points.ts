// Points of a learning curve, made fit to be drawn.

/** More points than pixels say nothing. */
const mostPoints = 1000;

/** What a panel spans: all of `within`, and the values but for a few spikes, which would press the rest flat. */
export function rangeOf(values: readonly number[], within: readonly number[]): readonly [bottom: number, top: number] {
  const sorted = [...values].sort((a, b) => a - b);
  const spanned = [...sorted.slice(0, Math.floor((sorted.length - 1) * 0.99) + 1), ...within];
  if (spanned.length === 0) return [0, 1];
  const low = spanned.reduce((least, value) => Math.min(least, value));
  const high = spanned.reduce((most, value) => Math.max(most, value));
  const margin = (high - low || 1) * 0.04;
  return [low - margin, high + margin];
}

/** Exponential running mean over about a thirtieth of the values (five, of few), without the pull of a start value. */
export function runningMean(values: readonly number[]): number[] {
  const keep = 1 - 1 / Math.max(1, values.length / 30, Math.min(5, values.length / 4));
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    sum = keep * sum + value;
    weight = keep * weight + 1;
    return sum / weight;
  });
}

/** Every so many rows that `mostPoints` remain, and the last. */
export function thin<T>(rows: readonly T[]): T[] {
  const every = Math.ceil(rows.length / mostPoints);
  return rows.filter((_, at) => at % every === 0 || at === rows.length - 1);
}
