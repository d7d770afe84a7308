import type { Command } from 'commander';
import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { pull } from '../../models/pull.ts';
import type { JobState } from '../../remote/job.ts';
import { runJob } from '../../remote/run-job.ts';
import { finishOnInterrupt } from '../interrupt.ts';
import { hubFor, repositorySchema } from '../llm/hub-access.ts';
import { numberOption } from '../option-schemas.ts';
import { verb } from '../verb.ts';
import { workOnPod } from './runpod.ts';

const schema = z.strictObject({
  folder: z.string('name the folder of a job').min(1),
  hub: repositorySchema.optional(),
  limit: numberOption.pipe(z.number().positive('not more than 0')).optional(),
});

/** `clinfuse job run`: the worker, on the machine where the job is. */
export function runCommand(): Command {
  return verb({
    name: 'run',
    argument: { name: 'folder', help: 'folder of the job, as a launch leaves it' },
    summary: 'does a job that was sent here; called by what --on starts, seldom by hand',
    example: 'clinfuse job run ~/.cache/clinfuse/jobs/3f2a9c1e5b7d8f60',
    options: [
      {
        flags: '--hub <owner/name>',
        help: 'the job comes through this data set of the hub, and so goes its result; deletes the pod it runs on',
      },
      { flags: '--limit <hours>', help: 'give up after so long' },
    ],
    schema,
    run: async ({ folder, hub: repository, limit }, { progress, log }) => {
      const interrupted = finishOnInterrupt('stopping the job');
      const late = limit === undefined ? undefined : AbortSignal.timeout(3_600_000 * limit);
      // The key to the pod is none of the job's business.
      const { RUNPOD_API_KEY: _, ...environment } = process.env;
      const run = async (onBeat?: () => void): Promise<JobState> => {
        const ended = await runJob(folder, {
          ...{ program: [process.execPath, process.argv[1]!], environment, clock: Date.now, ...(onBeat && { onBeat }) },
          pull: async (model) => pull({ hub: await hubFor({ verb: 'pull', offline: false, log }), ...model, progress, log }),
          signal: late ? AbortSignal.any([interrupted, late]) : interrupted,
        });
        return ended.state === 'failed' && late?.aborted ? { ...ended, reason: `not done within its limit of ${limit} h` } : ended;
      };
      const ended = repository === undefined ? await run() : await workOnPod(repository, { folder, run, progress, log });
      // What was being fetched when it was told to stop would go on.
      setTimeout(() => process.exit(), 1000).unref();
      if (ended.state === 'failed') throw new UserError('job.failed', `job: failed: ${ended.reason}; see log.txt in ${folder}`);
      return { text: `done: ${folder}`, json: ended };
    },
  });
}
