// A run's log, sent to an MLflow server so that everything is there exactly once, however often and wherever the sending is broken off and
// begun again: by a kill, a lost answer, from a copy of the folder on another machine.
//
// - The run on the server is the one that carries our run's id as a tag (`clinfuse.run_id`); it is looked for before it is made.
// - A second tag (`clinfuse.pushed_events`) counts the lines of the log that are there. It goes in the same request as the figures.
// - A figure is known by key and step. What a server holds is read once on joining a run that is there already, and again whenever no
//   answer came: only what is missing is sent. So a server that took the figures but not the tag, or whose answer was lost, gets none twice.
//   After a rewind, steps told anew are not sent anew: MLflow cannot forget, and they are the same figures.
// - Params are write-once: another value (a resumed run may change a few settings) becomes the tag `param.NAME`. Tags, files and the
//   end may be sent twice without harm.
//
// MLflow takes 6000 characters of a param and 8000 of a tag: the beginning goes there, the whole as the file params/NAME.txt.
// One process at a time pushes a run from one folder: `push.lock` holds its number.

import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import * as path from 'node:path';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { writeJson } from '../base/files.ts';
import type { MlflowClient } from './mlflow-client.ts';
import {
  type Batch,
  batchBody,
  createRun,
  cut,
  deleteRun,
  experimentId,
  keyOf,
  limits,
  logBatch,
  metricHistory,
  runsTagged,
  type ServerRun,
  updateRun,
} from './mlflow-runs.ts';
import { type EventPlace, fromStart, type RunEvent, readEvents } from './run-events.ts';
import { artifactsFolder, sha256Of } from './run-log.ts';
import type { Metric } from './tracking.ts';

const idTag = 'clinfuse.run_id';
const pushedTag = 'clinfuse.pushed_events';
const statusNames = { finished: 'FINISHED', failed: 'FAILED', killed: 'KILLED' } as const;

export type PushOptions = {
  readonly client: MlflowClient;
  /** Instead of the run's own. */
  readonly experiment?: string | undefined;
  /** Whether a process of this machine is at work, by its number. */
  readonly isRunning: (pid: number) => boolean;
};

export type Pushed = {
  readonly runId: string;
  readonly experimentId: string;
  /** Lines of the log that the server has. */
  readonly events: number;
  /** Figures and files sent this time. */
  readonly metrics: number;
  readonly files: number;
  /** Files that could not be sent, and why. */
  readonly left: readonly string[];
};

export type RunPush = {
  /** Sends what has come since. */
  readonly push: (signal?: AbortSignal) => Promise<Pushed>;
  readonly close: () => void;
};

const pushedFile = z.record(z.string(), z.object({ runId: z.string(), experimentId: z.string(), events: z.number() }));

/** Which servers a run was sent to, by their addresses: where it is there, and how many lines of its log. */
export function readPushed(folder: string): z.infer<typeof pushedFile> {
  const file = path.join(folder, 'pushed.json');
  if (!existsSync(file)) return {};
  try {
    return pushedFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    // Only told to people; the servers know better.
    return {};
  }
}

/**
 * Opens a run's folder for sending.
 *
 * @throws UserError `mlflow.locked` while another process sends it; `push`: those of `openMlflow`, `readEvents`
 */
export function openPush(folder: string, { client, experiment, isRunning }: PushOptions): RunPush {
  const release = lock(folder, isRunning);
  let place: EventPlace = fromStart;
  /** Lines that the server is not known to have. */
  let pending: Line[] = [];
  let target: Target | undefined;
  return {
    push: async (signal) => {
      const { events, end } = readEvents(folder, place);
      pending.push(...events.map((event, at) => ({ event, number: place.lines + at + 1 })));
      place = end;
      target ??= await join(pending, { client, experiment, folder, signal });
      pending = pending.filter(({ number }) => number > target!.events);
      const done = await send(withoutRewound(pending), { folder, client, target, end: end.lines, signal });
      pending = [];
      const there = { runId: target.run.info.run_id, experimentId: target.run.info.experiment_id, events: target.events };
      await writeJson(path.join(folder, 'pushed.json'), { ...readPushed(folder), [client.address]: there });
      return { ...there, ...done };
    },
    close: release,
  };
}

type Line = { readonly event: RunEvent; readonly number: number };

/** The run on the server, and what is known to be there. */
type Target = {
  readonly run: ServerRun;
  /** Lines of the log. */
  events: number;
  readonly params: Map<string, string>;
  /** Steps by key. */
  readonly points: Map<string, Set<number>>;
};

type Asking = { readonly client: MlflowClient; readonly signal: AbortSignal | undefined };

/** Finds or makes the run on the server, and learns what it has. */
async function join(
  lines: readonly Line[],
  { client, experiment, folder, signal }: Asking & { readonly folder: string; readonly experiment: string | undefined },
): Promise<Target> {
  const created = lines[0]?.event;
  if (created?.kind !== 'created') throw new UserError('tracking.malformed', `tracking: no run in ${folder} yet; push again later`);
  const before = readPushed(folder)[client.address];
  const id = await experimentId(client, experiment ?? created.experiment, signal);
  const experiments = [...new Set([id, ...(before ? [before.experimentId] : [])])];
  const find = async () => ours(await runsTagged(client, { experiments, key: idTag, value: created.id, signal }), { client, signal });
  let run = await find();
  const isNew = run === undefined;
  if (!run) {
    const tags = { [idTag]: created.id, 'mlflow.source.type': 'LOCAL', 'mlflow.source.name': 'clinfuse' };
    const body = { experiment_id: id, run_name: created.name, start_time: Math.round(created.time), tags: pairsOf(tags) };
    const made = await createRun(client, async (attempt) => (attempt > 0 && (run = await find()) ? undefined : body), signal);
    run ??= made!.run;
  }
  const target: Target = {
    run,
    events: countOf(run),
    params: new Map(run.data.params.map(({ key, value }) => [key, value])),
    points: new Map(),
  };
  const keys = new Set<string>();
  for (const { event, number } of lines) {
    if (event.kind !== 'metrics') continue;
    for (const name of Object.keys(event.values)) {
      if (number <= target.events) know(target, keyOf(name), event.step);
      else keys.add(keyOf(name));
    }
  }
  if (!isNew) await look(target, keys, { client, signal });
  return target;
}

/** Of runs with our id the one that got furthest. Others hold nothing: the request that made them was answered too late, or not at all. */
async function ours(found: readonly ServerRun[], { client, signal }: Asking): Promise<ServerRun | undefined> {
  const active = found.filter(({ info }) => info.lifecycle_stage === 'active');
  const [first, ...others] = [...active].sort((a, b) => countOf(b) - countOf(a));
  for (const other of others) if (countOf(other) === 0) await deleteRun(client, other.info.run_id, signal);
  const deleted = found.find((run) => countOf(run) > 0);
  if (!first && deleted) {
    throw new UserError(
      'mlflow.refused',
      `mlflow: run was deleted on the server: ${deleted.info.run_id}; restore it there to push it again`,
    );
  }
  return first;
}

const countOf = ({ data }: ServerRun): number => Number(data.tags.find(({ key }) => key === pushedTag)?.value ?? 0);

function know({ points }: Target, key: string, step: number): void {
  points.set(key, (points.get(key) ?? new Set()).add(step));
}

/** Reads which points of these metrics the server has. */
async function look(target: Target, keys: Iterable<string>, { client, signal }: Asking): Promise<void> {
  for (const key of keys) {
    for (const { step } of await metricHistory(client, target.run.info.run_id, key, signal)) know(target, key, step);
  }
}

/** Figures that a later line of these takes back are not sent at all. */
function withoutRewound(lines: readonly Line[]): Line[] {
  let limit = Number.POSITIVE_INFINITY;
  const kept: Line[] = [];
  for (const line of [...lines].reverse()) {
    if (line.event.kind === 'rewind') limit = Math.min(limit, line.event.step);
    if (line.event.kind !== 'metrics' || line.event.step <= limit) kept.push(line);
  }
  return kept.reverse();
}

type Sending = Asking & { readonly folder: string; readonly target: Target; readonly end: number };

async function send(
  lines: readonly Line[],
  { folder, client, target, end, signal }: Sending,
): Promise<Pick<Pushed, 'metrics' | 'files' | 'left'>> {
  const { run } = target;
  const latest = new Map(lines.flatMap(({ event, number }) => (event.kind === 'artifact' ? [[event.path, number]] : [])));
  const artifacts = artifactsOf(run);
  const left: string[] = [];
  let [metrics, files] = [0, 0];
  let batch = newBatch();

  /** Sends what is gathered; afterwards the server has all lines up to this one. */
  const flush = async (upTo: number) => {
    const params = pairsOf(Object.fromEntries(batch.params));
    const tags = pairsOf({ ...Object.fromEntries(batch.tags), [pushedTag]: String(upTo) });
    let missing = batch.metrics;
    const body = async (attempt: number) => {
      if (attempt > 0) {
        await look(target, new Set(missing.map(({ key }) => key)), { client, signal });
        missing = missing.filter(({ key, step }) => !target.points.get(key)?.has(step));
      }
      return batchBody(run.info.run_id, { params, metrics: missing, tags });
    };
    await logBatch(client, body, signal);
    for (const { key, step } of batch.metrics) know(target, key, step);
    for (const [key, value] of batch.params) target.params.set(key, value);
    metrics += batch.metrics.length;
    target.events = upTo;
    batch = newBatch();
  };
  const put = async (name: string, content: { readonly file: string } | { readonly text: string }) => {
    if (artifacts === undefined) return;
    await client.put(`${artifacts}/${name}`, content, signal);
  };
  /** Makes room for one more entry of this line. */
  const room = async (entry: unknown, number: number) => {
    const bytes = Buffer.byteLength(JSON.stringify(entry)) + 60;
    if (isFull(batch, bytes)) await flush(number - 1);
    batch.bytes += bytes;
  };
  const text = async (kind: 'params' | 'tags', name: string, value: string): Promise<string> => {
    const short = cut(value, kind === 'params' ? limits.param : limits.tag);
    if (short !== value) await put(`${kind}/${keyOf(name).replaceAll('/', '_')}.txt`, { text: value });
    return short;
  };

  for (const { event, number } of lines) {
    if (event.kind === 'params') {
      for (const [name, value] of Object.entries(event.values)) {
        const key = keyOf(name);
        const short = await text('params', name, value);
        const known = target.params.get(key) ?? batch.params.get(key);
        if (known === short) continue;
        await room([key, short], number);
        if (known === undefined) batch.params.set(key, short);
        else batch.tags.set(keyOf(`param.${name}`), short);
      }
    } else if (event.kind === 'tags') {
      for (const [name, value] of Object.entries(event.values)) {
        const short = await text('tags', name, value);
        await room([name, short], number);
        batch.tags.set(keyOf(name), short);
        if (name === 'git.commit') batch.tags.set('mlflow.source.git.commit', short);
      }
    } else if (event.kind === 'metrics') {
      for (const [name, value] of Object.entries(event.values)) {
        const metric = { key: keyOf(name), value, step: event.step, time: Math.round(event.time) };
        const point = `${metric.step} ${metric.key}`;
        if (target.points.get(metric.key)?.has(metric.step) || batch.points.has(point)) continue;
        await room(metric, number);
        batch.metrics.push(metric);
        batch.points.add(point);
      }
    } else if (event.kind === 'artifact') {
      if (latest.get(event.path) !== number) continue;
      const fault = await faultOf(folder, event);
      if (fault !== undefined) left.push(fault);
      else if (artifacts === undefined) left.push(`${event.path}: the server does not take files (${run.info.artifact_uri})`);
      else {
        await put(event.path, { file: path.join(artifactsFolder(folder), event.path) });
        files += 1;
      }
    } else if (event.kind === 'resumed') {
      await updateRun(client, { run_id: run.info.run_id, status: 'RUNNING' }, signal);
    } else if (event.kind === 'ended') {
      if (batch.bytes > 0) await flush(number - 1);
      await put('summary.json', { text: `${JSON.stringify(event.summary, null, 2)}\n` });
      await updateRun(client, { run_id: run.info.run_id, status: statusNames[event.status], end_time: Math.round(event.time) }, signal);
    }
  }
  if (target.events < end) await flush(end);
  return { metrics, files, left };
}

type Gathered = {
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;
  readonly metrics: Metric[];
  readonly points: Set<string>;
  bytes: number;
};

const newBatch = (): Gathered => ({ params: new Map(), tags: new Map(), metrics: [], points: new Set(), bytes: 0 });

/** Whether one more entry may not fit; the tag that counts lines goes with every batch, and a commit is told by two. */
function isFull({ params, tags, metrics, bytes }: Gathered, more: number): boolean {
  const entities = params.size + tags.size + metrics.length + 3;
  return params.size >= limits.params || tags.size + 3 > limits.tags || entities >= limits.entities || bytes + more > limits.bytes;
}

const pairsOf = (values: Readonly<Record<string, string>>): Batch['tags'] => Object.entries(values).map(([key, value]) => ({ key, value }));

/** Where files of a run go, below the server's own artifacts; nothing where it keeps them elsewhere. */
function artifactsOf({ info }: ServerRun): string | undefined {
  return /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.+?)\/*$/.exec(info.artifact_uri)?.[1];
}

async function faultOf(folder: string, { path: name, size, sha256 }: Extract<RunEvent, { kind: 'artifact' }>): Promise<string | undefined> {
  const file = path.join(artifactsFolder(folder), name);
  if (!existsSync(file)) return `${name}: not in the run's folder`;
  if (statSync(file).size !== size || (await sha256Of(file)) !== sha256) return `${name}: changed since the run wrote it`;
  return undefined;
}

/** @returns what gives the lock back. A lock of another machine came with the folder and holds nobody back. */
function lock(folder: string, isRunning: (pid: number) => boolean): () => void {
  const file = path.join(folder, 'push.lock');
  const own = `${process.pid} ${hostname()}`;
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(file, own, { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      const [pid, host] = existsSync(file) ? readFileSync(file, 'utf8').split(' ') : [];
      if (host === hostname() && isRunning(Number(pid))) {
        throw new UserError('mlflow.locked', `push: process ${pid} is pushing this run: ${folder}; let it end`);
      }
      rmSync(file, { force: true });
    }
  }
  throw new UserError('mlflow.locked', `push: others are pushing this run: ${folder}; let them end`);
}
