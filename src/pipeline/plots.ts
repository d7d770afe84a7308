// What `plots:` asks to be drawn, as series of points.
//
//   a.csv                          its last column over the row's number
//   a.csv: {x: step, y: [a, b]}    two columns over a third
//   page: {x: {a.csv: step}, y: {a.csv: loss, b.csv: loss}}   columns of several files, x of one file for all or one for each
//
// Source of the defaults: DVC, dvc/render/converter/vega.py.

import { extname, relative, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import type { ParameterValue } from './lock-entry.ts';
import type { Row, Rows } from './rows.ts';
import type { Pipeline } from './stage.ts';

export type PlotPoint = { readonly x: number | string; readonly y: number | string };

export type PlotSeries = { readonly name: string; readonly points: readonly PlotPoint[] };

export const plotTemplates = ['linear', 'simple', 'smooth', 'scatter', 'confusion', 'confusion_normalized'] as const;

export type Plot = {
  readonly id: string;
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly template: (typeof plotTemplates)[number];
  readonly series: readonly PlotSeries[];
};

/** One entry of `plots:`; paths in it relative to the pipeline's folder. */
export type PlotDefinition = { readonly id: string; readonly properties: Readonly<Record<string, unknown>> };

/** A column of a file. */
type Column = { readonly file: string; readonly column: string };

/** Entries of the top level, and outputs of stages that are not among them. */
export function plotDefinitions({ folder, stages, plots }: Pipeline): readonly PlotDefinition[] {
  const inFolder = (path: string) => relative(folder, resolve(folder, path));
  const definitions = new Map(plots.map(({ path, plot }) => [isPage(plot) ? path : inFolder(path), plot]));
  for (const { workdir, outputs } of stages) {
    for (const { path, plot } of outputs.filter(({ role }) => role === 'plot')) {
      const id = relative(folder, resolve(workdir, path));
      if (!definitions.has(id)) definitions.set(id, plot ?? {});
    }
  }
  return [...definitions].map(([id, properties]) => ({ id, properties }));
}

/** Whether an entry names files in `y`, and its key is but a title. */
export const isPage = (properties: PlotDefinition['properties']): boolean => isRecord(properties.y);

/** Whether a file is a picture already. */
export const isPicture = (file: string): boolean =>
  ['.png', '.svg', '.jpg', '.jpeg', '.gif', '.webp'].includes(extname(file).toLowerCase());

/** Files an entry reads. */
export function filesOf({ id, properties: { x, y } }: PlotDefinition): readonly string[] {
  return [...new Set([...(isRecord(y) ? Object.keys(y) : [id]), ...(isRecord(x) ? Object.keys(x) : [])])];
}

/**
 * The series of one entry.
 *
 * @param rows what its files hold; a file that is not there yet is left out
 * @throws UserError `pipeline.plot`: template or column unknown, files that do not fit together
 */
export function plotOf({ id, properties }: PlotDefinition, rows: ReadonlyMap<string, Rows>): Plot {
  const { x, y, title, x_label: xLabel, y_label: yLabel } = properties;
  const template = templateOf(properties.template, id);
  const ys = columnsOf(y ?? rows.get(id)?.lastColumn, id).filter(({ file }) => rows.has(file));
  const xs = typeof x === 'string' ? ys.map(({ file }) => ({ file, column: x })) : columnsOf(x, id);
  if (xs.length > 1 && xs.length !== ys.length) {
    throw new UserError('pipeline.plot', `pipeline: as many x as y wanted, or one: plots.${id}; x has ${xs.length}, y ${ys.length}`);
  }
  const names = namesOf(ys);
  const series = ys.map((column, at) => ({ name: names[at]!, points: pointsOf(column, xs.length === 1 ? xs[0] : xs[at], { rows, id }) }));
  return {
    id,
    title: textOr(title, id),
    xLabel: textOr(xLabel, oneOf(xs) ?? (xs.length > 0 ? 'x' : 'step')),
    yLabel: textOr(yLabel, oneOf(ys) ?? 'y'),
    template,
    series,
  };
}

function templateOf(wanted: unknown, id: string): Plot['template'] {
  const template = plotTemplates.find((one) => one === (wanted ?? 'linear'));
  if (template) return template;
  throw new UserError(
    'pipeline.unsupported',
    `pipeline: not supported: template ${String(wanted)} of plots.${id}; known: ${plotTemplates.join(', ')}`,
  );
}

/** `loss`, `[loss, acc]` of the entry's own file, or a map of files to such. */
function columnsOf(written: unknown, id: string): readonly Column[] {
  if (isRecord(written)) return Object.entries(written).flatMap(([file, columns]) => columnsOf(columns, file));
  const columns = Array.isArray(written) ? (written as readonly unknown[]) : written === undefined || written === null ? [] : [written];
  return columns.map((column) => ({ file: id, column: String(column) }));
}

function pointsOf(
  y: Column,
  x: Column | undefined,
  { rows, id }: { readonly rows: ReadonlyMap<string, Rows>; readonly id: string },
): readonly PlotPoint[] {
  const ofY = rows.get(y.file)!.rows;
  const ofX = x && rows.get(x.file)?.rows;
  if (x && !ofX) throw new UserError('pipeline.plot', `pipeline: file not found: ${x.file} of plots.${id}; run the stage that writes it`);
  if (ofX && ofX.length !== ofY.length) {
    throw new UserError(
      'pipeline.plot',
      `pipeline: columns differ in length: plots.${id}: ${x.column} has ${ofX.length}, ${y.column} ${ofY.length}`,
    );
  }
  refuseUnknown(y, ofY);
  if (x && ofX) refuseUnknown(x, ofX);
  return ofY.flatMap((row, at) => {
    const value = pointValue(row.get(y.column));
    const place = x && ofX ? pointValue(ofX[at]!.get(x.column)) : at;
    return value === undefined || place === undefined ? [] : [{ x: place, y: value }];
  });
}

function refuseUnknown({ file, column }: Column, rows: readonly Row[]): void {
  if (rows.length === 0 || rows.some((row) => row.has(column))) return;
  const known = [...rows[0]!.keys()];
  const near = nearest(column, known);
  throw new UserError(
    'pipeline.plot',
    `pipeline: column not found: ${column} in ${file}; ${near ? `did you mean ${near}?` : `it has: ${known.join(', ')}`}`,
  );
}

/** A number where it reads as one, text else; nothing for what is missing or no number at all (`nan`). */
function pointValue(value: ParameterValue | undefined): number | string | undefined {
  if (value === undefined || value === null || typeof value === 'object' || value === '') return undefined;
  const number = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
  if (Number.isFinite(number)) return number;
  return typeof value === 'string' && !/^[-+]?(nan|inf(inity)?)$/i.test(value) ? value : undefined;
}

/** Each series by its column, by its file, or by both: whatever tells them apart. */
function namesOf(columns: readonly Column[]): readonly string[] {
  const files = new Set(columns.map(({ file }) => file)).size;
  const names = new Set(columns.map(({ column }) => column)).size;
  return columns.map(({ file, column }) => (files === 1 ? column : names === 1 ? file : `${file}: ${column}`));
}

/** The one name all columns share. */
function oneOf(columns: readonly Column[]): string | undefined {
  const names = new Set(columns.map(({ column }) => column));
  return names.size === 1 ? [...names][0] : undefined;
}

const textOr = (value: unknown, fallback: string): string => (typeof value === 'string' ? value : fallback);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
