// A curve in characters, for a terminal: every character is a Braille cell of 2 by 4 dots, so that 60 by 10 characters show 120 by 40 points.
//
//   dot (column, row) of a cell -> bit   0,0: 1   0,1: 2   0,2: 4   0,3: 64
//                                        1,0: 8   1,1: 16  1,2: 32  1,3: 128      character = U+2800 + bits

import { rangeOf } from './curve-points.ts';

const bits = [
  [1, 2, 4, 64],
  [8, 16, 32, 128],
] as const;

export type PlotOptions = {
  /** Characters of the drawing, without its axes. */
  readonly width?: number;
  readonly height?: number;
  /** What the axes span; plots that are to be compared share it. */
  readonly steps?: readonly [number, number];
  readonly values?: readonly [number, number];
};

type Point = { readonly step: number; readonly value: number };

/** What one or more curves span, but for a few spikes. */
export function spanOf(curves: readonly (readonly Point[])[]): Required<Pick<PlotOptions, 'steps' | 'values'>> {
  const points = curves.flat().filter(({ value }) => Number.isFinite(value));
  const steps = points.map(({ step }) => step);
  // Of few points every one counts; of many, at least where they end.
  const whole = curves.flatMap((curve) => curve.slice(curve.length <= 40 ? 0 : -1).map(({ value }) => value)).filter(Number.isFinite);
  return {
    steps: [steps.reduce((low, step) => Math.min(low, step), steps[0] ?? 0), steps.reduce((high, step) => Math.max(high, step), 1)],
    values: rangeOf(
      points.map(({ value }) => value),
      whole,
    ),
  };
}

/** Draws one curve; figures that are not finite break it. Lines of text, without an end of line after the last. */
export function terminalPlot(points: readonly Point[], options: PlotOptions = {}): string {
  const { width = 64, height = 10 } = options;
  const {
    steps: [first, last],
    values: [bottom, top],
  } = { ...spanOf([points]), ...options };
  const cells = Array.from({ length: height }, () => new Uint8Array(width));
  const [right, floor] = [2 * width - 1, 4 * height - 1];
  const dot = (x: number, y: number) => {
    if (x < 0 || y < 0 || x > right || y > floor) return;
    cells[y >> 2]![x >> 1]! |= bits[x & 1]![y & 3]!;
  };
  const placed = points.map(({ step, value }) => ({
    x: Math.round((right * (step - first)) / (last - first || 1)),
    // A spike may lie as far outside as it likes; it is drawn to the edge.
    y: Math.max(-floor, Math.min(2 * floor, Math.round((floor * (top - value)) / (top - bottom || 1)))),
  }));
  for (const [i, to] of placed.entries()) {
    const from = placed[i - 1];
    if (!Number.isFinite(to.y)) continue;
    if (from && Number.isFinite(from.y)) drawLine(from, to, dot);
    else dot(to.x, to.y);
  }
  return framed(cells, { bottom, top, first, last });
}

type Place = { readonly x: number; readonly y: number };

function drawLine(from: Place, to: Place, dot: (x: number, y: number) => void): void {
  const length = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y), 1);
  for (let at = 0; at <= length; at++) {
    dot(Math.round(from.x + ((to.x - from.x) * at) / length), Math.round(from.y + ((to.y - from.y) * at) / length));
  }
}

function framed(
  cells: readonly Uint8Array[],
  { bottom, top, first, last }: { readonly bottom: number; readonly top: number; readonly first: number; readonly last: number },
): string {
  const width = cells[0]!.length;
  const middle = Math.floor((cells.length - 1) / 2);
  const valueAt = (row: number) => top - ((top - bottom) * (row + 0.5)) / cells.length;
  const labels = cells.map((_, row) => (row === 0 || row === middle || row === cells.length - 1 ? shortNumber(valueAt(row)) : ''));
  const gutter = Math.max(...labels.map((label) => label.length));
  const rows = cells.map((row, at) => {
    const drawn = String.fromCodePoint(...[...row].map((cell) => 0x2800 + cell)).trimEnd();
    return `${labels[at]!.padStart(gutter)} ${labels[at] ? '┤' : '│'}${drawn.replace(/\u2800+$/, '')}`;
  });
  const [start, end] = [String(first), String(last)];
  const axis = `${' '.repeat(gutter)} └${'─'.repeat(width)}`;
  const steps = `${' '.repeat(gutter + 2)}${start}${end.padStart(width - start.length)}`;
  return [...rows, axis, steps].join('\n');
}

/** Four digits that mean something: 2.345, 0.0001234, 1.2e-7. */
function shortNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(1) : value.toPrecision(4);
}
