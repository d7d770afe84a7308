// RunPod on either side: the target that `--on runpod:...` names, and the work on the pod itself.

import { readFileSync } from 'node:fs';

import { UserError } from '../../base/errors.ts';
import { type HubJobOptions, runHubJob } from '../../remote/hub-worker.ts';
import type { JobState, Target } from '../../remote/job.ts';
import { openRunpod } from '../../remote/runpod-api.ts';
import { runpodTarget } from '../../remote/runpod-target.ts';
import type { CliContext } from '../context.ts';
import { hubAccess, hubFor } from '../llm/hub-access.ts';

type Speaking = Pick<CliContext, 'progress' | 'log'>;

/**
 * A pod, as `--on` describes it. Key and token come from the environment or from files that it names: RUNPOD_API_KEY or
 * RUNPOD_API_KEY_PATH, and the hub's variables.
 *
 * @throws UserError `job.target`, `runpod.denied`, `hub.offline`, `hub.denied`
 */
export function openRunpodTarget(name: string, { progress, log }: Speaking): Target {
  const { env } = process;
  const { endpoint, token } = hubAccess({ verb: 'job', offline: false });
  if (token === undefined)
    throw new UserError('hub.denied', 'job: no token: a pod is sent its work through the hub; set HF_TOKEN to one that may write');
  const environment = {
    HF_TOKEN: token,
    ...(env['HF_ENDPOINT'] && { HF_ENDPOINT: endpoint }),
    ...(env['RUNPOD_ENDPOINT'] && { RUNPOD_ENDPOINT: env['RUNPOD_ENDPOINT'] }),
  };
  const hub = () => hubFor({ verb: 'job', kind: 'dataset', offline: false, writes: true, log });
  return runpodTarget({ name, runpod: openRunpod({ endpoint: endpointOf(env), key: keyOf(env), log }), hub, environment, progress, log });
}

/** Does a job of the hub, and deletes the pod it is done on, whatever came of it. */
export async function workOnPod(
  repository: string,
  { progress, log, ...work }: Pick<HubJobOptions, 'folder' | 'run' | 'progress' | 'log'>,
): Promise<JobState> {
  try {
    const hub = await hubFor({ verb: 'job', kind: 'dataset', offline: false, writes: true, log });
    return await runHubJob({ ...work, hub, name: repository, clock: Date.now, progress, log });
  } finally {
    const { RUNPOD_POD_ID: id, RUNPOD_API_KEY: key } = process.env;
    // The key that RunPod gives a pod is good for this pod alone.
    if (id && key) await openRunpod({ endpoint: endpointOf(process.env), key, log }).remove(id);
  }
}

const endpointOf = (env: NodeJS.ProcessEnv): string => env['RUNPOD_ENDPOINT'] || 'https://rest.runpod.io/v1';

function keyOf(env: NodeJS.ProcessEnv): string {
  const key = env['RUNPOD_API_KEY']?.trim() || (env['RUNPOD_API_KEY_PATH'] && readKey(env['RUNPOD_API_KEY_PATH']));
  if (key) return key;
  throw new UserError('runpod.denied', 'job: no key for RunPod: set RUNPOD_API_KEY, or RUNPOD_API_KEY_PATH to a file that holds it');
}

function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new UserError('runpod.denied', `job: key file cannot be read: ${file}; mend RUNPOD_API_KEY_PATH`, { cause });
  }
}
