import { join } from 'node:path';

import { UserError } from '../../base/errors.ts';
import { commandTarget } from '../../remote/command-target.ts';
import type { Target } from '../../remote/job.ts';
import { sshTarget } from '../../remote/ssh-target.ts';
import { cacheFolder } from '../cache-folder.ts';
import type { CliContext } from '../context.ts';
import { stageEnvironment } from '../pipeline/options.ts';
import { openRunpodTarget } from './runpod.ts';

/**
 * The machine that `--on` names. What it needs of secrets comes from the environment, never from the name, which is written down.
 *
 * @throws UserError `job.target`, `job.secret`; for a pod also `runpod.denied`, `hub.denied`, `hub.offline`
 */
export function openTarget(name: string, speaking: Pick<CliContext, 'progress' | 'log'>): Target {
  if (/\b(hf_[A-Za-z0-9]{20,}|rpa_[A-Za-z0-9]{20,})/.test(name)) {
    throw new UserError('job.secret', 'job: --on holds a token; command lines and records are read by others: put it into the environment');
  }
  if (/^runpod(:|$)/.test(name)) return openRunpodTarget(name, speaking);
  const [, kind, rest] = /^(\w+):([\s\S]+)$/.exec(name) ?? [];
  const environment = stageEnvironment();
  if (kind === 'command') return commandTarget({ template: rest!, root: join(cacheFolder(), 'jobs'), environment });
  if (kind === 'ssh') return sshTarget({ address: rest!, environment, clock: Date.now });
  throw new UserError('job.target', `job: unknown machine: ${name}; write local, ssh:HOST, runpod:image=... or command:TEMPLATE`);
}
