import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { type Hub, type HubOptions, openHub } from '../../models/hub.ts';
import type { VerbOption } from '../verb.ts';

export const offlineOption: VerbOption = {
  flags: '--offline',
  help: 'open no connection (as HF_HUB_OFFLINE=1 does): the verb says so and stops',
};

/** OWNER/NAME. */
export const repositorySchema = z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'not of the form OWNER/NAME');

/** OWNER/NAME, or OWNER/NAME@REVISION for a branch, tag or commit. */
export const revisionSchema = z
  .string()
  .regex(/^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/, 'not of the form OWNER/NAME or OWNER/NAME@REVISION')
  .transform((given) => {
    const [name, revision] = given.split('@') as [string, string?];
    return { name, revision };
  });

/** For verbs whose output may go to the hub as well. */
export const pushOptions: readonly VerbOption[] = [
  { flags: '--push <owner/name>', help: 'send it to the Hugging Face Hub as well, as one commit; made, private, where it is not there' },
  { flags: '--public', help: 'let everybody see what is sent; without this nothing public is written to' },
  offlineOption,
];

export const pushSchema = { push: repositorySchema.optional(), public: z.boolean().default(false), offline: z.boolean().default(false) };

type HubFor = Pick<HubOptions, 'kind' | 'log'> & {
  /** Names the verb in messages. */
  readonly verb: string;
  readonly offline: boolean;
  /** Whether the verb sends anything: that needs a token. */
  readonly writes?: boolean;
};

/**
 * The hub, as the environment says how to reach it. Nothing is sent before one of its functions is called.
 *
 * @throws UserError `hub.offline`; `hub.denied` for writing without a token
 */
export async function hubFor({ verb, offline, writes = false, ...options }: HubFor): Promise<Hub> {
  const access = hubAccess({ verb, offline });
  if (writes && access.token === undefined) {
    throw new UserError('hub.denied', `${verb}: no token: set HF_TOKEN to one that may write, or log in with \`hf auth login\``);
  }
  return openHub({ ...access, ...options });
}

/**
 * How to reach the hub, by the variables that Hugging Face's own programs know: HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HOME,
 * HF_HUB_OFFLINE. The token is never an option: command lines are seen by everybody on the machine.
 *
 * @throws UserError `hub.offline`
 */
export function hubAccess({ verb, offline }: { readonly verb: string; readonly offline: boolean }): Pick<HubOptions, 'endpoint' | 'token'> {
  const { env } = process;
  const isSet = /^(1|true|yes|on)$/i.test(env['HF_HUB_OFFLINE'] ?? '');
  if (offline || isSet) {
    const why = offline ? '--offline was given' : 'HF_HUB_OFFLINE is set';
    throw new UserError('hub.offline', `${verb}: offline: ${why}, so no connection is opened; leave it out, or what names the hub`);
  }
  return { endpoint: env['HF_ENDPOINT'] || 'https://huggingface.co', token: env['HF_TOKEN']?.trim() || tokenFile(env) };
}

/** The token that `hf auth login` left. */
function tokenFile(env: NodeJS.ProcessEnv): string | undefined {
  const home = env['HF_HOME'] || join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'huggingface');
  try {
    return readFileSync(env['HF_TOKEN_PATH'] || join(home, 'token'), 'utf8').trim() || undefined;
  } catch {
    // None there, or not ours to read: the hub is asked without.
    return undefined;
  }
}
