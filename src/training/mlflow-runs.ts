// Experiments and runs of an MLflow server: what is asked and what is answered, with MLflow's names and limits.

import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import type { MlflowClient } from './mlflow-client.ts';
import { jsonNumber, numberFromJson } from './run-events.ts';
import type { Metric } from './tracking.ts';

/** What one `log-batch` may hold (mlflow/utils/validation.py), and how long texts may be, in characters. */
export const limits = { metrics: 1000, params: 100, tags: 100, entities: 1000, bytes: 900_000, param: 6000, tag: 8000, key: 250 } as const;

type Pair = { readonly key: string; readonly value: string };

const pairs = z.array(z.object({ key: z.string(), value: z.string().default('') })).default([]);
const serverRun = z.object({
  info: z.object({
    run_id: z.string(),
    experiment_id: z.string(),
    artifact_uri: z.string().default(''),
    lifecycle_stage: z.string().default('active'),
    status: z.string().default('RUNNING'),
  }),
  data: z.object({ params: pairs, tags: pairs }).default({ params: [], tags: [] }),
});
const historyPage = z.object({
  metrics: z
    .array(
      z.object({ key: z.string(), value: numberFromJson.default(0), timestamp: z.coerce.number(), step: z.coerce.number().default(0) }),
    )
    .default([]),
  next_page_token: z.string().optional(),
});
const anything = z.looseObject({});

export type ServerRun = z.infer<typeof serverRun>;

/**
 * The id of an experiment, which is made where there is none of the name.
 *
 * @throws UserError `mlflow.refused` where it was deleted
 */
export async function experimentId(client: MlflowClient, name: string, signal?: AbortSignal): Promise<string> {
  const found = z.object({ experiment: z.object({ experiment_id: z.string(), lifecycle_stage: z.string().default('active') }) });
  const byName = async () => {
    const query = { experiment_name: name };
    const { experiment } = (await client.call({ method: 'GET', path: 'experiments/get-by-name', query, schema: found, signal }))!;
    if (experiment.lifecycle_stage === 'active') return experiment.experiment_id;
    throw new UserError(
      'mlflow.refused',
      `mlflow: experiment is deleted: ${name}; restore it on the server, or name another with --experiment`,
    );
  };
  try {
    return await byName();
  } catch (cause) {
    if (!isCode(cause, 'mlflow.not-found')) throw cause;
  }
  try {
    // Without it MLflow's pages guess what kind of experiment this is.
    const tags = [{ key: 'mlflow.experimentKind', value: 'custom_model_development' }];
    const made = z.object({ experiment_id: z.string() });
    return (await client.call({ method: 'POST', path: 'experiments/create', body: { name, tags }, schema: made, signal }))!.experiment_id;
  } catch (cause) {
    // Made by another in the meantime, or by an attempt whose answer was lost.
    if (isCode(cause, 'mlflow.exists')) return byName();
    throw cause;
  }
}

/** Runs that carry a tag, also deleted ones, oldest first. */
export async function runsTagged(
  client: MlflowClient,
  {
    experiments,
    key,
    value,
    signal,
  }: { readonly experiments: readonly string[]; readonly key: string; readonly value: string; readonly signal?: AbortSignal | undefined },
): Promise<ServerRun[]> {
  const body = {
    experiment_ids: experiments,
    filter: `tags."${key}" = '${value}'`,
    run_view_type: 'ALL',
    max_results: 100,
    order_by: ['attributes.start_time ASC'],
  };
  const schema = z.object({ runs: z.array(serverRun).default([]) });
  return (await client.call({ method: 'POST', path: 'runs/search', body, schema, signal }))!.runs;
}

export const createRun = (client: MlflowClient, body: (attempt: number) => Promise<object | undefined>, signal?: AbortSignal) =>
  client.call({ method: 'POST', path: 'runs/create', body, schema: z.object({ run: serverRun }), signal });

export const deleteRun = (client: MlflowClient, run: string, signal?: AbortSignal) =>
  client.call({ method: 'POST', path: 'runs/delete', body: { run_id: run }, schema: anything, signal });

export const updateRun = (
  client: MlflowClient,
  change: { readonly run_id: string; readonly status: string; readonly end_time?: number },
  signal?: AbortSignal,
) => client.call({ method: 'POST', path: 'runs/update', body: change, schema: anything, signal });

export type Batch = { readonly params: readonly Pair[]; readonly metrics: readonly Metric[]; readonly tags: readonly Pair[] };

/** The body of a `log-batch`. */
export const batchBody = (run: string, { params, metrics, tags }: Batch): object => ({
  run_id: run,
  params,
  metrics: metrics.map(({ key, value, time, step }) => ({ key, value: jsonNumber(value), timestamp: time, step })),
  tags,
});

export const logBatch = (client: MlflowClient, body: (attempt: number) => Promise<object>, signal?: AbortSignal) =>
  client.call({ method: 'POST', path: 'runs/log-batch', body, schema: anything, signal });

/** All points that the server holds of one metric. */
export async function metricHistory(client: MlflowClient, run: string, key: string, signal?: AbortSignal): Promise<Metric[]> {
  const points: Metric[] = [];
  for (let token: string | undefined = ''; token !== undefined; ) {
    const query = { run_id: run, metric_key: key, max_results: '25000', ...(token && { page_token: token }) };
    const page: z.infer<typeof historyPage> = (await client.call({
      method: 'GET',
      path: 'metrics/get-history',
      query,
      schema: historyPage,
      signal,
    }))!;
    for (const { value, timestamp, step } of page.metrics) points.push({ key, value, time: timestamp, step });
    token = page.next_page_token || undefined;
  }
  return points;
}

/** A name as MLflow takes it: what it does not allow is spelt out by number, and the end of a very long one is left out. */
export const keyOf = (name: string): string =>
  name.replace(/[^\w\-. :/]/g, (sign) => `_x${sign.charCodeAt(0).toString(16)}`).slice(0, limits.key);

/** A text as MLflow takes it; one that is too long is cut and says so. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 80)}... (the first ${length - 80} of ${text.length} characters)`;
}

export const isCode = (cause: unknown, code: string): boolean => cause instanceof UserError && cause.code === code;
