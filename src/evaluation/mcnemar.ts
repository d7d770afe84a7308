// Do two classifiers differ, or is it chance? McNemar's exact test on the same examples.
//
// Only examples that exactly one of them has right say anything: b that the first alone has right, c the second alone. Were they equally
// good, each such example would be a coin's toss, so the smaller count follows a binomial distribution:
//
//   p = min(1, 2 sum_{k <= min(b, c)} C(n, k) / 2^n),  n = b + c
//
// Worked case: b 1, c 8: p = 2 (1 + 9) / 512 = 0.0391. No such examples: p = 1. O(b + c), in logarithms so that no n overflows.
// Source: McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947 (exact form).

/** Two-sided p-value of the difference; counts of examples that only one of the two has right. */
export function mcnemarExact(onlyFirst: number, onlySecond: number): number {
  const trials = onlyFirst + onlySecond;
  let logChoose = 0;
  let tail = 0;
  for (let k = 0; k <= Math.min(onlyFirst, onlySecond); k++) {
    if (k > 0) logChoose += Math.log((trials - k + 1) / k);
    tail += Math.exp(logChoose - trials * Math.LN2);
  }
  return Math.min(1, 2 * tail);
}
