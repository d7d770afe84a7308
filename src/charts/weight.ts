// Match weights on an axis: bits, and the probability they stand for.

import { textWidth } from './text-width.ts';
import { palette } from './theme.ts';

/** Weights beyond these are drawn at them: one level that no match was on would squeeze all others flat. */
const drawn = { least: -20, most: 30 };

export const weightTitle = 'match weight, log2(m / u): +1 doubles the odds of a match';

/** A weight as far as it is drawn; nothing known counts nothing. */
export function clipWeight(weight: number): number {
  return Number.isNaN(weight) ? 0 : Math.max(drawn.least, Math.min(drawn.most, weight));
}

/** `+6.3`, `−2.0`; with an arrow where the bar is cut. */
export function signedWeight(weight: number): string {
  if (Number.isNaN(weight)) return 'unknown';
  if (weight === Number.POSITIVE_INFINITY) return '→ no limit: u is 0';
  if (weight === Number.NEGATIVE_INFINITY) return '← no limit: m is 0';
  const text = signed(weight);
  return clipWeight(weight) === weight ? text : `${weight > 0 ? '→' : '←'} ${text}`;
}

/** `+6.3`, `−2.0`, `0`. */
export function signed(value: number): string {
  const rounded = Math.round(Math.abs(value) * 10) / 10;
  return rounded === 0 ? '0' : `${value > 0 ? '+' : '−'}${rounded.toFixed(1)}`;
}

/** Round weights from `low` to `high`, zero among them. */
export function weightTicks(low: number, high: number): number[] {
  const step = high - low > 16 ? 5 : high - low > 8 ? 2 : 1;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(tick);
  return ticks;
}

/** In order of how much each is wanted. */
const probabilities = [0.5, 0.99, 0.01, 0.999, 0.9, 0.001, 0.1, 0.9999, 0.0001, 0.99999, 0.00001, 0.999999];

export type ProbabilityTick = { readonly weight: number; readonly text: string };

/** The match probabilities that fit over an axis of weights without touching, lowest first. */
export function probabilityTicks([low, high]: readonly [number, number], width: number): ProbabilityTick[] {
  const kept: (ProbabilityTick & { from: number; until: number })[] = [];
  for (const p of probabilities) {
    const weight = Math.log2(p / (1 - p));
    const text = `${Number((p * 100).toPrecision(6))} %`;
    const half = textWidth(text, 11) / 2 + 4;
    const at = ((weight - low) / (high - low)) * width;
    if (weight < low || weight > high || kept.some(({ from, until }) => at - half < until && at + half > from)) continue;
    kept.push({ weight, text, from: at - half, until: at + half });
  }
  return kept.sort((a, b) => a.weight - b.weight).map(({ weight, text }) => ({ weight, text }));
}

/** Those ticks as layers over a chart whose x is a weight in `domain`, and the axis' name. */
export function probabilityLayers(domain: readonly [number, number], width: number): object[] {
  const x = { field: 'weight', type: 'quantitative', scale: { domain, nice: false } };
  const data = { values: probabilityTicks(domain, width) };
  const text = { type: 'text', color: palette.muted, baseline: 'bottom' };
  return [
    { data, mark: { type: 'rule', color: palette.faint }, encoding: { x, y: { value: -5 }, y2: { value: 0 } } },
    { data, mark: { ...text, fontSize: 11 }, encoding: { x, y: { value: -8 }, text: { field: 'text' } } },
    {
      data: { values: [{ text: 'match probability' }] },
      mark: { ...text, fontSize: 12 },
      encoding: { x: { value: width / 2 }, y: { value: -28 }, text: { field: 'text' } },
    },
  ];
}
