// A hub on this machine, for tests: models in memory, the requests that pull and push make, and faults on demand.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Model = { isPrivate: boolean; commit: string; files: Map<string, Buffer> };
/** Answers a request in its own way and says so, or lets it pass. */
type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export type HubServer = {
  readonly endpoint: string;
  readonly models: Map<string, Model>;
  readonly add: (name: string, files: Readonly<Record<string, string | Buffer>>, isPrivate?: boolean) => void;
  /** Each is asked once, in order, by the requests whose `METHOD /path` matches. */
  readonly fail: (pattern: RegExp, ...faults: readonly Fault[]) => void;
  /** `METHOD /path` of every request, with its range. */
  readonly requests: string[];
  /** Those that came with requests to the hub, and to the storage it sends large files to. */
  readonly tokens: Set<string | undefined>;
  readonly storageTokens: Set<string | undefined>;
  readonly close: () => Promise<void>;
};

/** Files from this size on are large ones: known by SHA-256, sent to storage. */
const large = 1000;

export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): Fault =>
  (_, response) => {
    response.writeHead(code, headers).end();
    return true;
  };

/** Sends that many bytes of what was asked for and cuts the connection. */
export const cutAfter =
  (bytes: number, content: Buffer): Fault =>
  (request, response) => {
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = `bytes ${from}-${content.length - 1}/${content.length}`;
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': content.length - from, ...(from > 0 ? { 'content-range': range } : {}) });
    response.write(content.subarray(from, from + bytes), () => response.destroy());
    return true;
  };

/** Sends other bytes than asked for. */
export const instead =
  (content: Buffer): Fault =>
  (_, response) => {
    response.writeHead(200).end(content);
    return true;
  };

export async function hubServer({ token }: { readonly token?: string } = {}): Promise<HubServer> {
  const models = new Map<string, Model>();
  const storage = new Map<string, Buffer>();
  const faults: { pattern: RegExp; left: Fault[] }[] = [];
  const requests: string[] = [];
  const tokens = new Set<string | undefined>();
  const storageTokens = new Set<string | undefined>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(request, response, Buffer.concat(chunks)));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    const { pathname } = new URL(request.url!, endpoint);
    const said = `${request.method} ${decodeURIComponent(pathname)}`;
    requests.push(request.headers.range ? `${said} ${request.headers.range}` : said);
    const given = request.headers.authorization?.replace('Bearer ', '');
    (pathname.startsWith('/storage/') ? storageTokens : tokens).add(given);
    const fault = faults.find(({ pattern, left }) => left.length > 0 && pattern.test(requests.at(-1)!))?.left.shift();
    if (fault?.(request, response)) return;
    const json = (value: unknown, code = 200) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const allowed = (model: Model | undefined): model is Model => {
      if (model && (!model.isPrivate || given === token)) return true;
      json({ error: 'Repository not found' }, given === undefined ? 401 : 404);
      return false;
    };
    const match = (pattern: RegExp) => pattern.exec(said)?.slice(1) as string[] | undefined;

    let found = match(/^GET \/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/);
    if (found) {
      const model = models.get(found[0]!);
      if (!allowed(model)) return;
      if (!['HEAD', 'main', model.commit].includes(found[1]!)) return void json({ error: 'Revision not found' }, 404);
      return void json({ _id: 'x', id: found[0], sha: model.commit, private: model.isPrivate, lastModified: '2026-01-01' });
    }
    found = match(/^GET \/api\/models\/([^/]+\/[^/]+)\/tree\//);
    if (found) {
      const model = models.get(found[0]!);
      if (allowed(model)) json([...model.files].map(([path, content]) => entry(path, content)));
      return;
    }
    found = match(/^GET \/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/);
    if (found) {
      const model = models.get(found[0]!);
      if (allowed(model)) sendFile(request, response, model.files.get(found[1]!)!);
      return;
    }
    if (said === 'POST /api/repos/create') {
      const { organization, name, visibility } = JSON.parse(body.toString()) as Record<string, string>;
      if (given !== token) return void json({ error: 'Invalid token' }, 401);
      models.set(`${organization}/${name}`, { isPrivate: visibility === 'private', commit: commitOf(''), files: new Map() });
      return void json({ url: `${endpoint}/${organization}/${name}`, id: 'x' });
    }
    found = match(/^POST \/api\/models\/([^/]+\/[^/]+)\/preupload\//);
    if (found) {
      const { files } = JSON.parse(body.toString()) as { files: { path: string; size: number }[] };
      return void json({ files: files.map(({ path, size }) => ({ path, uploadMode: size >= large ? 'lfs' : 'regular' })) });
    }
    if (/^POST \/.+\.git\/info\/lfs\/objects\/batch$/.test(said)) {
      const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] };
      const actions = (oid: string) => ({ upload: { href: `${endpoint}/storage/${oid}` } });
      return void json({
        transfer: 'basic',
        objects: objects.map((one) => ({ ...one, ...(storage.has(one.oid) ? {} : { actions: actions(one.oid) }) })),
      });
    }
    found = match(/^PUT \/storage\/(.+)$/);
    if (found) {
      storage.set(found[0]!, body);
      return void response.end();
    }
    if (match(/^POST \/api\/models\/[^/]+\/[^/]+\/branch\//)) return void json({});
    found = match(/^POST \/api\/models\/([^/]+\/[^/]+)\/commit\//);
    if (found) {
      const model = models.get(found[0]!)!;
      for (const line of body.toString().trim().split('\n')) {
        const { key, value } = JSON.parse(line) as { key: string; value: { path: string; content: string; oid: string } };
        if (key === 'file') model.files.set(value.path, Buffer.from(value.content, 'base64'));
        if (key === 'lfsFile') model.files.set(value.path, storage.get(value.oid)!);
      }
      model.commit = commitOf(body.toString());
      return void json({
        success: true,
        commitOid: model.commit,
        commitUrl: `${endpoint}/${found[0]}/commit/${model.commit}`,
        hookOutput: '',
      });
    }
    json({ error: `the test's hub does not know ${said}` }, 501);
  }

  return {
    endpoint,
    models,
    requests,
    tokens,
    storageTokens,
    add: (name, files, isPrivate = false) => {
      const contents = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content as string)]));
      models.set(name, { isPrivate, commit: commitOf(name), files: contents });
    },
    fail: (pattern, ...left) => void faults.push({ pattern, left: [...left] }),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

const commitOf = (text: string) => createHash('sha1').update(text).digest('hex');

function entry(path: string, content: Buffer) {
  const oid = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  const lfs = { oid: createHash('sha256').update(content).digest('hex'), size: content.length, pointerSize: 134 };
  return { type: 'file', path, size: content.length, oid, ...(content.length >= large ? { lfs } : {}) };
}

function sendFile(request: IncomingMessage, response: ServerResponse, content: Buffer): void {
  const [, from, to] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined) return void response.writeHead(200, { etag: '"x"', 'content-length': content.length }).end(content);
  const part = content.subarray(Number(from), to ? Number(to) + 1 : content.length);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${content.length}`;
  response.writeHead(206, { etag: '"x"', 'content-range': range, 'content-length': part.length }).end(part);
}
