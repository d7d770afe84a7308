import { z } from 'zod';

import { UserError } from '../../base/errors.ts';
import { duration } from '../../base/text.ts';
import { inputName, type Job, type JobInput, jobInput, nameJob, type Stage } from '../../remote/job.ts';
import { cancel, type LaunchOutcome, launchOrCollect } from '../../remote/launch-or-collect.ts';
import type { CliContext, VerbResult } from '../context.ts';
import { numberOption } from '../option-schemas.ts';
import type { VerbOption } from '../verb.ts';
import { openTarget } from './targets.ts';

/** Options of verbs that can be done on another machine. */
export const elsewhereOptions: readonly VerbOption[] = [
  {
    flags: '--on <machine>',
    help: 'where it is done: local, ssh:HOST, runpod:image=... or command:TEMPLATE with {folder}; call again to collect',
    default: 'local',
  },
  { flags: '--time-out <minutes>', help: 'give a job up that has not been heard of for so long', default: 60 },
  { flags: '--cancel', help: 'stop the job that was launched with these options' },
];

export const elsewhereSchema = {
  on: z.string().min(1),
  timeOut: numberOption.pipe(z.number().positive('not more than 0')),
  cancel: z.boolean().default(false),
};

export type Elsewhere = { readonly on: string; readonly timeOut: number; readonly cancel: boolean };

export type VerbElsewhere = {
  readonly stage: Stage;
  /** `['er', 'llm', 'train']`. */
  readonly verb: readonly string[];
  /** Options as the verb has them, without those of `elsewhereOptions`; false is said as `--no-...`. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Those of them that name files or folders to read. */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly kind: 'folder' | 'file';
  /** What `--out` is within the result: nothing for the folder itself. */
  readonly out: string;
  /** What must have been made. */
  readonly outputs: readonly string[];
};

/** The exit code of a call that must be made again: sysexits' "temporary failure". A pipeline does not take the stage as done. */
const againCode = 75;

/** Whether a verb is to be done on another machine. */
export function isElsewhere({ on, cancel: isCancel }: Elsewhere): boolean {
  if (on === 'local' && isCancel)
    throw new UserError('cli.option', 'job: --cancel without --on: nothing runs elsewhere; name the machine it was launched on');
  return on !== 'local';
}

/** Launches a verb elsewhere, says how it stands there, collects what it made, or cancels it. */
export async function runElsewhere(
  { on, timeOut, cancel: isCancel }: Elsewhere,
  what: VerbElsewhere,
  context: CliContext,
): Promise<VerbResult> {
  if (what.options['resume'] === true)
    throw new UserError('cli.option', 'train: --resume with --on: checkpoints stay where the run was; leave one of them out');
  const target = openTarget(on, context);
  const job = await jobOf(what);
  if (isCancel) {
    const was = await cancel({ output: what.output, target, clock: Date.now, id: job.id });
    return {
      text: was ? `cancelled: ${what.output}: nothing of it runs on ${on}` : `nothing to cancel: ${what.output}`,
      json: { cancelled: was },
    };
  }
  const { output, kind } = what;
  const outcome = await launchOrCollect({ job, target, output, kind, timeOut: 60_000 * timeOut, clock: Date.now, log: context.log });
  return { text: tell(outcome, output), json: outcome, ...(outcome.outcome !== 'collected' && { exitCode: againCode }) };
}

/** The verb as a job: its options in words, inputs and output as places. */
async function jobOf({ stage, verb, options, inputs: names, out, outputs }: VerbElsewhere): Promise<Job> {
  const inputs: Record<string, JobInput> = {};
  const words = [...verb];
  for (const [option, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const flag = option.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
    if (typeof value === 'boolean') words.push(value ? `--${flag}` : `--no-${flag}`);
    else if (names.includes(option)) {
      const given = String(value);
      const name = inputName(flag, given);
      inputs[name] = await jobInput(given);
      words.push(`--${flag}`, `{in}/${name}`);
    } else words.push(`--${flag}`, String(value));
  }
  return nameJob({ stage, command: [...words, '--out', out === '' ? '{out}' : `{out}/${out}`], inputs, outputs });
}

function tell({ outcome, id, target, launchedAt, heartbeat }: LaunchOutcome, output: string): string {
  if (outcome === 'collected') return `collected: ${output} (job ${id} on ${target})`;
  if (outcome === 'started') return `started: job ${id} on ${target}; run the same command again to collect`;
  const ago = (time: string) => duration(Math.max(0, (Date.now() - Date.parse(time)) / 1000));
  const heard = heartbeat === null ? 'not heard of yet' : `last heard of ${ago(heartbeat)} ago`;
  return `still running: job ${id} on ${target}, launched ${ago(launchedAt)} ago, ${heard}; run the same command again to collect`;
}
