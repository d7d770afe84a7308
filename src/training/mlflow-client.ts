// Requests to an MLflow server, over its REST API. The one place of tracking that opens a connection.
//
// A request is sent again where the server is not reached, is slow, busy (429) or broken (5xx): after 0.5, 1, 2, 4... seconds, or when it
// says. It may then have been carried out although no answer came. So what may not happen twice gives its body as a function, which is
// asked before each attempt and can look first (mlflow-push.ts looks which figures are there, mlflow-registry.ts which versions).

import { openAsBlob } from 'node:fs';
import type { ZodType } from 'zod';

import { UserError } from '../base/errors.ts';
import { retrySeconds } from '../base/retry-after.ts';
import { printable } from '../base/text.ts';

export type MlflowOptions = {
  /** `http://host:5000`, `https://user:password@host/prefix`. */
  readonly uri: string;
  readonly token?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Told when there is something to wait for. */
  readonly log?: (line: string) => void;
  /** A pause that ends early when the signal is given; an argument so that tests need none. */
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly timeoutMs?: number;
  /** Attempts at one request. */
  readonly tries?: number;
};

export type Call<T> = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** After `/api/2.0/mlflow/`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** What to send; a function is asked before each attempt (0, 1...), and nothing is sent any more where it gives nothing. */
  readonly body?: object | ((attempt: number) => Promise<object | undefined>);
  /** Of the answer. */
  readonly schema: ZodType<T>;
  readonly signal?: AbortSignal | undefined;
};

export type MlflowClient = {
  /** Where it is, without user and password. */
  readonly address: string;
  /** Nothing comes back where the body became nothing. */
  readonly call: <T>(call: Call<T>) => Promise<T | undefined>;
  /** Writes one artifact through the server, replacing one of the same path. */
  readonly put: (path: string, content: { readonly file: string } | { readonly text: string }, signal?: AbortSignal) => Promise<void>;
};

/**
 * A server to report to. Nothing is sent before one of its functions is called.
 *
 * @throws UserError `mlflow.address`; its functions: `mlflow.unreachable`, `mlflow.busy`, `mlflow.denied`, `mlflow.not-found`,
 * `mlflow.exists`, `mlflow.refused`
 */
export function openMlflow({
  uri,
  token,
  username,
  password,
  log = () => {},
  wait = pause,
  timeoutMs = 30_000,
  tries = 6,
}: MlflowOptions): MlflowClient {
  const { address, user } = addressOf(uri);
  const basic = username === undefined ? user : `${username}:${password ?? ''}`;
  const authorization = token ? `Bearer ${token}` : basic === undefined ? undefined : `Basic ${Buffer.from(basic).toString('base64')}`;
  const host = new URL(address).host;

  const patient = async (url: string, signal: AbortSignal | undefined, make: (attempt: number) => Promise<RequestInit | undefined>) => {
    for (let attempt = 0; ; attempt++) {
      const init = await make(attempt);
      if (!init) return undefined;
      const outcome = await once(url, init, { authorization, timeoutMs, signal });
      if (outcome.kind === 'answer' && outcome.status !== 429 && outcome.status < 500) return outcome;
      if (outcome.kind === 'answer' && outcome.status === 501) return outcome;
      const isLast = attempt + 1 >= tries;
      const seconds = Math.min(60, (outcome.kind === 'answer' ? outcome.retryAfter : undefined) ?? 2 ** (attempt - 1));
      const how =
        outcome.kind === 'answer'
          ? `is busy (${outcome.status})`
          : outcome.isSlow
            ? `gave no answer in ${timeoutMs / 1000} s`
            : 'was not reached';
      if (isLast || signal?.aborted) {
        const code = outcome.kind === 'answer' ? 'mlflow.busy' : 'mlflow.unreachable';
        throw new UserError(code, `mlflow: ${host} ${how}; nothing is lost: push again later`, { cause: outcome.cause });
      }
      log(`mlflow: ${host} ${how}; asking again in ${seconds} s`);
      await wait(1000 * seconds, signal);
    }
  };

  return {
    address,
    call: async ({ method, path, query = {}, body, schema, signal }) => {
      const words = new URLSearchParams(query).toString();
      const answer = await patient(`${address}/api/2.0/mlflow/${path}${words && `?${words}`}`, signal, async (attempt) => {
        const said = typeof body === 'function' ? await body(attempt) : body;
        if (typeof body === 'function' && said === undefined) return undefined;
        return { method, ...(said && { body: JSON.stringify(said), headers: { 'Content-Type': 'application/json' } }) };
      });
      if (!answer) return undefined;
      if (answer.status >= 300) throw faultOf(answer, { host, path, isKnown: authorization !== undefined });
      const parsed = schema.safeParse(jsonOf(answer.text));
      if (parsed.success) return parsed.data;
      throw new UserError('mlflow.refused', `mlflow: not an answer of MLflow: ${address}, ${path}; check the address`, {
        cause: parsed.error,
      });
    },
    put: async (path, content, signal) => {
      const place = path.split('/').map(encodeURIComponent).join('/');
      const answer = await patient(`${address}/api/2.0/mlflow-artifacts/artifacts/${place}`, signal, async () => ({
        method: 'PUT',
        // A file is read as it is sent.
        body: 'file' in content ? await openAsBlob(content.file) : content.text,
      }));
      if (answer && answer.status >= 300) throw faultOf(answer, { host, path, isKnown: authorization !== undefined });
    },
  };
}

type Answer = {
  readonly kind: 'answer';
  readonly status: number;
  readonly text: string;
  readonly retryAfter: number | undefined;
  readonly cause?: unknown;
};
type Silence = { readonly kind: 'silence'; readonly isSlow: boolean; readonly cause: unknown };

/** One attempt. The answer is read whole: one cut off in its middle is none. */
async function once(
  url: string,
  init: RequestInit,
  {
    authorization,
    timeoutMs,
    signal,
  }: { readonly authorization: string | undefined; readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<Answer | Silence> {
  const size = init.body instanceof Blob ? init.body.size : 0;
  // A large file may take longer: at least a megabyte in a second is expected.
  const limit = AbortSignal.timeout(timeoutMs + Math.ceil(size / 1000));
  try {
    const response = await fetch(url, {
      ...init,
      headers: { ...(init.headers as Record<string, string>), ...(authorization && { Authorization: authorization }) },
      redirect: 'manual',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    const text = await response.text();
    return { kind: 'answer', status: response.status, text, retryAfter: retrySeconds(response.headers.get('retry-after'), Date.now()) };
  } catch (cause) {
    return { kind: 'silence', isSlow: limit.aborted, cause };
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the server answered, in words. */
function faultOf(
  { status, text }: Answer,
  { host, path, isKnown }: { readonly host: string; readonly path: string; readonly isKnown: boolean },
): UserError {
  const said = jsonOf(text) as { readonly error_code?: unknown; readonly message?: unknown } | undefined;
  const message = typeof said?.message === 'string' ? `: ${printable(said.message)}` : '';
  if (said?.error_code === 'RESOURCE_ALREADY_EXISTS') return new UserError('mlflow.exists', `mlflow: exists already: ${path}${message}`);
  if (said?.error_code === 'RESOURCE_DOES_NOT_EXIST') return new UserError('mlflow.not-found', `mlflow: not found: ${path}${message}`);
  if (status === 401) {
    const hint = isKnown
      ? 'the token or password may have changed'
      : 'set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and _PASSWORD';
    return new UserError('mlflow.denied', `mlflow: not without a valid login (401): ${host}; ${hint}`);
  }
  if (status === 403)
    return new UserError('mlflow.denied', `mlflow: not allowed (403): ${host}, ${path}${message}; ask who runs the server`);
  if (status < 400)
    return new UserError('mlflow.refused', `mlflow: moved (${status}): ${host}; give the address it moved to in MLFLOW_TRACKING_URI`);
  if (status === 404) return new UserError('mlflow.refused', `mlflow: no MLflow there (404): ${host}, ${path}; check MLFLOW_TRACKING_URI`);
  return new UserError('mlflow.refused', `mlflow: refused (${status}): ${path}${message}`);
}

function addressOf(uri: string): { readonly address: string; readonly user: string | undefined } {
  let url: URL;
  try {
    url = new URL(uri);
  } catch (cause) {
    throw new UserError('mlflow.address', `mlflow: tracking URI is no address: ${printable(uri)}; give http(s)://HOST:PORT`, { cause });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UserError(
      'mlflow.address',
      `mlflow: tracking URI is not http(s): ${url.protocol}...; runs are kept in their own folders without one`,
    );
  }
  const user = url.username ? `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` : undefined;
  return { address: `${url.origin}${url.pathname}`.replace(/\/+$/, ''), user };
}

const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      done();
    };
    const timer = setTimeout(end, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end);
  });
