// A hub on this machine, for tests: models and data sets in memory, the requests that pull and push make, and faults on demand.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Files = Map<string, Buffer>;
type Repository = { isPrivate: boolean; commit: string; files: Files; readonly earlier: Map<string, Files>; readonly titles: string[] };
type Kind = 'models' | 'datasets';
/** Answers a request in its own way and says so, or lets it pass. */
export type Fault = (request: IncomingMessage, response: ServerResponse, answer: () => void) => boolean;

export type HubServer = {
  readonly endpoint: string;
  readonly models: Map<string, Repository>;
  readonly datasets: Map<string, Repository>;
  readonly add: (name: string, files: Readonly<Record<string, string | Buffer>>, isPrivate?: boolean, kind?: Kind) => void;
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

/** Takes what it is sent and cuts the connection without an answer. */
export const cut: Fault = (_, response) => {
  response.destroy();
  return true;
};

/** Answers when it is released: what asked waits, and a test knows that it does. */
export function held(): { readonly fault: Fault; readonly asked: Promise<void>; readonly release: () => void } {
  let tell = () => {};
  let release = () => {};
  const asked = new Promise<void>((done) => {
    tell = done;
  });
  const fault: Fault = (_, __, answer) => {
    release = answer;
    tell();
    return true;
  };
  return { fault, asked, release: () => release() };
}

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
  const kinds = { models: new Map<string, Repository>(), datasets: new Map<string, Repository>() };
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
    if (fault?.(request, response, () => answer(request, response, body))) return;
    const json = (value: unknown, code = 200) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const allowed = (one: Repository | undefined): one is Repository => {
      if (one && (!one.isPrivate || given === token)) return true;
      json({ error: 'Repository not found' }, given === undefined ? 401 : 404);
      return false;
    };
    const match = (pattern: RegExp) => pattern.exec(said)?.slice(1) as string[] | undefined;

    let found = match(/^GET \/api\/(models|datasets)\/([^/]+\/[^/]+)\/revision\/(.+)$/);
    if (found) {
      const [kind, name, revision] = found as [Kind, string, string];
      const one = kinds[kind].get(name);
      if (!allowed(one)) return;
      const sha = one.earlier.has(revision) ? revision : one.commit;
      if (!['HEAD', 'main', sha].includes(revision)) return void json({ error: 'Revision not found' }, 404);
      return void json({ _id: 'x', id: name, sha, private: one.isPrivate, lastModified: '2026-01-01' });
    }
    found = match(/^GET \/api\/(models|datasets)\/([^/]+\/[^/]+)\/tree\/([^/]+)/);
    if (found) {
      const [kind, name, revision] = found as [Kind, string, string];
      const one = kinds[kind].get(name);
      if (allowed(one)) json([...filesAt(one, revision)].map(([path, content]) => entry(path, content)));
      return;
    }
    found = match(/^GET \/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/);
    if (found) {
      const [kind, name, revision, path] = found as [string | undefined, string, string, string];
      const one = kinds[kind ? 'datasets' : 'models'].get(name);
      if (!allowed(one)) return;
      const content = filesAt(one, revision).get(path);
      if (content) sendFile(request, response, content);
      else response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
      return;
    }
    if (said === 'GET /api/whoami-v2') {
      if (given === undefined || given !== token) return void json({ error: 'Invalid username or password.' }, 401);
      return void json({ type: 'user', name: 'team', auth: { type: 'access_token' } });
    }
    if (said === 'DELETE /api/repos/delete') {
      const { organization, name, type } = JSON.parse(body.toString()) as Record<string, string>;
      const all = kinds[type === 'dataset' ? 'datasets' : 'models'];
      if (!allowed(all.get(`${organization}/${name}`))) return;
      all.delete(`${organization}/${name}`);
      return void json({});
    }
    if (said === 'POST /api/repos/create') {
      const { organization, name, visibility, type } = JSON.parse(body.toString()) as Record<string, string>;
      if (given !== token) return void json({ error: 'Invalid token' }, 401);
      add(`${organization}/${name}`, {}, visibility === 'private', type === 'dataset' ? 'datasets' : 'models');
      return void json({ url: `${endpoint}/${organization}/${name}`, id: 'x' });
    }
    found = match(/^POST \/api\/(?:models|datasets)\/([^/]+\/[^/]+)\/preupload\//);
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
    found = match(/^POST \/api\/(models|datasets)\/([^/]+\/[^/]+)\/commit\//);
    if (found) {
      const [kind, name] = found as [Kind, string];
      const one = kinds[kind].get(name);
      if (!allowed(one)) return;
      one.earlier.set(one.commit, new Map(one.files));
      for (const line of body.toString().trim().split('\n')) {
        const { key, value } = JSON.parse(line) as { key: string; value: { path: string; content: string; oid: string; summary: string } };
        if (key === 'header') one.titles.push(value.summary);
        if (key === 'file') one.files.set(value.path, Buffer.from(value.content, 'base64'));
        if (key === 'lfsFile') one.files.set(value.path, storage.get(value.oid)!);
        if (key === 'deletedFile') one.files.delete(value.path);
      }
      one.commit = commitOf(`${one.earlier.size} ${body}`);
      return void json({
        success: true,
        commitOid: one.commit,
        commitUrl: `${endpoint}/${kind === 'datasets' ? 'datasets/' : ''}${name}/commit/${one.commit}`,
        hookOutput: '',
      });
    }
    json({ error: `the test's hub does not know ${said}` }, 501);
  }

  const add: HubServer['add'] = (name, files, isPrivate = false, kind = 'models') => {
    const contents = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content as string)]));
    kinds[kind].set(name, { isPrivate, commit: commitOf(name), files: contents, earlier: new Map(), titles: [] });
  };

  return {
    endpoint,
    ...kinds,
    requests,
    tokens,
    storageTokens,
    add,
    fail: (pattern, ...left) => void faults.push({ pattern, left: [...left] }),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

const commitOf = (text: string) => createHash('sha1').update(text).digest('hex');

const filesAt = ({ files, earlier }: Repository, revision: string) => earlier.get(revision) ?? files;

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
