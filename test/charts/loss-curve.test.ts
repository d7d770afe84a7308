import { describe, expect, test } from 'vitest';

import { type LossCurve, lossCurveChart } from '../../src/charts/loss-curve.ts';
import { renderSvg } from '../../src/charts/render.ts';

const curve = (count: number, more: Partial<LossCurve> = {}): LossCurve => ({
  steps: Array.from({ length: count }, (_, i) => ({ step: i + 1, loss: 2 + 1 / (i + 1), learningRate: 1e-4 * (1 - i / count) })),
  evaluations: [],
  ...more,
});
const draw = (given: LossCurve) => renderSvg(lossCurveChart({ curve: given, source: 'runs/demo' }));
/** All texts of a picture, wrapped lines joined. */
const textOf = (svg: string) => [...svg.matchAll(/>([^<>]+)</g)].map(([, said]) => said).join(' ');

describe('the loss curve', () => {
  test('says what is drawn, the last values and the epochs, and is the same each time', async () => {
    const evaluations = [2.6, 2.2, 2.4].map((loss, at) => ({ step: 10 * (at + 1), loss }));
    const given = curve(30, { evaluations, epochEnds: [10, 20, 30] });
    const svg = await draw(given);
    for (const said of ['How training went', 'Thin: loss of each step', 'the lowest ringed', 'runs/demo', 'held out 2.400', 'epoch 2']) {
      expect(textOf(svg)).toContain(said);
    }
    expect(textOf(svg)).toMatch(/training 2\.0\d/);
    expect(textOf(svg)).not.toMatch(/epoch 3|above the picture|NaN|undefined/);
    expect(await draw(given)).toBe(svg);
  });

  test('one step is a picture', async () => {
    expect(textOf(await draw(curve(1)))).toContain('training 3.000');
  });

  test('a run stopped before its first step is an empty picture, with what was evaluated', async () => {
    expect(textOf(await draw({ steps: [], evaluations: [] }))).toContain('How training went');
    expect(textOf(await draw({ steps: [], evaluations: [{ step: 0, loss: 2.5 }] }))).toContain('held out 2.500');
  });

  test('a spike leaves the picture and is counted', async () => {
    const { steps } = curve(200);
    const spiked = steps.map((one) => (one.step === 150 ? { ...one, loss: 90 } : one));
    expect(textOf(await draw({ steps: spiked, evaluations: [] }))).toMatch(/\d+ steps? above the picture/);
  });

  test('a long run is thinned to what can be seen', async () => {
    const points = JSON.stringify(lossCurveChart({ curve: curve(200_000), source: '' })).match(/"step":/g)!;
    expect(points.length).toBeLessThan(4000);
  });
});
