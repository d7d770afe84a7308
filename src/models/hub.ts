// The Hugging Face Hub: models and data sets. It opens a connection only when a verb that names the hub asks for it.
// A server that is busy is asked again when it says (Retry-After), one that is not reached a few times with growing pauses. The token goes
// to the endpoint alone, never into a message: redirects to storage carry none.

import { openAsBlob } from 'node:fs';

import { checkEndpoint } from '../base/endpoint.ts';
import { UserError } from '../base/errors.ts';
import { retrySeconds } from '../base/retry-after.ts';

export type RepositoryKind = 'model' | 'dataset';

export type HubOptions = {
  /** `https://huggingface.co`, or a server that speaks the same. */
  readonly endpoint: string;
  readonly token?: string | undefined;
  /** What its repositories hold: a model and a data set of one name are two things. Models unless said. */
  readonly kind?: RepositoryKind;
  /** Told when there is something to wait for. */
  readonly log?: (line: string) => void;
  /** A pause; an argument so that tests need none. */
  readonly wait?: (ms: number) => Promise<void>;
};

/** What a hub knows a file's content by: SHA-256 of large files, git's own hash of small ones. */
export type Checksum = { readonly kind: 'sha256' | 'git'; readonly value: string };

export type HubFile = { readonly path: string; readonly size: number; readonly checksum: Checksum };

export type Hub = {
  /** The commit that a revision names now; nothing where there is no such repository, or none that the token may see. */
  readonly find: (name: string, revision?: string) => Promise<{ readonly commit: string; readonly isPrivate: boolean } | undefined>;
  readonly files: (name: string, commit: string) => Promise<readonly HubFile[]>;
  /** A file from byte `from` on; `from` comes back as 0 where the server gives the whole file instead. */
  readonly read: (place: HubPlace) => Promise<{ readonly from: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  readonly create: (name: string, options: { readonly isPrivate: boolean }) => Promise<void>;
  /** Takes a repository away, with all its history; no fault where there is none. */
  readonly remove: (name: string) => Promise<void>;
  /** Whose token it is. */
  readonly user: () => Promise<string>;
  /** Writes files as one commit. `advance` is told the bytes that arrived. */
  readonly upload: (upload: Upload) => Promise<{ readonly commit: string; readonly url: string }>;
};

export type HubPlace = { readonly name: string; readonly commit: string; readonly path: string; readonly from: number };

export type Upload = {
  readonly name: string;
  readonly branch: string;
  readonly title: string;
  readonly files: readonly { readonly path: string; readonly source: string; readonly size: number }[];
  /** Files of the repository that go in the same commit. */
  readonly remove?: readonly string[];
  readonly advance: (bytes: number, note?: string) => void;
};

/**
 * A hub to pull from and push to. Nothing is sent before one of its functions is called.
 *
 * @throws UserError `hub.endpoint`, `hub.token`; its functions: `hub.unreachable`, `hub.busy`, `hub.denied`, `hub.not-found`, `hub.refused`
 */
export async function openHub({ endpoint: given, token, kind = 'model', log = () => {}, wait = pause }: HubOptions): Promise<Hub> {
  const endpoint = checkEndpoint(given, { part: 'hub', mend: 'HF_ENDPOINT' });
  if (token !== undefined && !/^hf_\w+$/.test(token)) {
    throw new UserError('hub.token', 'hub: the token is none of Hugging Face’s: they begin with hf_; mend HF_TOKEN or the token file');
  }
  // The package is large, and most runs never need it.
  const api = await import('@huggingface/hub');
  const patient = patientFetch({ log, wait });
  const shared = { hubUrl: endpoint, fetch: patient, ...(token === undefined ? {} : { accessToken: token }) };
  const asking = <T>(name: string, work: () => Promise<T>) => work().catch((cause: unknown) => Promise.reject(explain(cause, name, token)));

  return {
    find: (name, revision) =>
      asking(name, async () => {
        const question = { name, additionalFields: ['sha' as const], ...(revision === undefined ? {} : { revision }), ...shared };
        try {
          const found = kind === 'model' ? await api.modelInfo(question) : await api.datasetInfo(question);
          return { commit: found.sha, isPrivate: found.private };
        } catch (cause) {
          if (statusOf(cause) === 404) return undefined;
          throw cause;
        }
      }),
    files: (name, commit) =>
      asking(name, async () => {
        const files: HubFile[] = [];
        for await (const entry of api.listFiles({ repo: { type: kind, name }, revision: commit, recursive: true, ...shared })) {
          if (entry.type !== 'file') continue;
          const checksum: Checksum = entry.lfs ? { kind: 'sha256', value: entry.lfs.oid } : { kind: 'git', value: entry.oid ?? '' };
          // It becomes a file's name.
          if (!/^[\da-f]{40,64}$/.test(checksum.value))
            throw new UserError('hub.refused', `hub: no checksum for ${entry.path} of ${name}; it cannot be checked`);
          files.push({ path: entry.path, size: entry.size, checksum });
        }
        return files;
      }),
    read: ({ name, commit, path, from }) =>
      asking(name, async () => {
        const found = await api.fileDownloadInfo({ repo: { type: kind, name }, revision: commit, path, ...shared });
        if (!found) throw new UserError('hub.not-found', `hub: file not found: ${path} of ${name}; pull again`);
        const isOurs = new URL(found.url).origin === new URL(endpoint).origin;
        const response = await patient(found.url, {
          headers: {
            // Of the file itself, so that its bytes can be counted.
            'Accept-Encoding': 'identity',
            ...(from > 0 ? { Range: `bytes=${from}-` } : {}),
            ...(isOurs && token !== undefined ? { Authorization: `Bearer ${token}` } : {}),
          },
        });
        if (!response.ok || !response.body) throw statusFault(response.status, name, token);
        return { from: response.status === 206 ? from : 0, bytes: response.body };
      }),
    create: (name, { isPrivate }) =>
      asking(name, async () => {
        const visibility = isPrivate ? 'private' : 'public';
        await api.createRepo({ repo: { type: kind, name }, visibility, ...shared, accessToken: token! });
      }),
    remove: (name) =>
      asking(name, async () => {
        try {
          await api.deleteRepo({ repo: { type: kind, name }, ...shared, accessToken: token! });
        } catch (cause) {
          if (statusOf(cause) !== 404) throw cause;
        }
      }),
    user: () => asking('the account', async () => (await api.whoAmI({ ...shared, accessToken: token! })).name),
    upload: ({ name, branch, title, files, remove = [], advance }) =>
      asking(name, async () => {
        if (branch !== 'main') await api.createBranch({ repo: { type: kind, name }, branch, overwrite: true, ...shared });
        const written = await Promise.all(
          files.map(async ({ path, source }) => ({ operation: 'addOrUpdate' as const, path, content: await openAsBlob(source) })),
        );
        const operations = [...written, ...remove.map((path) => ({ operation: 'delete' as const, path }))];
        const sizes = new Map(files.map(({ path, size }) => [path, size]));
        const arrived = new Map<string, number>();
        const events = api.commitIter({ repo: { type: kind, name }, branch, title, operations, ...shared });
        for (;;) {
          const { value, done } = await events.next();
          if (done) {
            for (const [path, size] of sizes) advance(size - (arrived.get(path) ?? 0));
            return { commit: value!.commit.oid, url: value!.commit.url };
          }
          if (value.event !== 'fileProgress') continue;
          const now = Math.floor(value.progress * (sizes.get(value.path) ?? 0));
          if (value.state === 'hashing') advance(0, `hashing ${value.path}`);
          else if (now > (arrived.get(value.path) ?? 0)) {
            advance(now - (arrived.get(value.path) ?? 0), value.path);
            arrived.set(value.path, now);
          }
        }
      }),
  };
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

const busy = [429, 500, 502, 503, 504];
const tries = 6;
const longestWaitSeconds = 300;

/** `fetch` that comes back later where the server is busy or is not reached. */
function patientFetch({ log, wait }: { readonly log: (line: string) => void; readonly wait: (ms: number) => Promise<void> }): typeof fetch {
  return async (input, init) => {
    const host = new URL(input instanceof Request ? input.url : input).host;
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(input, init).catch((cause: unknown) => {
        if (init?.signal?.aborted || attempt === tries) throw unreachable(host, cause);
        return undefined;
      });
      if (response && !busy.includes(response.status)) return response;
      const seconds = retrySeconds(response?.headers.get('retry-after') ?? null, Date.now()) ?? 2 ** (attempt - 1) / 2;
      if (response && (attempt === tries || seconds > longestWaitSeconds)) {
        const later = seconds > longestWaitSeconds ? `it asks for ${Math.ceil(seconds)} s of patience; ` : '';
        throw new UserError('hub.busy', `hub: ${host} is busy (${response.status}); ${later}run again later: what was fetched is kept`);
      }
      await response?.body?.cancel();
      log(`${host} ${response ? `is busy (${response.status})` : 'was not reached'}; asking again in ${seconds} s`);
      await wait(1000 * seconds);
    }
  };
}

const unreachable = (host: string, cause: unknown) =>
  new UserError('hub.unreachable', `hub: not reached: ${host}; check the connection and run again: what was fetched is kept`, { cause });

const statusOf = (cause: unknown): number | undefined => (cause as { readonly statusCode?: number } | null)?.statusCode;

/** What the hub answered, in words; other faults pass. */
function explain(cause: unknown, name: string, token: string | undefined): unknown {
  const status = statusOf(cause);
  return status === undefined ? cause : statusFault(status, name, token, cause);
}

function statusFault(status: number, name: string, token: string | undefined, cause?: unknown): UserError {
  if (status === 401) {
    const hint = token === undefined ? 'set HF_TOKEN, or log in with `hf auth login`' : 'the token may have expired: make a new one';
    return new UserError('hub.denied', `hub: not without a valid token (401): ${name}; ${hint}`, { cause });
  }
  if (status === 403) {
    const hint = 'accept its terms on its page, or use a token that is allowed to';
    return new UserError('hub.denied', `hub: access refused (403): ${name}; ${hint}`, { cause });
  }
  if (status === 404) return notFound(name, { cause });
  return new UserError('hub.refused', `hub: refused (${status}): ${name}; try again later`, { cause });
}

/** What is private looks like what is not there. */
export const notFound = (name: string, options?: ErrorOptions): UserError =>
  new UserError('hub.not-found', `hub: not found: ${name}; check the name and the revision, and that the token may see it`, options);
