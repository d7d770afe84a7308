import type { ChartSpec } from './render.ts';
import { palette } from './theme.ts';

export type ReliabilityPoint = { readonly count: number; readonly meanPredicted: number; readonly shareTrue: number };

/** What was predicted against what came true (with the range chance allows), and below it how many predictions there were (log scale: most pairs are sure). */
export function reliabilityChart(points: readonly ReliabilityPoint[]): ChartSpec {
  const x = {
    field: 'meanPredicted',
    type: 'quantitative',
    scale: { domain: [0, 1], nice: false, padding: 14 },
    axis: { format: '.0%', values: [0, 0.25, 0.5, 0.75, 1] },
    title: null,
  };
  const y = {
    field: 'shareTrue',
    type: 'quantitative',
    scale: { domain: [0, 1] },
    axis: { format: '.0%', values: [0, 0.25, 0.5, 0.75, 1] },
  };
  const most = Math.max(10, ...points.map((point) => point.count));
  const note = {
    data: { values: [{ meanPredicted: 0.97, shareTrue: 0.88, text: 'perfectly honest' }] },
    encoding: { x, y, text: { field: 'text' } },
  };
  const noteMark = { type: 'text', align: 'right', angle: 317, dx: -20, dy: 12 };
  return {
    data: { values: points.map((point) => ({ ...point, ...shareInterval(point) })) },
    vconcat: [
      {
        width: 300,
        height: 280,
        layer: [
          {
            data: {
              values: [
                { meanPredicted: 0, shareTrue: 0 },
                { meanPredicted: 1, shareTrue: 1 },
              ],
            },
            mark: { type: 'line', color: palette.faint, strokeDash: [4, 4], strokeWidth: 1.5 },
            encoding: { x, y: { ...y, title: 'share that were the same patient' } },
          },
          {
            mark: { type: 'rule', color: palette.blueLight, strokeWidth: 3 },
            encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
          },
          { mark: { type: 'point', stroke: 'white', strokeWidth: 1, size: 100 }, encoding: { x, y } },
          { ...note, mark: { ...noteMark, color: 'white', stroke: 'white', strokeWidth: 4 } },
          { ...note, mark: { ...noteMark, color: palette.muted } },
        ],
      },
      {
        width: 300,
        height: 60,
        mark: { type: 'bar', color: palette.blueLight, width: 22 },
        encoding: {
          x: { ...x, title: 'said: probability of one patient' },
          y: {
            field: 'count',
            type: 'quantitative',
            scale: { type: 'symlog', domain: [0, most] },
            axis: { values: [0, 10, 1000, 100_000].filter((value) => value <= most), format: ',d' },
            title: 'pairs',
          },
        },
      },
    ],
    spacing: 12,
  } as unknown as ChartSpec;
}

/** Where the true share lies with 95 % certainty, given this many predictions. Source: Wilson, JASA 1927. */
function shareInterval({ count, shareTrue }: ReliabilityPoint): { readonly low: number; readonly high: number } {
  const z = 1.96;
  const middle = (shareTrue + z ** 2 / (2 * count)) / (1 + z ** 2 / count);
  const half = (z / (1 + z ** 2 / count)) * Math.sqrt((shareTrue * (1 - shareTrue)) / count + z ** 2 / (4 * count ** 2));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
