// A server on this machine that answers as MLflow does (checked against recorded exchanges in mlflow-replay.test.ts), with faults on
// demand. Unlike MLflow's database it stores a figure as often as it is told, so that a figure told twice is seen.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Pair = { key: string; value: string };
type Point = { key: string; value: number | string; timestamp: number; step: number };
export type StoredRun = {
  info: {
    run_id: string;
    experiment_id: string;
    run_name: string;
    status: string;
    start_time: number;
    end_time?: number;
    lifecycle_stage: string;
  };
  params: Map<string, string>;
  tags: Map<string, string>;
  metrics: Point[];
};
export type StoredModel = {
  versions: { version: string; source: string; run_id?: string; tags: Pair[] }[];
  aliases: Map<string, string>;
};
/** Answers in its own way and says so, or lets the request pass. `done` carries it out and gives the answer's text. */
export type Fault = (exchange: { request: IncomingMessage; response: ServerResponse; done: () => string }) => boolean;

export type MlflowServer = {
  readonly uri: string;
  readonly runs: StoredRun[];
  readonly artifacts: Map<string, string>;
  /** Registered models by name. */
  readonly models: Map<string, StoredModel>;
  /** `METHOD /path` of every request, with the authorization that came. */
  readonly requests: { readonly line: string; readonly authorization: string | undefined }[];
  /** Asked by each request from now on, in order; a hole lets one pass. */
  readonly fail: (...faults: readonly (Fault | undefined)[]) => void;
  readonly close: () => Promise<void>;
};

/** Carried out or not, the connection is cut before, or in the middle of the answer. */
export const cutBefore: Fault = ({ request }) => {
  request.socket.destroy();
  return true;
};
export const cutAfter: Fault = ({ request, done }) => {
  done();
  request.socket.destroy();
  return true;
};
export const cutWithin: Fault = ({ response, done }) => {
  const text = done();
  response.writeHead(200, { 'content-length': text.length + 20 });
  response.write(text, () => response.destroy());
  return true;
};
/** Carried out, but no answer ever comes. */
export const silent: Fault = ({ done }) => {
  done();
  return true;
};
export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}, body = ''): Fault =>
  ({ response }) => {
    response.writeHead(code, headers).end(body);
    return true;
  };

export async function mlflowServer(): Promise<MlflowServer> {
  const experiments: { experiment_id: string; name: string; lifecycle_stage: string }[] = [];
  const runs: StoredRun[] = [];
  const artifacts = new Map<string, string>();
  const models = new Map<string, StoredModel>();
  const requests: { line: string; authorization: string | undefined }[] = [];
  let faults: (Fault | undefined)[] = [];

  const runOf = (id: unknown) =>
    runs.find(({ info }) => info.run_id === id) ?? refuse(404, 'RESOURCE_DOES_NOT_EXIST', `Run with id=${id} not found`);
  const modelOf = (name: unknown) =>
    models.get(String(name)) ?? refuse(404, 'RESOURCE_DOES_NOT_EXIST', `Registered Model with name=${name} not found`);
  const told = (run: StoredRun) => ({
    info: { ...run.info, artifact_uri: `mlflow-artifacts:/${run.info.experiment_id}/${run.info.run_id}/artifacts` },
    data: { params: pairsOf(run.params), tags: pairsOf(run.tags) },
  });
  const answers: Readonly<Record<string, (body: Record<string, unknown>, query: URLSearchParams) => object>> = {
    'GET experiments/get-by-name': (_, query) => {
      const found = experiments.find(({ name }) => name === query.get('experiment_name'));
      return found ? { experiment: found } : refuse(404, 'RESOURCE_DOES_NOT_EXIST', 'Could not find experiment');
    },
    'POST experiments/create': ({ name }) => {
      if (experiments.some((one) => one.name === name)) refuse(400, 'RESOURCE_ALREADY_EXISTS', 'Experiment already exists');
      experiments.push({ experiment_id: String(experiments.length + 1), name: String(name), lifecycle_stage: 'active' });
      return { experiment_id: String(experiments.length) };
    },
    'POST runs/search': ({ experiment_ids, filter }) => {
      const [, key, value] = /^tags\."(.+)" = '(.+)'$/.exec(String(filter))!;
      const found = runs.filter(({ info, tags }) => (experiment_ids as string[]).includes(info.experiment_id) && tags.get(key!) === value);
      return found.length > 0 ? { runs: found.map(told) } : {};
    },
    'POST runs/create': ({ experiment_id, run_name, start_time, tags }) => {
      const run_id = (runs.length + 1).toString(16).padStart(32, '0');
      const info = {
        run_id,
        experiment_id: String(experiment_id),
        run_name: String(run_name),
        status: 'RUNNING',
        start_time: Number(start_time),
      };
      const run = { info: { ...info, lifecycle_stage: 'active' }, params: new Map(), tags: mapOf(tags as Pair[]), metrics: [] };
      runs.push(run);
      return { run: told(run) };
    },
    'POST runs/delete': ({ run_id }) => changed(runOf(run_id), { lifecycle_stage: 'deleted' }),
    'POST runs/update': ({ run_id, ...change }) => changed(runOf(run_id), change),
    'POST runs/log-batch': (body) => {
      const [metrics, params, tags] = [body['metrics'] as Point[], body['params'] as Pair[], body['tags'] as Pair[]];
      const run = runOf(body['run_id']);
      const size = metrics.length + params.length + tags.length;
      const isLong = params.some(({ value }) => value.length > 6000) || tags.some(({ value }) => value.length > 8000);
      if (metrics.length > 1000 || params.length > 100 || tags.length > 100 || size > 1000 || isLong)
        refuse(400, 'INVALID_PARAMETER_VALUE', 'Too much');
      for (const { key, value } of params) {
        if ((run.params.get(key) ?? value) !== value) refuse(400, 'INVALID_PARAMETER_VALUE', 'Changing param values is not allowed');
        run.params.set(key, value);
      }
      run.metrics.push(...metrics);
      for (const { key, value } of tags) run.tags.set(key, value);
      return {};
    },
    'GET metrics/get-history': (_, query) => {
      const found = runOf(query.get('run_id')).metrics.filter(({ key }) => key === query.get('metric_key'));
      // Small pages, so that every test turns them.
      const at = Number(query.get('page_token') ?? 0);
      return { metrics: found.slice(at, at + 3), ...(found.length > at + 3 && { next_page_token: String(at + 3) }) };
    },
    'POST registered-models/create': ({ name }) => {
      if (models.has(String(name))) refuse(400, 'RESOURCE_ALREADY_EXISTS', 'Registered Model already exists');
      models.set(String(name), { versions: [], aliases: new Map() });
      return {};
    },
    'POST model-versions/create': ({ name, source, run_id, tags }) => {
      const run = runOf(run_id);
      if (!String(source).startsWith(`runs:/${run.info.run_id}/`)) refuse(400, 'INVALID_PARAMETER_VALUE', 'Invalid model version source');
      const { versions } = modelOf(name);
      const made = { version: String(versions.length + 1), source: String(source), run_id: run.info.run_id, tags: tags as Pair[] };
      versions.push(made);
      return { model_version: made };
    },
    'GET model-versions/search': (_, query) => {
      const [, name, key, value] = /^name = '(.+)' and tags\.`(.+)` = '(.+)'$/.exec(query.get('filter')!)!;
      const found = modelOf(name).versions.filter(({ tags }) => tags.some((tag) => tag.key === key && tag.value === value));
      return { model_versions: found };
    },
    'POST registered-models/alias': ({ name, alias, version }) => {
      modelOf(name).aliases.set(String(alias), String(version));
      return {};
    },
    'GET registered-models/alias': (_, query) => {
      const { aliases, versions } = modelOf(query.get('name'));
      const found = versions.find(({ version }) => version === aliases.get(query.get('alias')!));
      return found ? { model_version: found } : refuse(400, 'INVALID_PARAMETER_VALUE', 'Registered model alias champion not found.');
    },
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://server');
    requests.push({ line: `${request.method} ${url.pathname}`, authorization: request.headers.authorization });
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const text = Buffer.concat(chunks).toString();
    const done = () => {
      const file = /^\/api\/2\.0\/mlflow-artifacts\/artifacts\/(.+)$/.exec(url.pathname);
      if (file) artifacts.set(decodeURIComponent(file[1]!), text);
      const answer = answers[`${request.method} ${url.pathname.replace('/api/2.0/mlflow/', '')}`];
      return JSON.stringify(file ? {} : answer!(text ? JSON.parse(text) : {}, url.searchParams));
    };
    const fault = faults.shift();
    try {
      if (fault?.({ request, response, done: () => orRefusal(done) })) return;
      const answer = done();
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
    } catch (cause) {
      const { code, body } = cause as { code?: number; body?: object };
      response.writeHead(code ?? 404).end(JSON.stringify(body ?? {}));
    }
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ runs, artifacts, models, requests },
    fail: (...next) => void (faults = [...next]),
    close: () =>
      new Promise((closed) => {
        server.closeAllConnections();
        server.close(() => closed());
      }),
  };
}

const pairsOf = (values: ReadonlyMap<string, string>) => [...values].map(([key, value]) => ({ key, value }));
const mapOf = (pairs: readonly Pair[]) => new Map(pairs.map(({ key, value }) => [key, value]));

function refuse(code: number, error_code: string, message: string): never {
  throw Object.assign(new Error(message), { code, body: { error_code, message } });
}

function changed({ info }: StoredRun, change: object): object {
  Object.assign(info, change);
  return {};
}

function orRefusal(done: () => string): string {
  try {
    return done();
  } catch (cause) {
    return JSON.stringify((cause as { body?: object }).body);
  }
}
