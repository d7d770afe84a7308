// A run on a server as far as it is known here: what it is, and what it holds already.

import type { MlflowClient } from './mlflow-client.ts';
import { metricHistory, type ServerRun } from './mlflow-runs.ts';

/** The run on the server, and what is known to be there. */
export type Target = {
  readonly run: ServerRun;
  /** Lines of the log. */
  events: number;
  readonly params: Map<string, string>;
  /** Steps by key. */
  readonly points: Map<string, Set<number>>;
};

export type Asking = { readonly client: MlflowClient; readonly signal: AbortSignal | undefined };

export const pushedTag = 'clinfuse.pushed_events';

/** Lines of a log that a server's run holds, by its own account. */
export const countOf = ({ data }: ServerRun): number => Number(data.tags.find(({ key }) => key === pushedTag)?.value ?? 0);

export function targetOf(run: ServerRun): Target {
  const params = new Map(run.data.params.map(({ key, value }) => [key, value]));
  return { run, events: countOf(run), params, points: new Map() };
}

export const isThere = ({ points }: Target, { key, step }: { readonly key: string; readonly step: number }): boolean =>
  points.get(key)?.has(step) ?? false;

export function know({ points }: Target, { key, step }: { readonly key: string; readonly step: number }): void {
  const steps = points.get(key) ?? new Set();
  points.set(key, steps.add(step));
}

/** Reads which points of these metrics the server has. */
export async function look(target: Target, keys: Iterable<string>, { client, signal }: Asking): Promise<void> {
  for (const key of new Set(keys)) {
    for (const point of await metricHistory(client, target.run.info.run_id, key, signal)) know(target, point);
  }
}
