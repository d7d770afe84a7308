// A run's log, sent to an MLflow server so that everything is there exactly once, however often and wherever the sending is broken off and
// begun again: by a kill, a lost answer, from a copy of the folder on another machine.
//
// - The run on the server is the one that carries our run's id as a tag (`clinfuse.run_id`); it is looked for before it is made.
// - A second tag (`clinfuse.pushed_events`) counts the lines of the log that are there. It goes in the same request as the figures.
// - A figure is known by key and step. What a server holds is read before the first figures go to a run that was there already, and again
//   whenever no answer came: only what is missing is sent. So a server that took the figures but not the tag, or whose answer was lost, gets none twice.
//   After a rewind, steps told anew are not sent anew: MLflow cannot forget, and they are the same figures.
// - Params are write-once: another value (a resumed run may change a few settings) becomes the tag `param.NAME`. Tags, files and the
//   end may be sent twice without harm.
//
// MLflow takes 6000 characters of a param and 8000 of a tag: the beginning goes there, the whole as the file params/NAME.txt.
// One process at a time pushes a run from one folder: `push.lock` holds its number.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { writeJson } from '../base/files.ts';
import type { MlflowClient } from './mlflow-client.ts';
import { createRun, deleteRun, experimentId, keyOf, runsTagged, type ServerRun } from './mlflow-runs.ts';
import { type Line, type Sent, send } from './mlflow-send.ts';
import { type Asking, countOf, look, type Target, targetOf } from './mlflow-target.ts';
import { type EventPlace, fromStart, readEvents } from './run-events.ts';

const idTag = 'clinfuse.run_id';

export type PushOptions = {
  readonly client: MlflowClient;
  /** Instead of the run's own. */
  readonly experiment?: string | undefined;
  /** Whether a process of this machine is at work, by its number. */
  readonly isRunning: (pid: number) => boolean;
};

export type Pushed = Sent & {
  readonly runId: string;
  readonly experimentId: string;
  /** Lines of the log that the server has. */
  readonly events: number;
};

export type RunPush = {
  /** Sends what has come since. */
  readonly push: (signal?: AbortSignal) => Promise<Pushed>;
  readonly close: () => void;
};

const pushedFile = z.record(z.string(), z.object({ runId: z.string(), experimentId: z.string(), events: z.number() }));

/** Which servers a run was sent to, by their addresses: where it is there, and how many lines of its log. */
export function readPushed(folder: string): z.infer<typeof pushedFile> {
  const file = join(folder, 'pushed.json');
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
  let joined: Joined | undefined;
  return {
    push: async (signal) => {
      const { events, end } = readEvents(folder, place);
      pending.push(...events.map((event, at) => ({ event, number: place.lines + at + 1 })));
      place = end;
      joined ??= await joinRun(pending, { client, experiment, folder, signal });
      const { target } = joined;
      pending = pending.filter(({ number }) => number > target.events);
      if (joined.unread.length > 0 && pending.some(({ event }) => event.kind === 'metrics')) {
        await look(target, joined.unread, { client, signal });
        joined = { target, unread: [] };
      }
      const done = await send(withoutRewound(pending), { folder, client, target, end: end.lines, signal });
      pending = [];
      const there = { runId: target.run.info.run_id, experimentId: target.run.info.experiment_id, events: target.events };
      await writeJson(join(folder, 'pushed.json'), { ...readPushed(folder), [client.address]: there });
      return { ...there, ...done };
    },
    close: release,
  };
}

type Joined = {
  readonly target: Target;
  /** Metrics of a run that was there before: what the server has of them is not read yet. */
  readonly unread: readonly string[];
};

/** Finds or makes the run on the server. */
async function joinRun(
  lines: readonly Line[],
  { client, experiment, folder, signal }: Asking & { readonly folder: string; readonly experiment: string | undefined },
): Promise<Joined> {
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
    const body = {
      experiment_id: id,
      run_name: created.name,
      start_time: Math.round(created.time),
      tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
    };
    const made = await createRun(client, async (attempt) => (attempt > 0 && (run = await find()) ? undefined : body), signal);
    run ??= made!.run;
  }
  const target = targetOf(run);
  return { target, unread: isNew ? [] : metricKeys(lines) };
}

const metricKeys = (lines: readonly Line[]): string[] => [
  ...new Set(lines.flatMap(({ event }) => (event.kind === 'metrics' ? Object.keys(event.values).map(keyOf) : []))),
];

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

/** @returns what gives the lock back. A lock of another machine came with the folder and holds nobody back. */
function lock(folder: string, isRunning: (pid: number) => boolean): () => void {
  const file = join(folder, 'push.lock');
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
