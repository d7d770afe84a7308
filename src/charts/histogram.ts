import { thousands } from '../base/text.ts';
import type { ChartSpec } from './render.ts';
import { palette, titleOver } from './theme.ts';
import { probabilityLayers, weightTicks } from './weight.ts';

export type WeightBin = { readonly from: number; readonly until: number; readonly pairs: number };

const width = 620;

/** How many pairs there are of each match weight; match probabilities stand over it. */
export function weightHistogramChart({ bins, source }: { readonly bins: readonly WeightBin[]; readonly source: string }): ChartSpec {
  const low = Math.min(0, ...bins.map(({ from }) => from));
  const high = Math.max(1, ...bins.map(({ until }) => until));
  const most = Math.max(1, ...bins.map(({ pairs }) => pairs));
  const domain = [low, high] as const;
  const x = {
    field: 'from',
    type: 'quantitative',
    scale: { domain, nice: false },
    axis: { values: weightTicks(low, high) },
    title: 'match weight, in bits: +1 doubles the odds of a match',
  };
  // A linear scale hides the matches beside a hundred times as many near misses.
  const rounds = [0, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
  const scale = most > 200 ? { type: 'symlog', constant: 10, domain: [0, most] } : { domain: [0, most] };
  const axis = most > 200 ? { values: rounds.filter((value) => value <= most), format: ',d' } : { tickMinStep: 1, format: ',d' };
  const y = { field: 'pairs', type: 'quantitative', scale, axis, title: most > 200 ? 'pairs (logarithmic from 10 up)' : 'pairs' };
  const total = bins.reduce((sum, { pairs }) => sum + pairs, 0);
  return {
    ...titleOver(`Match weights of ${thousands(total)} pairs`, source, width),
    width,
    height: 260,
    layer: [
      {
        data: { values: bins },
        mark: { type: 'bar', binSpacing: 1 },
        encoding: { x: { ...x, bin: { binned: true } }, x2: { field: 'until' }, y },
      },
      {
        data: { values: [{ from: 0 }] },
        mark: { type: 'rule', color: palette.muted, strokeDash: [3, 3] },
        encoding: { x },
      },
      ...probabilityLayers(domain, width),
    ],
  } as unknown as ChartSpec;
}
