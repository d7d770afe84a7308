// The few figures that tell runs apart at a glance: steps, the last of each metric, and the best of the one that decided.

import { curvesOf, type Metric, type RunRecord } from './tracking.ts';
import { isHigherBetter } from './training-settings.ts';

export type Figure = { readonly step: number; readonly value: number };

export type RunFigures = {
  /** The last step with a figure; nothing of a run without. */
  readonly steps: number | null;
  readonly last: Readonly<Record<string, Figure>>;
  /** Of the loss and what was evaluated: lowest of a loss or perplexity, highest of any other, after the first step where there is one. */
  readonly best: Readonly<Record<string, Figure>>;
};

export function figuresOf(metrics: readonly Metric[]): RunFigures {
  const curves = curvesOf(metrics);
  const steps = [...curves.values()].map((points) => points.at(-1)!.step);
  return {
    steps: steps.length > 0 ? Math.max(...steps) : null,
    last: Object.fromEntries([...curves].map(([key, points]) => [key, points.at(-1)!])),
    best: Object.fromEntries([...curves].flatMap(([key, points]) => bestOf(key, points) ?? [])),
  };
}

/** The key that decided which step of a run is best: that of its `metric` setting, where it was evaluated. */
export function decidingKey({ params, metrics }: RunRecord): string | undefined {
  const keys = new Set(metrics.map(({ key }) => key));
  return [`eval_${params['metric'] ?? 'loss'}`, 'eval_loss', 'loss'].find((key) => keys.has(key));
}

function bestOf(key: string, points: readonly Figure[]): [[string, Figure]] | undefined {
  const finite = points.filter(({ value }) => Number.isFinite(value));
  const trained = finite.filter(({ step }) => step > 0);
  const better = isHigherBetter({ metric: key, higherIsBetter: undefined })
    ? (a: number, b: number) => a > b
    : (a: number, b: number) => a < b;
  const counted = trained.length > 0 ? trained : finite;
  if (counted.length === 0 || !/^(loss$|eval_)/.test(key)) return undefined;
  return [[key, counted.reduce((best, one) => (better(one.value, best.value) ? one : best))]];
}
