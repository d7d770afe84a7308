// What a run leaves behind about itself. A sink gets the settings once, figures in batches as they come, files, and the end; the local
// sink is a folder, others (an MLflow server) can stand beside it.
//
//   runs/NAME/params.json      {"learningRate": "0.0002", ...}
//   runs/NAME/metrics.jsonl    {"step":1,"key":"loss","value":2.31,"time":1760000000000}   one figure a line, appended
//   runs/NAME/summary.json     {"status": "finished", ...}
//
// Figures that are not finite are written as "NaN", "Infinity", "-Infinity". A line that a killed run left unfinished is not read.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { appendText, writeJson, writeText } from '../base/files.ts';
import type { LossCurve } from '../charts/loss-curve.ts';

/** One figure of one step; `time` in milliseconds since 1970. */
export type Metric = { readonly step: number; readonly key: string; readonly value: number; readonly time: number };

export type RunStatus = 'finished' | 'failed' | 'killed';

/** Where a run reports to. */
export type RunSink = {
  /** Settings and versions, once; a resumed run says them again. */
  readonly params: (values: Readonly<Record<string, string>>) => Promise<void>;
  readonly metrics: (batch: readonly Metric[]) => Promise<void>;
  /** The run goes on after this step: what was reported of later ones will be reported anew. */
  readonly rewind: (step: number) => Promise<void>;
  /** A file or folder the run made. */
  readonly artifact: (path: string) => Promise<void>;
  readonly finish: (status: RunStatus, summary: Readonly<Record<string, unknown>>) => Promise<void>;
};

/** A number as JSON can hold it. */
export const jsonNumber = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

/** Reads what `jsonNumber` wrote. */
export const numberFromJson = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);

const metricLine = z.object({ step: z.number(), key: z.string(), value: numberFromJson, time: z.number() });

/**
 * Opens the local log of a run; its folder is made.
 *
 * @throws UserError `output.*` when something cannot be written
 */
export function openRunLog(folder: string): RunSink {
  const metricsFile = join(folder, 'metrics.jsonl');
  const artifacts: string[] = [];
  return {
    params: (values) => writeJson(join(folder, 'params.json'), values),
    metrics: async (batch) => {
      mkdirSync(folder, { recursive: true });
      appendText(metricsFile, batch.map(lineOf).join(''));
    },
    rewind: (step) => {
      const kept = existsSync(metricsFile) ? readMetrics(folder).filter((metric) => metric.step <= step) : [];
      return writeText(metricsFile, kept.map(lineOf).join(''));
    },
    artifact: async (path) => void artifacts.push(path),
    finish: (status, summary) => writeJson(join(folder, 'summary.json'), { status, ...summary, artifacts }),
  };
}

/**
 * The figures of a run, in the order they were written.
 *
 * @throws UserError `tracking.missing` where the folder holds no log, `tracking.malformed` with the line
 */
export function readMetrics(folder: string): Metric[] {
  const file = join(folder, 'metrics.jsonl');
  if (!existsSync(file)) throw new UserError('tracking.missing', `tracking: no metrics.jsonl: ${folder}; name the folder of a run`);
  const lines = readFileSync(file, 'utf8').split('\n');
  // The last part is empty, or a line that was never finished.
  return lines.slice(0, -1).map((line, at) => {
    try {
      return metricLine.parse(JSON.parse(line));
    } catch (cause) {
      throw new UserError('tracking.malformed', `tracking: not a metric: ${file}, line ${at + 1}; mend or remove the line`, { cause });
    }
  });
}

const lineOf = ({ step, key, value, time }: Metric) => `${JSON.stringify({ step, key, value: jsonNumber(value), time })}\n`;

/** What the chart of a run is drawn from. */
export function lossCurveOf(metrics: readonly Metric[]): LossCurve {
  const steps = new Map<number, Record<string, number>>();
  for (const { step, key, value } of metrics) steps.set(step, { ...steps.get(step), [key]: value });
  const rows = [...steps].map(([step, figures]) => ({ step, ...figures }) as { step: number } & Record<string, number>);
  return {
    steps: rows.flatMap(({ step, loss, learning_rate: learningRate }) =>
      loss === undefined || learningRate === undefined ? [] : [{ step, loss, learningRate }],
    ),
    evaluations: rows.flatMap(({ step, eval_loss: loss }) => (loss !== undefined && Number.isFinite(loss) ? [{ step, loss }] : [])),
    epochEnds: rows.filter(({ epoch }) => epoch !== undefined && Number.isInteger(epoch)).map(({ step }) => step),
  };
}
