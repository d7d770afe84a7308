// RunPod on this machine, for tests: its REST API for pods, and pods that are real processes. A pod's container is started anew when it ends,
// as RunPod does, until the pod is deleted; it knows its own id and has a key that is good for itself alone.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import type { Fault } from '../models/hub-server.ts';

export type RunpodRequest = {
  readonly name: string;
  readonly imageName: string;
  readonly dockerStartCmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
} & Readonly<Record<string, unknown>>;

type ServedPod = {
  readonly id: string;
  readonly request: RunpodRequest;
  desiredStatus: 'RUNNING' | 'EXITED';
  starts: number;
  process?: ChildProcess;
  output: string;
};

export type RunpodServer = {
  readonly endpoint: string;
  readonly pods: Map<string, ServedPod>;
  /** Every pod that ever was. */
  readonly made: ServedPod[];
  /** The most pods there were at once. */
  readonly most: () => number;
  readonly fail: (pattern: RegExp, ...faults: readonly Fault[]) => void;
  /** `METHOD /path` of every request. */
  readonly requests: string[];
  /** The machine breaks: the pod stands still, is not started again, and is still listed. */
  readonly breakDown: (id: string) => void;
  /** The container alone is killed: it is started again. */
  readonly crash: (id: string) => void;
  /** Waits until no pod is left. */
  readonly empty: () => Promise<void>;
  readonly close: () => Promise<void>;
};

export const says =
  (status: number, error: string, headers: Readonly<Record<string, string>> = {}): Fault =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ error, status }));
    return true;
  };

/** What was asked for is done, and the answer lost. */
export const lost: Fault = (_, response) => {
  response.destroy();
  return true;
};

export type RunpodServerOptions = {
  /** The account's. */
  readonly key: string;
  /** Runs `dockerStartCmd`: what the image has as its entry point. */
  readonly entry: readonly string[];
  /** Folder for the containers. */
  readonly home: string;
  /** What `{{ RUNPOD_SECRET_name }}` stands for. */
  readonly secrets?: Readonly<Record<string, string>>;
};

export async function runpodServer({ key, entry, home, secrets = {} }: RunpodServerOptions): Promise<RunpodServer> {
  const pods = new Map<string, ServedPod>();
  const made: ServedPod[] = [];
  const faults: { pattern: RegExp; left: Fault[] }[] = [];
  const requests: string[] = [];
  const waiting: (() => void)[] = [];
  let most = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;

  function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const { pathname, searchParams } = new URL(request.url!, endpoint);
    const said = `${request.method} ${pathname.replace('/v1', '')}`;
    requests.push(said);
    const json = (value: unknown, status = 200) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const again = () => answer(request, response, body);
    const fault = faults.find(({ pattern, left }) => left.length > 0 && pattern.test(said))?.left.shift();
    const given = request.headers.authorization?.replace('Bearer ', '');
    const id = /^\w+ \/pods\/(\w+)$/.exec(said)?.[1];
    if (given !== key && given !== ownKey(id ?? '')) return void json({ error: 'unauthorized', status: 401 }, 401);
    if (said === 'POST /pods') {
      if (fault && fault !== lost && fault(request, response, again)) return;
      const pod = start(JSON.parse(body) as RunpodRequest);
      if (fault === lost) response.destroy();
      else json(shown(pod), 201);
      return;
    }
    if (fault?.(request, response, again)) return;
    if (said === 'GET /pods')
      return void json([...pods.values()].filter(({ request: { name } }) => name === searchParams.get('name')).map(shown));
    const pod = pods.get(id ?? '');
    if (!pod) return void json({ error: 'pod not found', status: 404 }, 404);
    if (request.method === 'GET') return void json(shown(pod));
    // The one who asks may be the one who ends.
    response.writeHead(204).end(() => remove(pod));
  }

  function start(request: RunpodRequest): ServedPod {
    const pod: ServedPod = { id: `pod${made.length + 1}x`, request, desiredStatus: 'RUNNING', starts: 0, output: '' };
    made.push(pod);
    pods.set(pod.id, pod);
    most = Math.max(most, pods.size);
    startContainer(pod);
    return pod;
  }

  function startContainer(pod: ServedPod): void {
    pod.starts += 1;
    const folder = join(home, `${pod.id}-${pod.starts}`);
    mkdirSync(folder, { recursive: true });
    const told = Object.entries(pod.request.env).map(([name, value]) => [
      name,
      value.replace(/\{\{ RUNPOD_SECRET_(\w+) \}\}/, (_, one: string) => secrets[one]!),
    ]);
    const env = {
      PATH: process.env['PATH'],
      HOME: folder,
      ...Object.fromEntries(told),
      RUNPOD_POD_ID: pod.id,
      RUNPOD_API_KEY: ownKey(pod.id),
    };
    const [program, ...words] = [...entry, ...pod.request.dockerStartCmd];
    const child = spawn(program!, words, { cwd: folder, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    pod.process = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (pod.output += part.toString()));
    child.on('close', () => {
      if (pods.get(pod.id) === pod && pod.desiredStatus === 'RUNNING' && pod.starts < 5) startContainer(pod);
    });
  }

  function remove(pod: ServedPod): void {
    pods.delete(pod.id);
    kill(pod);
    if (pods.size === 0) for (const go of waiting.splice(0)) go();
  }

  return {
    endpoint,
    pods,
    made,
    most: () => most,
    requests,
    fail: (pattern, ...left) => void faults.push({ pattern, left: [...left] }),
    breakDown: (id) => {
      const pod = pods.get(id)!;
      pod.desiredStatus = 'EXITED';
      kill(pod);
    },
    crash: (id) => kill(pods.get(id)!),
    empty: () => (pods.size === 0 ? Promise.resolve() : new Promise((done) => waiting.push(done))),
    close: () => {
      for (const pod of [...pods.values()]) remove(pod);
      return new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      });
    },
  };
}

/** Good for one pod. */
const ownKey = (id: string): string => `own_key_of_${id}`;

const shown = ({ id, request, desiredStatus }: ServedPod) => ({
  id,
  name: request.name,
  desiredStatus,
  costPerHr: '0.44',
  image: request.imageName,
});

/** With all that it started, as a container goes. */
function kill({ process: child }: ServedPod): void {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => [Number(pid), parentOf(pid)] as const);
  const doomed = [child!.pid!];
  for (const one of doomed) doomed.push(...parents.filter(([, parent]) => parent === one).map(([pid]) => pid));
  for (const pid of doomed) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It had ended.
    }
  }
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) \S /s, '')
        .split(' ')[0],
    );
  } catch {
    return undefined;
  }
}
