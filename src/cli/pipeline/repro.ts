import type { Command } from 'commander';
import { z } from 'zod';

import { type Outcome, type ReproReport, repro } from '../../pipeline/run.ts';
import { killRunning } from '../../pipeline/shell.ts';
import type { VerbResult } from '../context.ts';
import { finishOnInterrupt } from '../interrupt.ts';
import { countOption, verb } from '../verb.ts';
import { cwdOption, cwdSchema, stageEnvironment, targetsSchema } from './options.ts';
import { stageLines } from './stage-lines.ts';

const schema = z.strictObject({
  stage: targetsSchema,
  cwd: cwdSchema,
  force: z.boolean().default(false),
  singleItem: z.boolean().default(false),
  downstream: z.boolean().default(false),
  dry: z.boolean().default(false),
  jobs: countOption.refine((count) => count > 0, { message: 'not a whole number from 1 up' }),
});

/** `clinfuse repro`: runs the stages of a dvc.yaml whose inputs have changed. */
export function reproCommand(): Command {
  return verb({
    name: 'repro',
    argument: { name: 'stage', help: 'stages, or outputs of stages, with all that leads to them (default: all of dvc.yaml)', list: true },
    summary: 'runs the stages of a dvc.yaml whose inputs have changed',
    example: 'clinfuse repro train --jobs 2',
    options: [
      cwdOption,
      { flags: '-f, --force', help: 'run stages though nothing has changed, and take nothing from earlier runs' },
      { flags: '-s, --single-item', help: 'the named stages alone, not what leads to them' },
      { flags: '--downstream', help: 'the named stages and all that follows from them, not what leads to them' },
      { flags: '--dry', help: 'say what would run, and why; change nothing' },
      { flags: '--jobs <count>', help: 'stages side by side, where they do not need each other', default: '1' },
    ],
    schema,
    run: async ({ stage: targets, cwd: folder, jobs, ...how }, { quiet }) => {
      const signal = finishOnInterrupt('stopping the stages that run');
      // Told twice to stop, this process ends before its stages have; they must not go on alone.
      process.on('exit', killRunning);
      const lines = stageLines(process.stderr, { jobs });
      try {
        const report = await repro({
          ...how,
          targets,
          folder,
          jobs,
          signal,
          environment: stageEnvironment(),
          since: new Date().toISOString(),
          onEvent: (event) => {
            if (!quiet) lines.tell(event);
          },
        });
        lines.finish();
        return resultOf(report);
      } catch (error) {
        lines.finish();
        if (signal.aborted) return { json: { stages: [], failed: [], isInterrupted: true }, exitCode: 130 };
        throw error;
      }
    },
  });
}

function resultOf(report: ReproReport): VerbResult {
  for (const { stage, fault, lastLines = [] } of report.stages.filter(({ outcome }) => outcome === 'failed')) {
    const shown = lastLines.map((line) => `  ${line}\n`).join('');
    process.stderr.write(`clinfuse: repro: stage failed: ${stage}: ${fault}${shown ? `; its last lines:\n${shown}` : '\n'}`);
  }
  const exitCode = report.isInterrupted ? 130 : report.failed.length > 0 ? 2 : 0;
  return { text: summary(report), json: report, exitCode };
}

/** `9 stages: 3 ran, 6 up to date`. */
function summary({ stages }: ReproReport): string {
  const counts = new Map<Outcome, number>();
  for (const { outcome } of stages) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  if (counts.size === 1 && counts.has('up to date')) return 'up to date';
  return `${stages.length} stage${stages.length === 1 ? '' : 's'}: ${[...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ')}`;
}
