// The learning rate over a run: up from 0 in a straight line through the warm-up, then down (linear, cosine) or level (constant).
// Step s (from 0) of n, w of warm-up, as transformers' get_*_schedule_with_warmup:
//
//   s < w:   s / w                                  the first step of a warm-up has rate 0
//   linear:  (n - s) / (n - w)                      the last step has 1 / (n - w), not 0
//   cosine:  (1 + cos(pi (s - w) / (n - w))) / 2
//
// Worked case: linear, n = 4, w = 1: 0, 1, 2/3, 1/3.

export const schedules = ['linear', 'cosine', 'constant'] as const;

export type Schedule = {
  readonly kind: (typeof schedules)[number];
  readonly warmupSteps: number;
  readonly totalSteps: number;
};

/** Share of the full learning rate that step `step` (from 0) is taken with. */
export function learningRateShare(step: number, { kind, warmupSteps, totalSteps }: Schedule): number {
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  const fall = Math.max(1, totalSteps - warmupSteps);
  if (kind === 'linear') return Math.max(0, (totalSteps - step) / fall);
  if (kind === 'cosine') return Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (step - warmupSteps)) / fall)));
  return 1;
}

/** Steps of warm-up: a number below 1 is a share of all steps (rounded up), from 1 on it is the steps themselves. */
export function warmupSteps(warmup: number, totalSteps: number): number {
  return warmup >= 1 ? Math.floor(warmup) : Math.ceil(totalSteps * warmup);
}
