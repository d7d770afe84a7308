import type { Command } from 'commander';
import { z } from 'zod';

import { pull } from '../../apps/llm/pull.ts';
import { UserError } from '../../base/errors.ts';
import { runJob } from '../../remote/run-job.ts';
import { finishOnInterrupt } from '../interrupt.ts';
import { hubFor } from '../llm/hub-access.ts';
import { verb } from '../verb.ts';

const schema = z.strictObject({ folder: z.string('name the folder of a job').min(1) });

/** `clinfuse job run`: the worker, on the machine where the job is. */
export function runCommand(): Command {
  return verb({
    name: 'run',
    argument: { name: 'folder', help: 'folder of the job, as a launch leaves it' },
    summary: 'does a job that was sent here; called by what --on starts, seldom by hand',
    example: 'clinfuse job run ~/.cache/clinfuse/jobs/3f2a9c1e5b7d8f60',
    options: [],
    schema,
    run: async ({ folder }, { progress, log }) => {
      const ended = await runJob(folder, {
        program: [process.execPath, process.argv[1]!],
        environment: process.env,
        pull: async (model) => pull({ hub: await hubFor({ verb: 'job run', offline: false, log }), ...model, progress, log }),
        signal: finishOnInterrupt('stopping the job'),
        clock: Date.now,
      });
      // What was being fetched when it was told to stop would go on.
      setTimeout(() => process.exit(), 1000).unref();
      if (ended.state === 'failed') throw new UserError('job.failed', `job: failed: ${ended.reason}; see log.txt in ${folder}`);
      return { text: `done: ${folder}`, json: ended };
    },
  });
}
