// m by expectation-maximisation, from how often each pattern of levels occurs among the pairs of one blocking rule.
//
//   E  p = 1 / (1 + 2^-w),  w = log2(lambda/(1-lambda)) + sum over comparisons of log2(m/u) [+ rarity of shared values]
//   M  m(level) = sum of p over pairs on it / sum of p over pairs not missing;   lambda = mean p
//
// u is held fixed. Pairs are seen only as counts per pattern; pairs on a level whose weight depends on how rare the shared value is are
// kept one by one, as (pattern, shift), because each has its own p. Missing says nothing: weight 0, and no share in the M step.
//
// Worked case: one comparison, exact/else 30/70 of 100 pairs, u .01/.99, lambda from .2: p(exact) near 1, p(else) near 0: m(exact) rises.
// Cost per iteration: patterns x comparisons + shifted pairs. Sources: Fellegi and Sunter 1969; Winkler 1988; Dempster, Laird, Rubin 1977.

/** Patterns of one rule's pairs: key digits are levels, each in base of its comparison's number of levels. */
export type Patterns = {
  readonly keys: Float64Array;
  readonly counts: Float64Array;
  readonly shiftedPattern: Float64Array;
  /** Bits of rarity of each shifted pair. */
  readonly shift: Float64Array;
};

export type EmComparison = {
  readonly levelCount: number;
  /** Place of the level for missing values, -1 for none. */
  readonly nullLevel: number;
  readonly m: readonly number[];
  readonly u: readonly number[];
  /** Levels whose m is not to be moved. */
  readonly fixed: readonly boolean[];
};

/** What one iteration left: m as in `EmResult`, and the prior. */
export type EmStep = Pick<EmResult, 'm' | 'prior'>;

export type EmResult = {
  /** m of each comparison's levels; NaN where no pair of any weight was on the level. */
  readonly m: readonly (readonly number[])[];
  readonly prior: number;
  readonly iterations: number;
  /** Largest move of any parameter in the last iteration. */
  readonly lastChange: number;
  /** True only when that move fell below the tolerance before the iterations ran out. */
  readonly converged: boolean;
  /** The start, and what each iteration left. */
  readonly history: readonly EmStep[];
};

/** Runs EM on the patterns of one rule. `prior` is where lambda starts. */
export function estimateM(
  patterns: Patterns,
  comparisons: readonly EmComparison[],
  { prior, tolerance, maxIterations }: { readonly prior: number; readonly tolerance: number; readonly maxIterations: number },
): EmResult {
  const kinds = [...new Set([...patterns.keys, ...patterns.shiftedPattern])].sort((a, b) => a - b);
  const digits = kinds.map((key) => readDigits(key, comparisons));
  const place = new Map(kinds.map((key, i) => [key, i]));
  const plain = new Float64Array(kinds.length);
  patterns.keys.forEach((key, i) => {
    plain[place.get(key)!] = patterns.counts[i]!;
  });
  const shifted = gatherShifts(patterns, place);
  const total = patterns.counts.reduce((sum, count) => sum + count, 0) + patterns.shift.length;

  let m = comparisons.map((one) => [...one.m]);
  let lambda = prior;
  let lastChange = Number.POSITIVE_INFINITY;
  let iterations = 0;
  const history: EmStep[] = [{ m, prior: lambda }];
  while (iterations < maxIterations && lastChange >= tolerance) {
    iterations++;
    const base = Math.log2(lambda / (1 - lambda));
    const weight = digits.map((levels) => levels.reduce((sum, level, c) => sum + levelWeight(comparisons[c]!, m[c]!, level), base));
    const matches = Float64Array.from(plain, (count, i) => count * probability(weight[i]!));
    for (let k = 0; k < shifted.size; k++) {
      const at = shifted.at[k]!;
      matches[at]! += shifted.counts[k]! * probability(weight[at]! + shifted.shifts[k]!);
    }
    const next = maximise(digits, matches, comparisons, m);
    const nextLambda = matches.reduce((sum, value) => sum + value, 0) / total;
    lastChange = Math.abs(nextLambda - lambda);
    next.forEach((levels, c) => {
      levels.forEach((value, level) => {
        if (!Number.isNaN(value) && !Number.isNaN(m[c]![level]!)) lastChange = Math.max(lastChange, Math.abs(value - m[c]![level]!));
      });
    });
    [m, lambda] = [next, Math.min(1 - 1e-12, Math.max(1e-12, nextLambda))];
    history.push({ m, prior: lambda });
  }
  return { m, prior: lambda, iterations, lastChange, converged: lastChange < tolerance, history };
}

/** Pairs of one pattern and one shift (one value, usually) that lie side by side, counted: most values are shared by many pairs. */
function gatherShifts({ shiftedPattern, shift }: Patterns, place: ReadonlyMap<number, number>) {
  const at = new Int32Array(shift.length);
  const shifts = new Float64Array(shift.length);
  const counts = new Float64Array(shift.length);
  let size = 0;
  for (let i = 0; i < shift.length; i++) {
    if (i === 0 || shift[i] !== shift[i - 1] || shiftedPattern[i] !== shiftedPattern[i - 1]) {
      at[size] = place.get(shiftedPattern[i]!)!;
      shifts[size++] = shift[i]!;
    }
    counts[size - 1]! += 1;
  }
  return { size, at, shifts, counts };
}

function maximise(
  digits: readonly (readonly number[])[],
  matches: Float64Array,
  comparisons: readonly EmComparison[],
  before: readonly (readonly number[])[],
): number[][] {
  const sums = comparisons.map(({ levelCount }) => new Array<number>(levelCount).fill(0));
  digits.forEach((levels, i) => {
    levels.forEach((level, c) => {
      sums[c]![level]! += matches[i]!;
    });
  });
  return comparisons.map(({ nullLevel, fixed }, c) => {
    const present = sums[c]!.reduce((sum, value, level) => (level === nullLevel ? sum : sum + value), 0);
    return sums[c]!.map((value, level) => {
      if (level === nullLevel || fixed[level]) return before[c]![level]!;
      return value > 0 ? value / present : Number.NaN;
    });
  });
}

/** log2(m/u); nothing for missing, and for a level that no match was on, what the smallest positive m would say. */
function levelWeight({ nullLevel, u }: EmComparison, m: readonly number[], level: number): number {
  if (level === nullLevel) return 0;
  const value = m[level]!;
  return Math.log2((Number.isNaN(value) ? 1e-12 : value) / u[level]!);
}

function probability(weight: number): number {
  return 1 / (1 + 2 ** -weight);
}

function readDigits(key: number, comparisons: readonly EmComparison[]): number[] {
  const levels = new Array<number>(comparisons.length);
  let rest = key;
  for (let c = comparisons.length - 1; c >= 0; c--) {
    const { levelCount } = comparisons[c]!;
    levels[c] = rest % levelCount;
    rest = Math.floor(rest / levelCount);
  }
  return levels;
}
