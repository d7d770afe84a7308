// What each event of a log becomes on an MLflow server.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { type Entry, openOutbox } from './mlflow-batch.ts';
import { cut, keyOf, limits, type ServerRun, updateRun } from './mlflow-runs.ts';
import type { Asking, Target } from './mlflow-target.ts';
import type { RunEvent } from './run-events.ts';
import { artifactsFolder, sha256Of } from './run-log.ts';

/** An event and the number of its line. */
export type Line = { readonly event: RunEvent; readonly number: number };

export type Sent = {
  /** Figures and files. */
  readonly metrics: number;
  readonly files: number;
  /** Files that could not be sent, and why. */
  readonly left: readonly string[];
};

type Sending = Asking & {
  readonly folder: string;
  readonly target: Target;
  /** Lines of the log, these among them. */
  readonly end: number;
};

type Handlers = { readonly [K in RunEvent['kind']]: (event: Extract<RunEvent, { kind: K }>, line: number) => Promise<void> };

const statusNames = { finished: 'FINISHED', failed: 'FAILED', killed: 'KILLED' } as const;

/** Sends lines in order; where it breaks off, `target.events` says how far it came. */
export async function send(lines: readonly Line[], { folder, target, end, ...asking }: Sending): Promise<Sent> {
  const { client, signal } = asking;
  const run_id = target.run.info.run_id;
  const outbox = openOutbox(target, asking);
  const files = filesPlace(target.run);
  const newest = new Map(lines.flatMap(({ event, number }) => (event.kind === 'artifact' ? [[event.path, number] as const] : [])));
  const left: string[] = [];
  let sent = 0;

  const put = async (name: string, content: { readonly file: string } | { readonly text: string }) => {
    if (files !== undefined) await client.put(`${files}/${name}`, content, signal);
  };
  const texts = async (kind: 'param' | 'tag', values: Readonly<Record<string, string>>, line: number) => {
    for (const [name, value] of Object.entries(values)) {
      const [key, short] = [keyOf(name), cut(value, limits[kind])];
      if (short !== value) await put(`${kind}s/${key.replaceAll('/', '_')}.txt`, { text: value });
      await outbox.add({ kind, key, value: short }, line);
    }
  };

  const handlers: Handlers = {
    created: async () => {},
    rewind: async () => {},
    params: ({ values }, line) => texts('param', values, line),
    tags: async ({ values }, line) => {
      const commit = values['git.commit'];
      // The name under which MLflow itself shows it.
      await texts('tag', commit === undefined ? values : { ...values, 'mlflow.source.git.commit': commit }, line);
    },
    metrics: async ({ step, time, values }, line) => {
      for (const [name, value] of Object.entries(values)) {
        const entry: Entry = { kind: 'metric', metric: { key: keyOf(name), value, step, time: Math.round(time) } };
        await outbox.add(entry, line);
      }
    },
    artifact: async (event, line) => {
      if (newest.get(event.path) !== line) return;
      const fault = files === undefined ? `the server takes no files (${target.run.info.artifact_uri})` : await faultOf(folder, event);
      if (fault !== undefined) {
        left.push(`${event.path}: ${fault}`);
        return;
      }
      await put(event.path, { file: join(artifactsFolder(folder), event.path) });
      sent += 1;
    },
    resumed: async () => void (await updateRun(client, { run_id, status: 'RUNNING' }, signal)),
    ended: async ({ status, time, summary }, line) => {
      // A run that is told to have ended has all its figures.
      await outbox.flush(line - 1);
      await put('summary.json', { text: `${JSON.stringify(summary, null, 2)}\n` });
      await updateRun(client, { run_id, status: statusNames[status], end_time: Math.round(time) }, signal);
    },
  };
  for (const { event, number } of lines) await handlers[event.kind](event as never, number);
  if (target.events < end) await outbox.flush(end);
  return { metrics: outbox.metrics(), files: sent, left };
}

/** Where files of a run go, below the server's own artifacts; nothing where it keeps them elsewhere. */
function filesPlace({ info }: ServerRun): string | undefined {
  return /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.+?)\/*$/.exec(info.artifact_uri)?.[1];
}

async function faultOf(folder: string, { path, size, sha256 }: Extract<RunEvent, { kind: 'artifact' }>): Promise<string | undefined> {
  const file = join(artifactsFolder(folder), path);
  if (!existsSync(file)) return 'not in the run’s folder';
  if (statSync(file).size !== size || (await sha256Of(file)) !== sha256) return 'changed since the run wrote it';
  return undefined;
}
