import type { Command } from 'commander';

import { UserError } from '../../base/errors.ts';
import { duration } from '../../base/text.ts';
import type { JobState } from '../../remote/job.ts';
import { folderState, isJobFolder } from '../../remote/job-folder.ts';
import { readRecord } from '../../remote/job-record.ts';
import { verb } from '../verb.ts';
import { placeArgument, placeSchema } from './place.ts';
import { openTarget } from './targets.ts';

/** `clinfuse job status`: how it stands with a job; changes nothing. */
export function statusCommand(): Command {
  return verb({
    name: 'status',
    argument: placeArgument,
    summary: 'says how it stands with a job on another machine',
    example: 'clinfuse job status output/training/train',
    options: [],
    schema: placeSchema,
    run: async ({ place }, context) => {
      const record = isJobFolder(place) ? undefined : readRecord(place);
      const now = Date.now();
      if (record?.phase === 'collected') return { text: `collected from ${record.target}`, json: { ...record, state: 'collected', now } };
      if (!record && !isJobFolder(place))
        throw new UserError('job.none', `job: none known: ${place}; name an output that was launched with --on`);
      const state = record ? await openTarget(record.target, context).status(record.handle) : folderState(place);
      return { text: tell(state, now), json: { ...record, ...state, now } };
    },
  });
}

function tell(state: JobState, now: number): string {
  switch (state.state) {
    case 'running':
      return state.heartbeat === undefined
        ? 'not begun yet'
        : `running, last heard of ${duration(Math.max(0, now - state.heartbeat) / 1000)} ago`;
    case 'done':
      return 'done; run its command again to collect';
    case 'failed':
      return `failed: ${state.reason}${state.log ? `\n${state.log}` : ''}`;
    case 'gone':
      return 'gone: nothing of it is left there';
  }
}
