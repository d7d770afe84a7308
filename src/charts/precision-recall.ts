import type { ChartSpec } from './render.ts';
import { palette } from './theme.ts';

export type Curve = {
  readonly name: string;
  readonly points: readonly { readonly recall: number; readonly precision: number }[];
  readonly style: 'ours' | 'middle' | 'base';
};

export type Mark = {
  readonly label: string;
  readonly recall: number;
  readonly precision: number;
  readonly style: 'ours' | 'published';
  /** Where the label stands against its point. */
  readonly side?: keyof typeof sides;
};

const colours = { ours: palette.blue, middle: '#6faed0', base: palette.faint };

/** Precision against recall: the whole square, and beside it the corner where good systems differ. */
export function precisionRecallChart({ curves, marks }: { readonly curves: readonly Curve[]; readonly marks: readonly Mark[] }): ChartSpec {
  return {
    hconcat: [
      panel({ curves, marks: marks.filter((mark) => mark.style === 'published'), from: 0, title: 'The whole range' }),
      panel({ curves, marks, from: cornerOf(marks), title: `The corner above ${percent(cornerOf(marks))}` }),
    ],
    spacing: 64,
    bounds: 'flush',
    align: 'each',
  } as ChartSpec;
}

/** Where the corner begins: the lowest tenth that still holds every mark above 0.85. */
function cornerOf(marks: readonly Mark[]): number {
  const low = Math.min(0.9, ...marks.flatMap((mark) => [mark.recall, mark.precision]).filter((value) => value > 0.85));
  return Math.floor(low * 20) / 20;
}

function panel({ curves, marks, from, title }: { curves: readonly Curve[]; marks: readonly Mark[]; from: number; title: string }) {
  const rows = curves.flatMap((curve) => curve.points.map((point) => ({ ...point, name: curve.name })));
  const names = curves.map((curve) => curve.name);
  const axis = { format: '.0%', values: ticks(from) };
  const scale = { domain: [from, 1 + (1 - from) * (from === 0 ? 0.015 : 0.08)], nice: false };
  const x = { field: 'recall', type: 'quantitative', scale, axis, title: 'recall: true pairs found' };
  const y = { field: 'precision', type: 'quantitative', scale, axis, title: from === 0 ? 'precision: pairs that are right' : null };
  return {
    title,
    width: 300,
    height: 300,
    layer: [
      {
        data: { values: rows },
        mark: { type: 'line', clip: true, interpolate: 'linear' },
        encoding: {
          x,
          y,
          order: { field: 'recall' },
          color: {
            field: 'name',
            scale: { domain: names, range: curves.map((curve) => colours[curve.style]) },
            legend: { orient: 'bottom', columns: 1, symbolType: 'stroke', symbolStrokeWidth: 3, offset: 14, labelLimit: 420 },
          },
          strokeDash: {
            field: 'name',
            scale: { domain: names, range: curves.map((curve) => ({ ours: [1, 0], middle: [8, 3], base: [3, 3] })[curve.style]) },
          },
        },
      },
      ...marks.filter((mark) => mark.recall >= from && mark.precision >= from).flatMap((mark) => markLayers(mark, { x, y, from })),
    ],
  };
}

const sides = {
  left: { dx: -11, dy: 0, align: 'right' },
  right: { dx: 11, dy: 0, align: 'left' },
  'above-left': { dx: 4, dy: -17, align: 'right' },
  'below-left': { dx: -9, dy: 15, align: 'right' },
};

/** A point and its name; the name turns to the right where it would run out of the panel. */
function markLayers(mark: Mark, { x, y, from }: { x: object; y: object; from: number }) {
  const side = (mark.recall - from) / (1 - from) < 0.3 ? 'right' : (mark.side ?? 'left');
  const color = mark.style === 'ours' ? palette.blue : palette.orange;
  const shape = mark.style === 'ours' ? 'circle' : 'diamond';
  const text = { type: 'text', text: mark.label.split('\n'), ...sides[side], baseline: 'middle', fontWeight: 600, lineHeight: 15 };
  const [data, encoding] = [{ values: [mark] }, { x, y }];
  return [
    { data, mark: { type: 'point', shape, color, stroke: 'white', strokeWidth: 1.5, size: 140 }, encoding },
    { data, mark: { ...text, color: 'white', stroke: 'white', strokeWidth: 4 }, encoding },
    { data, mark: { ...text, color }, encoding },
  ];
}

function ticks(from: number): number[] {
  const step = from === 0 ? 0.25 : from < 0.9 ? 0.05 : 0.02;
  return Array.from({ length: Math.round((1 - from) / step) + 1 }, (_, i) => Math.round((from + i * step) * 1000) / 1000);
}

function percent(value: number): string {
  return `${Math.round(value * 100)} %`;
}
