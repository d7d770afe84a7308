// One panel per comparison (down) and session (across): the weight of each level from the start through every iteration. Lines carry their level's
// number at the end, so that neither colour nor dash is needed to tell them apart; the numbers stand with their names at the left.

import { thousands } from '../base/text.ts';
import type { ChartSpec } from './render.ts';
import { shorten, textWidth, wrapText } from './text-width.ts';
import { palette, percentLabel, titleOver } from './theme.ts';
import { clipWeight, weightTicks } from './weight.ts';

export type SessionHistory = {
  readonly rule: string;
  readonly pairs: number;
  readonly iterations: number;
  readonly converged: boolean;
  /** Largest move of any parameter in the last iteration. */
  readonly lastChange: number;
  /** Share of the rule's pairs that match, at the start and after each iteration. */
  readonly prior: readonly number[];
  /** Weight of each level that is not for missing values, likewise; null where no match was on the level. */
  readonly comparisons: readonly {
    readonly name: string;
    readonly levels: readonly { readonly label: string; readonly weights: readonly (number | null)[] }[];
  }[];
};

type Path = { readonly number: number; readonly values: readonly (number | null)[] };

const panelWidth = 170;
const lineHeight = 15;
const widestName = 300;
const gap = { row: 36, column: 50 };

/** How EM went, session by session: each level's weight and the share of matches over the iterations, and whether it converged. */
export function emHistoryChart({ sessions, source }: { readonly sessions: readonly SessionHistory[]; readonly source: string }): ChartSpec {
  const names = [...new Set(sessions.flatMap(({ comparisons }) => comparisons.map(({ name }) => name)))];
  const rows: Row[] = [
    {
      name: 'share of matches',
      labels: ['among the pairs of the rule'],
      paths: sessions.map(({ prior }) => [{ number: 1, values: prior }]),
      isShare: true,
    },
    ...names.map((name) => {
      const found = sessions.map(({ comparisons }) => comparisons.find((one) => one.name === name)?.levels);
      return {
        name,
        labels: (found.find((levels) => levels !== undefined) ?? []).map(({ label }, at) => `${at + 1}  ${label}`),
        paths: found.map((levels) => levels?.map(({ weights }, at) => ({ number: at + 1, values: weights.map(drawnWeight) }))),
        isShare: false,
      };
    }),
  ];
  const gutter = Math.ceil(
    Math.max(...rows.flatMap(({ name, labels }) => [textWidth(name, 12, true), ...labels.map((label) => textWidth(label, 12))])),
  );
  const namesWidth = Math.min(widestName, gutter) + 28;
  const ended = rows.some(({ paths }) => paths.some((one) => one?.some(({ values }) => values.includes(null))));
  const note = ended ? `${source} × ends the line of a level that no match was on from there.` : source;
  const iterations = Math.max(1, ...sessions.map(({ prior }) => prior.length - 1));
  return {
    ...titleOver('How expectation maximisation went', note, namesWidth + sessions.length * (panelWidth + gap.column)),
    concat: rows.flatMap((row, r) => [
      namesPanel(row, namesWidth),
      ...row.paths.map((paths, s) => ({
        ...(r === 0 ? { title: headingOf(sessions[s]!) } : {}),
        ...(paths
          ? pathsPanel(paths, row, {
              iterations,
              isFirst: row.paths.slice(0, s).every((one) => one === undefined),
              isLast: rows.slice(r + 1).every((one) => one.paths[s] === undefined),
            })
          : untrainedPanel(heightOf(row))),
      })),
    ]),
    columns: sessions.length + 1,
    spacing: gap,
    bounds: 'flush',
    align: 'each',
  } as unknown as ChartSpec;
}

/** One comparison in all sessions; a session that did not train it has no paths. All panels of a row have one scale. */
type Row = {
  readonly name: string;
  readonly labels: readonly string[];
  readonly paths: readonly (readonly Path[] | undefined)[];
  readonly isShare: boolean;
};

function heightOf({ labels }: Row): number {
  return Math.max(74, (labels.length + 1) * lineHeight + 8);
}

function domainOf({ paths, isShare }: Row): readonly [number, number] {
  if (isShare) return [0, 1];
  const values = paths.flatMap((one) => (one ?? []).flatMap((path) => path.values.filter((value) => value !== null)));
  return [Math.floor(Math.min(0, ...values)) - 0.5, Math.ceil(Math.max(0, ...values)) + 0.5];
}

function drawnWeight(weight: number | null): number | null {
  return weight === null ? null : clipWeight(weight);
}

function headingOf({ rule, pairs, iterations, converged, lastChange }: SessionHistory) {
  const end = converged ? `${iterations} iterations: converged` : `${iterations} iterations: NOT converged`;
  return {
    text: wrapText(`EM on ${rule}`, panelWidth + 20, 12, true),
    subtitle: [`${thousands(pairs)} pairs`, end, `last change ${lastChange.toPrecision(2)}`],
    fontSize: 12,
    offset: 12,
  };
}

function namesPanel(row: Row, width: number): object {
  const { name, labels } = row;
  const height = heightOf(row);
  const lines = [name, ...labels].map((text, i) => ({
    text: shorten(text, widestName, 12, i === 0),
    at: 8 + i * lineHeight,
    isName: i === 0,
  }));
  const text = { type: 'text', align: 'left', fontSize: 12 };
  const encoding = {
    x: { value: 0 },
    y: { field: 'at', type: 'quantitative', scale: { domain: [0, height], reverse: true, nice: false }, axis: null },
    text: { field: 'text' },
  };
  return {
    width,
    height,
    data: { values: lines },
    layer: [
      { transform: [{ filter: 'datum.isName' }], mark: { ...text, fontWeight: 600 }, encoding },
      { transform: [{ filter: '!datum.isName' }], mark: { ...text, color: palette.muted }, encoding },
    ],
  };
}

function untrainedPanel(height: number): object {
  return {
    width: panelWidth,
    height,
    data: { values: [{ text: 'not trained here' }] },
    mark: { type: 'text', color: palette.muted, align: 'left' },
    encoding: { x: { value: 0 }, y: { value: height / 2 }, text: { field: 'text' } },
  };
}

/** From the best level (dark) to the worst; the last, mostly “anything else”, in the colour of evidence against. */
function lookOf(number: number, count: number): { readonly colour: string; readonly dash: readonly number[] } {
  if (count > 1 && number === count) return { colour: palette.orange, dash: [1, 0] };
  const looks = [
    { colour: palette.blue, dash: [1, 0] },
    { colour: palette.blue, dash: [6, 3] },
    { colour: palette.blue, dash: [2, 3] },
    { colour: palette.muted, dash: [1, 0] },
    { colour: palette.muted, dash: [6, 3] },
    { colour: palette.muted, dash: [2, 3] },
  ];
  return looks[(number - 1) % looks.length]!;
}

function pathsPanel(
  paths: readonly Path[],
  row: Row,
  { iterations, isFirst, isLast }: { readonly iterations: number; readonly isFirst: boolean; readonly isLast: boolean },
): object {
  const { isShare } = row;
  const [height, domain] = [heightOf(row), domainOf(row)];
  const step = Math.max(1, Math.ceil(iterations / 5));
  const ticks = Array.from({ length: Math.floor(iterations / step) + 1 }, (_, i) => i * step);
  const x = {
    field: 'iteration',
    type: 'quantitative',
    scale: { domain: [0, iterations], nice: false },
    axis: { values: ticks, labelFontSize: 11, format: 'd' },
    title: isLast ? 'iteration' : null,
  };
  const shareAxis = { values: [0, 0.5, 1], labelExpr: percentLabel, labelFontSize: 11 };
  const y = {
    field: 'value',
    type: 'quantitative',
    scale: { domain, nice: false },
    axis: isShare ? shareAxis : { values: thinned(weightTicks(...domain), height), labelFontSize: 11 },
    title: isFirst ? (isShare ? 'share' : 'weight') : null,
  };
  const drawn = paths.map(({ number, values }) => ({
    ...lookOf(number, paths.length),
    rows: values.flatMap((value, iteration) => (value === null ? [] : [{ iteration, value }])),
    number: values.includes(null) ? `${number} ×` : String(number),
  }));
  const layer = drawn.map(({ colour, dash, rows }) => ({
    data: { values: rows },
    mark: { type: 'line', color: colour, strokeDash: dash, strokeWidth: 1.8 },
    encoding: { x, y, order: { field: 'iteration' } },
  }));
  const ends = spread(
    drawn.flatMap(({ rows, number, colour }) => (rows.length > 0 ? [{ ...rows.at(-1)!, text: number, colour }] : [])),
    ((domain[1] - domain[0]) / height) * 11,
  );
  const label = {
    data: { values: isShare ? [] : ends },
    mark: { type: 'text', align: 'left', dx: 5, fontSize: 10.5, fontWeight: 600 },
    encoding: { x, y: { ...y, field: 'at' }, text: { field: 'text' }, color: { field: 'colour', scale: null } },
  };
  return { width: panelWidth, height, layer: [...layer, label] };
}

/** Every so many ticks that two labels do not touch. */
function thinned(ticks: readonly number[], height: number): number[] {
  const every = Math.max(1, Math.ceil((ticks.length * 16) / height));
  const zero = ticks.indexOf(0);
  return ticks.filter((_, i) => (i - zero) % every === 0);
}

/** Moves labels of one iteration apart until `least` lies between any two, keeping their order. */
function spread<T extends { readonly value: number; readonly iteration: number }>(labels: readonly T[], least: number) {
  const columns = [...new Set(labels.map(({ iteration }) => iteration))];
  return columns.flatMap((column) =>
    spreadColumn(
      labels.filter(({ iteration }) => iteration === column),
      least,
    ),
  );
}

function spreadColumn<T extends { readonly value: number }>(labels: readonly T[], least: number): (T & { readonly at: number })[] {
  const placed = [...labels].sort((a, b) => a.value - b.value).map((label) => ({ ...label, at: label.value }));
  for (let round = 0; round < 50; round++) {
    for (let i = 1; i < placed.length; i++) {
      const missing = least - (placed[i]!.at - placed[i - 1]!.at);
      if (missing <= 0) continue;
      placed[i]!.at += missing / 2;
      placed[i - 1]!.at -= missing / 2;
    }
  }
  return placed;
}
