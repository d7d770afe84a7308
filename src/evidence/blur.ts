// Body sizes measured less exactly than a simulator does: the same profiles with noise on height, weight and what is worked out from
// them. For asking how much of the evidence would survive real scales and tapes.

import { random } from '../base/random.ts';
import type { Profiles, SeriesName } from './profile.ts';

/** Noise in each body series for one centimetre and one kilogram: a ratio inherits both, a percentile moves by a few points. */
const noisePerUnit = {
  height: { cm: 1, kg: 0 },
  headSize: { cm: 1, kg: 0 },
  weight: { cm: 0, kg: 1 },
  bmi: { cm: 0.3, kg: 0.35 },
  bmiPercentile: { cm: 3, kg: 3 },
  weightForLength: { cm: 3, kg: 3 },
  headPercentile: { cm: 10, kg: 0 },
} satisfies Partial<Record<SeriesName, { readonly cm: number; readonly kg: number }>>;

/** Profiles whose body sizes carry normal noise of these standard deviations, drawn anew for each measurement. */
export function blurBodySizes(
  profiles: Profiles,
  { cm, kg, seed }: { readonly cm: number; readonly kg: number; readonly seed: number },
): Profiles {
  const blurred = Object.entries(noisePerUnit).map(([name, noise]) => {
    const series = profiles.series[name as SeriesName];
    const deviation = Math.hypot(noise.cm * cm, noise.kg * kg);
    const draw = random(seed, 'blur', name);
    const value = series.value.map((exact) => Math.round(10 * (exact + deviation * normal(draw.float(), draw.float()))) / 10);
    return [name, { ...series, value }] as const;
  });
  return { ...profiles, series: { ...profiles.series, ...Object.fromEntries(blurred) } };
}

/** A standard normal number from two uniform ones. Source: Box and Muller 1958. */
function normal(first: number, second: number): number {
  return Math.sqrt(-2 * Math.log(1 - first)) * Math.cos(2 * Math.PI * second);
}
