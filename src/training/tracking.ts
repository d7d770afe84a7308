// What a run leaves behind about itself. A sink gets settings, figures in batches as they come, files, and the end: it is the run's own log
// (run-log.ts), and whatever a server is told is read from there (mlflow-push.ts). `readRun` folds the log into what is known of the run.

import type { LossCurve } from '../charts/loss-curve.ts';
import { type RunEvent, readEvents } from './run-events.ts';

/** One figure of one step; `time` in milliseconds since 1970. A key has one figure for a step. */
export type Metric = { readonly step: number; readonly key: string; readonly value: number; readonly time: number };

export type RunStatus = 'finished' | 'failed' | 'killed';

/** Where a run reports to. */
export type RunSink = {
  /** Settings; a resumed run says them again. */
  readonly params: (values: Readonly<Record<string, string>>) => Promise<void>;
  readonly tags: (values: Readonly<Record<string, string>>) => Promise<void>;
  readonly metrics: (batch: readonly Metric[]) => Promise<void>;
  /** The run goes on after this step: what was reported of later ones will be reported anew. */
  readonly rewind: (step: number) => Promise<void>;
  /** A file or folder the run made. */
  readonly artifact: (path: string) => Promise<void>;
  readonly finish: (status: RunStatus, summary: Readonly<Record<string, unknown>>) => Promise<void>;
};

export type Artifact = { readonly path: string; readonly size: number; readonly sha256: string };

/** A run as its log tells it. */
export type RunRecord = {
  readonly folder: string;
  readonly id: string;
  readonly name: string;
  readonly experiment: string;
  /** `unfinished`: it goes on, or was killed without a word. */
  readonly status: RunStatus | 'unfinished';
  readonly created: number;
  /** Time of its last event. */
  readonly last: number;
  /** Time it was at work: not between an end and a resumption. */
  readonly durationMs: number;
  readonly params: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  /** Those that count, in the order they came. */
  readonly metrics: readonly Metric[];
  readonly artifacts: readonly Artifact[];
  readonly summary: Readonly<Record<string, unknown>>;
  /** Lines of the log. */
  readonly events: number;
};

/**
 * Reads a run's log.
 *
 * @throws UserError `tracking.missing`, `tracking.malformed`
 */
export function readRun(folder: string): RunRecord {
  return foldRun(folder, readEvents(folder).events);
}

function foldRun(folder: string, events: readonly RunEvent[]): RunRecord {
  const [first] = events;
  const made = first?.kind === 'created' ? first : { id: '', name: '', experiment: '', time: 0 };
  const params: Record<string, string> = {};
  const tags: Record<string, string> = {};
  const artifacts = new Map<string, Artifact>();
  let metrics: Metric[] = [];
  let status: RunRecord['status'] = 'unfinished';
  let summary: RunRecord['summary'] = {};
  let durationMs = 0;
  let last = made.time;
  for (const event of events) {
    const { time } = event;
    if (event.kind !== 'resumed') durationMs += Math.max(0, time - last);
    last = time;
    if (event.kind === 'params') Object.assign(params, event.values);
    else if (event.kind === 'tags') Object.assign(tags, event.values);
    else if (event.kind === 'metrics') {
      for (const [key, value] of Object.entries(event.values)) metrics.push({ step: event.step, key, value, time });
    } else if (event.kind === 'rewind') metrics = metrics.filter(({ step }) => step <= event.step);
    else if (event.kind === 'artifact') artifacts.set(event.path, { path: event.path, size: event.size, sha256: event.sha256 });
    else if (event.kind === 'ended') ({ status, summary } = event);
    else if (event.kind === 'resumed') [status, summary] = ['unfinished', {}];
  }
  const { id, name, experiment, time: created } = made;
  return {
    ...{ folder, id, name, experiment, status, created, last, durationMs, params, tags, metrics, summary },
    ...{ artifacts: [...artifacts.values()], events: events.length },
  };
}

/** Figures by key: step and value, in the order of steps; of two of one step the later counts. */
export function curvesOf(metrics: readonly Metric[]): ReadonlyMap<string, readonly { readonly step: number; readonly value: number }[]> {
  const byKey = new Map<string, Map<number, number>>();
  for (const { key, step, value } of metrics) {
    const points = byKey.get(key) ?? new Map<number, number>();
    byKey.set(key, points.set(step, value));
  }
  const inOrder = (points: Map<number, number>) => [...points].sort(([a], [b]) => a - b).map(([step, value]) => ({ step, value }));
  return new Map([...byKey].map(([key, points]) => [key, inOrder(points)]));
}

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
