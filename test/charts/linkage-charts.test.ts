import { describe, expect, test } from 'vitest';

import { blockingCountsChart } from '../../src/charts/blocking-counts.ts';
import { completenessChart } from '../../src/charts/completeness.ts';
import { emHistoryChart, type SessionHistory } from '../../src/charts/em-history.ts';
import { weightHistogramChart } from '../../src/charts/histogram.ts';
import { mAndUChart } from '../../src/charts/m-and-u.ts';
import { type ChartComparison, matchWeightsChart } from '../../src/charts/match-weights.ts';
import { outlineOf } from '../../src/charts/outline.ts';
import { type ChartSpec, renderSvg } from '../../src/charts/render.ts';
import { shorten, textWidth, wrapText } from '../../src/charts/text-width.ts';
import { thresholdChart } from '../../src/charts/threshold-curves.ts';
import { clipWeight, probabilityTicks, signedWeight, weightTicks } from '../../src/charts/weight.ts';

const comparisons: ChartComparison[] = [
  {
    name: 'first_name',
    levels: [
      { label: 'first name missing', isNull: true },
      { label: 'equal', m: 0.8, u: 0.0125 },
      { label: 'never of a match', m: 0, u: 0.5 },
      { label: 'only of a match', m: 0.1, u: 0 },
      { label: 'anything else', m: 0.1, u: 0.4 },
    ],
  },
  { name: 'ssn', levels: [{ label: 'equal', m: 0.9, u: 0.000_01 }, { label: 'not met' }] },
];
const source = 'model.json';

const session = (rule: string, names: readonly string[], converged = true): SessionHistory => ({
  rule,
  pairs: 1234,
  iterations: 2,
  converged,
  lastChange: 0.000_05,
  prior: [0.2, 0.5, 0.6],
  comparisons: names.map((name) => ({
    name,
    levels: [
      { label: 'equal', weights: [10, 8, 7.5] },
      { label: 'near', weights: [3, null, null] },
      { label: 'anything else', weights: [-5, -900, Number.NEGATIVE_INFINITY] },
    ],
  })),
});

const charts: { name: string; spec: ChartSpec; says: string[]; not?: string[] }[] = [
  {
    name: 'match weights',
    spec: matchWeightsChart({ prior: 0.5 ** 10 / (1 + 0.5 ** 10), comparisons, source }),
    says: [
      'What each comparison level says about a match',
      'model.json',
      'prior: two records taken at random',
      '−10.0',
      'first_name',
      '+6.0',
      '← no limit: m is 0',
      '→ no limit: u is 0',
      '−2.0',
      'ssn',
      '+16.5',
      'not trained',
    ],
    not: ['first name missing'],
  },
  {
    name: 'm and u',
    spec: mAndUChart({ comparisons, source }),
    says: [
      'm: share of the pairs that match',
      'u: share of the pairs that do not',
      '80.0 %',
      '1.3 %',
      '1 in 100,000',
      'never',
      'not trained',
    ],
    not: ['first name missing'],
  },
  {
    name: 'EM history',
    spec: emHistoryChart({
      sessions: [session('ssn', ['first_name', 'birthdate']), session('birthdate', ['first_name', 'ssn'], false)],
      source,
    }),
    says: [
      'EM on ssn',
      '1,234 pairs',
      '2 iterations: converged',
      '2 iterations: NOT converged',
      'share of matches',
      'first_name',
      '1  equal',
      '3  anything else',
      'not trained here',
      'model.json × ends the line of a level that no match was on from there.',
      '2 ×',
      'iteration',
      'weight',
    ],
  },
  {
    name: 'histogram',
    spec: weightHistogramChart({
      source,
      bins: [
        { from: -10, until: -9, pairs: 9000 },
        { from: 12, until: 13, pairs: 31 },
      ],
    }),
    says: ['Match weights of 9,031 pairs', 'match probability', '50 %', '1 %', '99 %', '1,000', 'pairs (logarithmic from 10 up)'],
  },
  {
    name: 'histogram of few pairs',
    spec: weightHistogramChart({ source, bins: [{ from: 1, until: 2, pairs: 3 }] }),
    says: ['Match weights of 3 pairs', 'pairs', '3'],
  },
  {
    name: 'thresholds',
    spec: thresholdChart({
      source,
      points: [
        { weight: -10, precision: 0.2, recall: 1, f1: 1 / 3 },
        { weight: 3, precision: 0.9, recall: 0.9, f1: 0.9 },
        { weight: 20, precision: 1, recall: 0.1, f1: 2 / 11 },
      ],
    }),
    says: ['best F1: 90.0 %, from 3.0 up', 'precision: accepted pairs that are right', 'F1, their harmonic mean', '75 %', '99.9 %'],
  },
  {
    name: 'completeness',
    spec: completenessChart({
      source,
      sources: [
        { name: 'north', records: 1000 },
        { name: 'south', records: 300 },
        { name: 'empty', records: 0 },
      ],
      columns: [
        { column: 'first_name', present: [1000, 300, 0] },
        { column: 'ssn', present: [5, 150, 0] },
        { column: 'zip', present: [999, 299, 0] },
      ],
    }),
    says: ['north', '1,000 records', 'ssn', '< 1 %', '50 %', '100 %', '99.9 %', '99.7 %', 'no records'],
  },
  {
    name: 'blocking',
    spec: blockingCountsChart({
      source,
      rules: [
        { rule: 'last_name', pairs: 900, newPairs: 900, largest: [{ records: 30, pairs: 435, value: 'Smith' }] },
        { rule: 'ssn', pairs: 100, newPairs: 40, largest: [{ records: 3, pairs: 3 }] },
      ],
    }),
    says: [
      '1. last_name',
      '900 (all new), 900 so far',
      '100 (40 new), 940 so far',
      'rule 1: Smith',
      '435 pairs of 30 records',
      'rule 2: a block of 3',
    ],
  },
  {
    name: 'blocking, new pairs not counted',
    spec: blockingCountsChart({ source, rules: [{ rule: 'gender', pairs: 5e12, largest: [] }] }),
    says: ['5,000,000,000,000', 'pairs'],
    not: ['largest blocks', '0 so far'],
  },
];

const nothing = [
  { name: 'match weights', spec: matchWeightsChart({ prior: 0.1, comparisons: [], source }) },
  { name: 'm and u', spec: mAndUChart({ comparisons: [], source }) },
  { name: 'EM history', spec: emHistoryChart({ sessions: [], source }) },
  { name: 'histogram', spec: weightHistogramChart({ bins: [], source }) },
  { name: 'thresholds', spec: thresholdChart({ points: [], source }) },
  { name: 'completeness', spec: completenessChart({ sources: [], columns: [], source }) },
  { name: 'blocking', spec: blockingCountsChart({ rules: [], source }) },
];

const textsOf = (svg: string) =>
  [...svg.matchAll(/>([^<>]+)</g)].map((match) => match[1]!.trim().replace('&lt;', '<').replace('&gt;', '>'));

describe('charts of a linkage', () => {
  test.each(charts)('$name says what it shows', async ({ spec, says, not = [] }) => {
    const texts = textsOf(await renderSvg(spec));
    for (const text of says) expect(texts.map((one) => one.replace(/\s+/g, ' '))).toContain(text.replace(/\s+/g, ' '));
    for (const text of not) expect(texts).not.toContain(text);
  });

  test.each(charts)('$name is a plain value, drawn the same every time and without a warning', async ({ spec }) => {
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
    const svg = await renderSvg(spec);
    expect(svg).toBe(await renderSvg(spec));
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });

  test.each(nothing)('$name of nothing is still a chart', async ({ spec }) => {
    expect(await renderSvg(spec)).toMatch(/^<svg/);
  });

  test('levels stand in the model’s order under their comparison', async () => {
    const texts = textsOf(await renderSvg(matchWeightsChart({ prior: 0.1, comparisons, source })));
    const place = (text: string) => texts.indexOf(text);
    expect(place('never of a match')).toBeLessThan(place('only of a match'));
    const { entries, headings, count } = outlineOf([
      { entries: [{ label: 'p' }] },
      { name: 'a', entries: [{ label: 'x' }, { label: 'y' }] },
    ]);
    expect(headings.map(({ row, text }) => [row, text])).toEqual([[1, 'a']]);
    expect(entries.map(({ row, label }) => [row, label])).toEqual([
      [0, 'p'],
      [2, 'x'],
      [3, 'y'],
    ]);
    expect(count).toBe(4);
  });

  test('twenty comparisons of six levels with long names keep one row each and a width that fits a page', async () => {
    const many = Array.from({ length: 20 }, (_, c) => ({
      name: `comparison ${c} of ${'very '.repeat(20)}long name`,
      levels: Array.from({ length: 6 }, (_, l) => ({ label: `level ${l} ${'and so on '.repeat(12)}`, m: 0.5, u: 0.1 })),
    }));
    const svg = await renderSvg(matchWeightsChart({ prior: 0.01, comparisons: many, source }));
    const [, width, height] = svg.match(/width="([\d.]+)" height="([\d.]+)"/)!.map(Number);
    expect(width).toBeLessThan(900);
    expect(height).toBeGreaterThan(141 * 18);
    expect(svg.match(/>\+2\.3</g)).toHaveLength(120);
  });

  test('columns stand from least to most complete', async () => {
    const texts = textsOf(await renderSvg(charts.find(({ name }) => name === 'completeness')!.spec));
    expect(texts.filter((text) => ['first_name', 'ssn', 'zip'].includes(text))).toEqual(['ssn', 'zip', 'first_name']);
  });
});

describe('weights on an axis', () => {
  test.each([
    [6.25, '+6.3', 6.25],
    [-2, '−2.0', -2],
    [0.04, '0', 0.04],
    [31.4, '→ +31.4', 30],
    [-423.1, '← −423.1', -20],
    [Number.POSITIVE_INFINITY, '→ no limit: u is 0', 30],
    [Number.NEGATIVE_INFINITY, '← no limit: m is 0', -20],
    [Number.NaN, 'unknown', 0],
  ])('%d is said %s and drawn at %d', (weight, said, drawn) => {
    expect(signedWeight(weight)).toBe(said);
    expect(clipWeight(weight)).toBe(drawn);
  });

  test('probabilities over the axis are where they belong and do not touch', () => {
    expect(probabilityTicks([-1, 1], 400)).toEqual([{ weight: 0, text: '50 %' }]);
    const texts = probabilityTicks([-14, 30], 600).map(({ text }) => text);
    expect(texts).toContain('50 %');
    expect(texts).toContain('99.9 %');
    const places = probabilityTicks([-14, 30], 600).map(({ weight, text }) => ({
      at: ((weight + 14) / 44) * 600,
      half: textWidth(text, 11) / 2,
    }));
    for (const [i, { at, half }] of places.slice(1).entries()) expect(at - half).toBeGreaterThan(places[i]!.at + places[i]!.half);
  });

  test('ticks are round and hold zero', () => {
    expect(weightTicks(-12.3, 11)).toEqual([-10, -5, 0, 5, 10]);
    expect(weightTicks(-1.5, 2)).toEqual([-1, 0, 1, 2]);
  });
});

describe('texts that must fit', () => {
  test('a long name loses its middle, for thresholds stand at its end', () => {
    const name = 'jaro_winkler_similarity(first_name_l, first_name_r) >= 0.92';
    const cut = shorten(name, 200, 12);
    expect(textWidth(cut, 12)).toBeLessThanOrEqual(200);
    expect(cut).toMatch(/^jaro_winkler.*….*>= 0\.92$/);
    expect(shorten('short', 200, 12)).toBe('short');
  });

  test('lines break at spaces and none is too wide', () => {
    const lines = wrapText('pairs of each rule and an_unbreakable_word_that_is_far_too_long_for_its_line here', 120, 12);
    expect(lines.length).toBeGreaterThan(2);
    for (const line of lines) expect(textWidth(line, 12)).toBeLessThanOrEqual(120);
  });
});
