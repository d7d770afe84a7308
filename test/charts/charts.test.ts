import { describe, expect, test } from 'vitest';

import { barsChart } from '../../src/charts/bars.ts';
import { linkLegend, networkChart } from '../../src/charts/network.ts';
import { precisionRecallChart } from '../../src/charts/precision-recall.ts';
import { reliabilityChart } from '../../src/charts/reliability.ts';
import { type ChartSpec, renderSvg } from '../../src/charts/render.ts';
import { splitBarsChart } from '../../src/charts/split-bars.ts';
import { waterfallChart } from '../../src/charts/waterfall.ts';

const nodes = ['a', 'b', 'c'].map((id, i) => ({ id, label: String(i + 1), group: i === 2 ? 1 : 0 }));

const charts: { name: string; spec: ChartSpec; says: string[] }[] = [
  {
    name: 'precision-recall',
    spec: precisionRecallChart({
      curves: [
        {
          name: 'with clinical evidence',
          style: 'ours',
          points: [
            { recall: 0.5, precision: 1 },
            { recall: 1, precision: 0.9 },
          ],
        },
      ],
      marks: [
        { label: 'chosen', recall: 0.99, precision: 0.998, style: 'ours' },
        { label: 'published,\nby an LLM', recall: 0.91, precision: 0.922, style: 'published' },
      ],
    }),
    says: [
      'The whole range',
      'The corner above 90 %',
      'with clinical evidence',
      'chosen',
      'by an LLM',
      'recall: true pairs found',
      'precision: pairs that are right',
    ],
  },
  {
    name: 'split bars',
    spec: splitBarsChart({
      xTitle: 'facilities seen at',
      series: [
        { name: 'demographics alone', rows: [{ label: '2', patients: 50, split: 13, share: 0.26 }] },
        { name: 'with clinical evidence', rows: [{ label: '2', patients: 50, split: 1, share: 0.02 }] },
      ],
    }),
    says: ['facilities seen at', 'patients split', 'demographics alone', 'with clinical evidence', '13'],
  },
  {
    name: 'reliability',
    spec: reliabilityChart([
      { count: 90_000, meanPredicted: 0.01, shareTrue: 0.01 },
      { count: 400, meanPredicted: 0.99, shareTrue: 1 },
    ]),
    says: ['perfectly honest', 'share that were the same patient', 'pairs', '1,000', '100%'],
  },
  {
    name: 'waterfall',
    spec: waterfallChart({
      unit: 'doublings of the odds',
      steps: [
        { label: 'before any evidence', value: -14, kind: 'start' },
        { label: 'first name', value: 6.25, kind: 'step' },
        { label: 'address', value: -3, kind: 'step' },
        { label: 'demographics', value: 0, kind: 'total' },
      ],
    }),
    says: ['before any evidence', '+6.3', '−3.0', '−10.8', 'doublings of the odds'],
  },
  {
    name: 'network',
    spec: networkChart([
      {
        title: 'Before',
        nodes,
        links: [
          { from: 'a', to: 'b', kind: 'accepted' },
          { from: 'b', to: 'c', kind: 'unseen' },
        ],
      },
    ]),
    says: ['Before', '1', '2', '3'],
  },
  { name: 'bars', spec: barsChart({ bars: [{ label: 'this run', value: 11, text: '11 of 2,954' }] }), says: ['this run', '11 of 2,954'] },
];

describe('charts', () => {
  test.each(charts)('$name says what it shows', async ({ spec, says }) => {
    const svg = await renderSvg(spec);
    const texts = [...svg.matchAll(/>([^<>]+)</g)].map((match) => match[1]!.trim());
    for (const text of says) expect(texts).toContain(text);
  });

  test.each(charts)('$name is a plain value and draws the same every time', async ({ spec }) => {
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
    expect(await renderSvg(spec)).toBe(await renderSvg(spec));
  });

  test.each(charts)('$name is drawn without a warning', async ({ spec }) => {
    expect(await renderSvg(spec)).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('two steps of one name are two rows of a waterfall', async () => {
    const step = { label: 'all the rest', value: 1, kind: 'step' } as const;
    const svg = await renderSvg(waterfallChart({ unit: 'bits', steps: [step, step] }));
    expect(svg.match(/>all the rest</g)).toHaveLength(2);
  });

  test('a waterfall with a step without limit is drawn, and says so', async () => {
    const spec = waterfallChart({
      unit: 'bits',
      title: { text: 'Why', source: 'here' },
      steps: [
        { label: 'a', value: 3, kind: 'start' },
        { label: 'b', value: Number.NEGATIVE_INFINITY, kind: 'step' },
        { label: 'end', value: 0, kind: 'total' },
      ],
    });
    const svg = await renderSvg(spec);
    expect(svg).not.toMatch(/NaN|Infinity/);
    expect(svg.match(/← no limit: m is 0/g)!.length).toBeGreaterThanOrEqual(2);
  });

  test('a waterfall adds up', () => {
    const spec = waterfallChart({
      unit: 'bits',
      steps: [
        { label: 'start', value: -5, kind: 'start' },
        { label: 'a', value: 7, kind: 'step' },
        { label: 'b', value: -1, kind: 'step' },
        { label: 'end', value: 0, kind: 'total' },
      ],
    });
    const { values } = (spec as unknown as { data: { values: { from: number; to: number }[] } }).data;
    expect(values.map(({ from, to }) => [from, to])).toEqual([
      [0, -5],
      [-5, 2],
      [2, 1],
      [0, 1],
    ]);
  });

  test('charts of nothing are still charts', async () => {
    for (const spec of [
      precisionRecallChart({ curves: [], marks: [] }),
      splitBarsChart({ series: [], xTitle: 'x' }),
      reliabilityChart([]),
      networkChart([]),
      barsChart({ bars: [] }),
    ]) {
      expect(await renderSvg(spec)).toMatch(/^<svg/);
    }
  });

  test('every kind of link has its key', () => {
    expect(linkLegend.map((row) => row.kind)).toEqual(['accepted', 'rejected', 'unseen']);
  });
});
