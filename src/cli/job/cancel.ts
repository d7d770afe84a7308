import type { Command } from 'commander';
import { isJobFolder, stopFolder } from '../../remote/job-folder.ts';
import { readRecord } from '../../remote/job-record.ts';
import { cancel } from '../../remote/launch-or-collect.ts';
import { verb } from '../verb.ts';
import { placeArgument, placeSchema } from './place.ts';
import { openTarget } from './targets.ts';

/** `clinfuse job cancel`: stops a job; nothing of it runs afterwards. */
export function cancelCommand(): Command {
  return verb({
    name: 'cancel',
    argument: placeArgument,
    summary: 'stops a job on another machine; nothing of it runs afterwards',
    example: 'clinfuse job cancel output/training/train',
    options: [],
    schema: placeSchema,
    run: async ({ place }, context) => {
      if (isJobFolder(place)) {
        await stopFolder(place);
        return { text: `stopped: ${place}`, json: { cancelled: true } };
      }
      const record = readRecord(place);
      const was = record !== undefined && (await cancel({ output: place, target: openTarget(record.target, context), clock: Date.now }));
      return {
        text: was ? `cancelled: ${place}: nothing of it runs on ${record!.target}` : `nothing to cancel: ${place}`,
        json: { cancelled: was },
      };
    },
  });
}
