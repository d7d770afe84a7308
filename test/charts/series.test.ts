import { describe, expect, test } from 'vitest';

import { confusionChart } from '../../src/charts/confusion.ts';
import { type ChartSpec, renderSvg } from '../../src/charts/render.ts';
import { seriesChart } from '../../src/charts/series.ts';

const axisOf = (spec: ChartSpec) =>
  (spec as unknown as { layer: { mark: { type: string }; encoding: Record<string, Record<string, unknown>> }[] }).layer;

describe('charts of series', () => {
  const labels = { title: 'Loss', xLabel: 'step', yLabel: 'nats' };
  const points = (count: number) => Array.from({ length: count }, (_, x) => ({ x, y: 1 / (x + 1) }));

  test('a short series has its points marked, a long one is a line alone, a cloud only points', () => {
    const marks = (spec: ChartSpec) => axisOf(spec).map(({ mark }) => mark.type);
    const one = (count: number) => ({ ...labels, series: [{ name: 'a', points: points(count) }] });
    expect(marks(seriesChart(one(5)))).toEqual(['line', 'point']);
    expect(marks(seriesChart(one(500)))).toEqual(['line']);
    expect(marks(seriesChart(one(5), { points: true }))).toEqual(['point']);
  });

  test('names appear where there are several, told apart by dashes as well', () => {
    const names = ['a', 'b'].map((name) => ({ name, points: points(3) }));
    const [line] = axisOf(seriesChart({ ...labels, series: names }));
    expect(line!.encoding.strokeDash!.scale).toEqual({
      domain: ['a', 'b'],
      range: [
        [1, 0],
        [6, 3],
      ],
    });
    expect(line!.encoding.color!.legend).not.toBeNull();
    expect(axisOf(seriesChart({ ...labels, series: names.slice(1) }))[0]!.encoding.color!.legend).toBeNull();
  });

  test('steps have no ticks between them, and names stand in their order', () => {
    const x = (values: readonly (number | string)[]) =>
      axisOf(seriesChart({ ...labels, series: [{ name: 'a', points: values.map((value) => ({ x: value, y: 1 })) }] }))[0]!.encoding.x!;
    expect(x([0, 1, 2]).axis).toMatchObject({ tickMinStep: 1 });
    expect(x([0, 0.5]).axis).not.toHaveProperty('tickMinStep');
    expect(x(['late', 'early'])).toMatchObject({ type: 'nominal', sort: null });
  });

  test('both are drawn, empty ones too', async () => {
    const pairs = [
      { actual: 'cat', predicted: 'cat' },
      { actual: 'cat', predicted: 'a dog of another kind' },
    ];
    const svg = await renderSvg(confusionChart({ ...labels, pairs, normalized: true }));
    expect(svg).toContain('50 %');
    expect(await renderSvg(seriesChart({ ...labels, series: [{ name: 'a', points: points(3) }] }))).toContain('nats');
    expect(await renderSvg(seriesChart({ ...labels, series: [] }))).toContain('<svg');
    expect(await renderSvg(confusionChart({ ...labels, pairs: [] }))).toContain('<svg');
  });
});
