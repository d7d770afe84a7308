import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import type { HubOptions } from '../../models/hub.ts';
import type { VerbOption } from '../verb.ts';

export const offlineOption: VerbOption = {
  flags: '--offline',
  help: 'open no connection (as HF_HUB_OFFLINE=1 does): the verb says so and stops',
};

/** OWNER/NAME, with @REVISION where `pull` allows it. */
export const repositorySchema = z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'not of the form OWNER/NAME');

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
    throw new UserError('hub.offline', `${verb}: offline: ${why}, so no connection is opened; leave it out to ${verb}`);
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
