// RunPod's REST API (rest.runpod.io/v1): pods are made, looked at and deleted. Two rules stand above all:
//
//   Never a second pod.    An answer that got lost says nothing: before a pod is asked for again, it is looked for by its name.
//   Never a pod left on.   A pod is deleted only once it is no longer listed; what was asked for is not yet done.
//
// A server that is busy (429) is asked again when it says, one that is broken or not reached a few times with growing pauses.

import { z } from 'zod';

import { checkEndpoint } from '../base/endpoint.ts';
import { UserError } from '../base/errors.ts';
import { retrySeconds } from '../base/retry-after.ts';
import { printable } from '../base/text.ts';

export type RunpodOptions = {
  /** `https://rest.runpod.io/v1`, or a server that speaks the same. */
  readonly endpoint: string;
  readonly key: string;
  /** Told when there is something to wait for. */
  readonly log: (line: string) => void;
  /** A pause; an argument so that tests need none. */
  readonly wait?: (ms: number) => Promise<void>;
};

const podAnswer = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  desiredStatus: z.string().nullish(),
  costPerHr: z.coerce.number().nullish().catch(null),
});

export type Pod = z.infer<typeof podAnswer>;

/** What a pod is to be, in the words of the API. */
export type PodRequest = {
  readonly name: string;
  readonly imageName: string;
  readonly computeType: 'GPU' | 'CPU';
  readonly gpuTypeIds?: readonly string[];
  readonly gpuCount?: number;
  readonly cpuFlavorIds?: readonly string[];
  readonly vcpuCount?: number;
  readonly cloudType: 'SECURE' | 'COMMUNITY';
  readonly containerDiskInGb: number;
  readonly volumeInGb: number;
  readonly dockerStartCmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

export type Runpod = {
  /** Makes a pod, or finds that an attempt whose answer was lost made it. */
  readonly create: (request: PodRequest) => Promise<Pod>;
  /** All pods of this very name, whatever their state. */
  readonly named: (name: string) => Promise<readonly Pod[]>;
  readonly find: (id: string) => Promise<Pod | undefined>;
  /** Deletes a pod and sees to it that it is gone. */
  readonly remove: (id: string) => Promise<void>;
};

/** A pod that is stopped or deleted does nothing any more. */
export const isRunning = ({ desiredStatus }: Pod): boolean => desiredStatus !== 'EXITED' && desiredStatus !== 'TERMINATED';

const tries = 5;
const longestWaitSeconds = 300;
const requestMs = 60_000;
/** Looks at a pod that is being deleted. */
const looks = 10;

type Ask = { readonly method: 'GET' | 'POST' | 'DELETE'; readonly path: string; readonly body?: PodRequest };

/**
 * RunPod, as far as a job needs it. Nothing is sent before one of its functions is called.
 *
 * @throws UserError `runpod.endpoint`; its functions: `runpod.denied`, `runpod.credit`, `runpod.capacity`, `runpod.refused`, `runpod.busy`,
 * `runpod.broken`, `runpod.unreachable`, `runpod.not-deleted`
 */
export function openRunpod({ endpoint: given, key, log, wait = pause }: RunpodOptions): Runpod {
  const endpoint = checkEndpoint(given, { part: 'runpod', mend: 'RUNPOD_ENDPOINT' });
  const host = new URL(endpoint).host;

  /** One request with its retries. Asked again: whatever is busy; what is broken or away only where a second time does no harm. */
  async function ask({ method, path, body }: Ask): Promise<unknown> {
    for (let attempt = 1; ; attempt++) {
      const answer = await send({ method, path, ...(body && { body }) });
      const status = answer?.status;
      if (status !== undefined && status < 400) return parseJson(answer!.text);
      const fault = answer ? faultOf(answer, { host, secrets: [key, ...Object.values(body?.env ?? {})] }) : unreachable(host);
      const mayAsk = status === 429 || (method !== 'POST' && ['runpod.broken', 'runpod.unreachable'].includes(fault.code));
      const seconds = answer?.after ?? 2 ** (attempt - 1);
      if (!mayAsk || attempt === tries || seconds > longestWaitSeconds) throw fault;
      log(`${host} ${answer ? `is busy (${status})` : 'was not reached'}; asking again in ${seconds} s`);
      await wait(1000 * seconds);
    }
  }

  async function send({ method, path, body }: Ask) {
    try {
      const response = await fetch(`${endpoint}${path}`, {
        method,
        headers: { Authorization: `Bearer ${key}`, ...(body && { 'Content-Type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
        // Where it sends us on, the key would go along.
        redirect: 'error',
        signal: AbortSignal.timeout(requestMs),
      });
      const after = retrySeconds(response.headers.get('retry-after'), Date.now());
      return { status: response.status, text: await response.text(), after };
    } catch {
      return undefined;
    }
  }

  async function named(name: string): Promise<readonly Pod[]> {
    const list = read(z.array(podAnswer), await ask({ method: 'GET', path: `/pods?name=${encodeURIComponent(name)}` }), host);
    return list.filter((pod) => pod.name === name && pod.desiredStatus !== 'TERMINATED');
  }

  async function find(id: string): Promise<Pod | undefined> {
    try {
      return read(podAnswer, await ask({ method: 'GET', path: `/pods/${encodeURIComponent(id)}` }), host);
    } catch (cause) {
      if (cause instanceof UserError && cause.code === 'runpod.not-found') return undefined;
      throw cause;
    }
  }

  return {
    named,
    find,
    create: async (request) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return read(podAnswer, await ask({ method: 'POST', path: '/pods', body: request }), host);
        } catch (cause) {
          const isUnclear = cause instanceof UserError && ['runpod.broken', 'runpod.unreachable'].includes(cause.code);
          if (!isUnclear) throw cause;
          log(`${cause.message.split(';')[0]}; looking whether the pod was made`);
          await wait(2000 * attempt);
          const made = (await named(request.name)).find(isRunning);
          if (made) return made;
          if (attempt === tries) throw cause;
        }
      }
    },
    remove: async (id) => {
      try {
        await ask({ method: 'DELETE', path: `/pods/${encodeURIComponent(id)}` });
      } catch (cause) {
        if (!(cause instanceof UserError && cause.code === 'runpod.not-found')) throw cause;
      }
      for (let look = 1; ; look++) {
        const pod = await find(id);
        if (!pod || pod.desiredStatus === 'TERMINATED') return;
        if (look === looks)
          throw new UserError(
            'runpod.not-deleted',
            `runpod: pod ${id} was to be deleted and is still there; cancel again, or delete it by hand`,
          );
        await wait(1000 * look);
      }
    },
  };
}

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

const unreachable = (host: string) =>
  new UserError('runpod.unreachable', `runpod: not reached: ${host}; check the connection and run again`);

type Answer = { readonly status: number; readonly text: string; readonly after: number | undefined };

/** What went wrong, in one line, without what is secret. */
function faultOf({ status, text }: Answer, { host, secrets }: { readonly host: string; readonly secrets: readonly string[] }): UserError {
  const said = printable(secrets.reduce((clean, secret) => (secret === '' ? clean : clean.replaceAll(secret, '***')), messageOf(text)));
  const fault = (code: string, message: string) => new UserError(`runpod.${code}`, `runpod: ${message}`);
  if (status === 401 || status === 403)
    return fault('denied', `key not accepted (${status}); set RUNPOD_API_KEY to one that may read and write pods`);
  if (status === 402 || /balance|credit|insufficient fund|payment/i.test(said))
    return fault('credit', `no credit left (${status}): ${said}; add some and run again: nothing was started`);
  // The API says so with 500, and with 400.
  if (/\binstances?\b.*\bavailable\b|no .*available|not have the resources|capacity|out of stock/i.test(said))
    return fault(
      'capacity',
      `no machine free (${status}): ${said}; run again later, or name other machines (gpu=, cloud=): nothing was started`,
    );
  if (status === 404) return fault('not-found', `not found (404): ${said}`);
  if (status === 429) return fault('busy', `${host} is busy (429); run again later`);
  if (status >= 500) return fault('broken', `${host} is broken (${status}): ${said}; run again later`);
  return fault('refused', `refused (${status}): ${said}; mend what --on says`);
}

function messageOf(text: string): string {
  const body = z.looseObject({ error: z.unknown().optional(), message: z.unknown().optional() }).catch({}).parse(parseJson(text));
  const said = body.message ?? body.error;
  return typeof said === 'string' ? said : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function read<T>(schema: z.ZodType<T>, answer: unknown, host: string): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new UserError('runpod.broken', `runpod: answer not understood: ${host}; run again later`);
}
