import { describe, expect, test } from 'vitest';

import { learningCurvesChart } from '../../src/charts/learning-curves.ts';
import { renderSvg } from '../../src/charts/render.ts';

const curve = (name: string, count: number, at = 1) => ({
  name,
  points: Array.from({ length: count }, (_, step) => ({ step, value: at + 1 / (step + 1) })),
});
const textOf = (svg: string) => [...svg.matchAll(/>([^<>]+)</g)].map(([, said]) => said).join(' ');

describe('learning curves', () => {
  test('a panel for each metric, each run named where its line ends', async () => {
    const panels = [
      { metric: 'loss', curves: [curve('rank-8', 100), curve('rank-16', 100)] },
      { metric: 'eval_loss', curves: [curve('rank-16', 5, 2)] },
    ];
    const svg = await renderSvg(learningCurvesChart({ panels, source: 'two runs' }));
    expect(textOf(svg)).toContain('Curves of many steps are running means. two runs');
    for (const said of ['eval_loss', 'rank-8 1.0', 'rank-16 1.0', 'rank-16 2.200']) expect(textOf(svg)).toContain(said);
    // Both ends are at one height; their names are not.
    const heights = [...svg.matchAll(/translate\([\d.]+,([\d.]+)\)"[^>]*>rank-(?:8|16) 1\./g)].map(([, y]) => Number(y));
    expect(Math.abs(heights[0]! - heights[1]!)).toBeGreaterThan(14);
  });

  test('figures that are not finite are left out, and a metric without any is an empty panel', async () => {
    const panels = [{ metric: 'loss', curves: [{ name: 'lost', points: [{ step: 1, value: Number.NaN }] }] }];
    expect(await renderSvg(learningCurvesChart({ panels, source: '' }))).not.toMatch(/NaN|undefined/);
  });
});
