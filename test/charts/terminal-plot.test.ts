import { describe, expect, test } from 'vitest';

import { spanOf, terminalPlot } from '../../src/charts/terminal-plot.ts';

const points = (...values: number[]) => values.map((value, step) => ({ step, value }));
const axes = { width: 4, height: 2, steps: [0, 7], values: [0, 7] } as const;
/** The drawing without its axes. */
const drawn = (plot: string) =>
  plot
    .split('\n')
    .slice(0, -2)
    .map((line) => line.replace(/^.*[┤│]/, ''));

describe('a curve in characters', () => {
  test('a falling line runs from corner to corner', () => {
    expect(terminalPlot(points(7, 6, 5, 4, 3, 2, 1, 0), axes)).toBe(['5.250 ┤⠑⢄', '1.750 ┤⠀⠀⠑⢄', '      └────', '       0  7'].join('\n'));
  });

  test('a figure that is not finite breaks it', () => {
    expect(drawn(terminalPlot(points(7, Number.NaN, 7), { ...axes, steps: [0, 2] }))).toEqual(['⠁⠀⠀⠈', '']);
  });

  test('a spike is cut at the edge, one point is a dot, and nothing is an empty frame', () => {
    expect(drawn(terminalPlot(points(0, 1e9, 0), { ...axes, steps: [0, 2] }))[0]).toMatch(/⡇|⢸|⠸|⠇/);
    expect(drawn(terminalPlot(points(0), { width: 4, height: 2, values: [0, 7] }))).toEqual(['', '⡀']);
    expect(drawn(terminalPlot([], { width: 4, height: 2 }))).toEqual(['', '']);
  });

  test('plots to be compared span the same, but for spikes among many', () => {
    const many = Array.from({ length: 300 }, (_, step) => ({ step, value: step === 7 ? 1e6 : 1 }));
    const { steps, values } = spanOf([many, points(3, 2)]);
    expect(steps).toEqual([0, 299]);
    expect(values[0]).toBeLessThan(1);
    expect(values[1]).toBeGreaterThan(3);
    expect(values[1]).toBeLessThan(4);
  });
});
