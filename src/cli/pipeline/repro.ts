import type { Command } from 'commander';

import { type Outcome, type ReproReport, repro } from '../../pipeline/run.ts';
import { killRunning } from '../../pipeline/shell.ts';
import type { VerbResult } from '../context.ts';
import { finishOnInterrupt } from '../interrupt.ts';
import { type OptionSchema, verb } from '../verb.ts';
import { cwdOption, stageEnvironment } from './options.ts';
import { stageLines } from './stage-lines.ts';

type ReproWords = {
  readonly stage: readonly string[];
  readonly cwd: string;
  readonly force: boolean;
  readonly singleItem: boolean;
  readonly downstream: boolean;
  readonly dry: boolean;
  readonly jobs: number;
};

/** By hand: nothing to do is to be said at once. What commander collected are texts and flags already. */
const schema: OptionSchema<ReproWords> = {
  safeParse: (raw) => {
    const said = raw as Readonly<Record<string, unknown>>;
    const is = (flag: string) => said[flag] === true;
    const jobs = String(said['jobs']);
    if (!/^[1-9]\d*$/.test(jobs))
      return { success: false, error: { issues: [{ path: ['jobs'], message: 'not a whole number from 1 up' }] } };
    const flags = { force: is('force'), singleItem: is('singleItem'), downstream: is('downstream'), dry: is('dry') };
    return {
      success: true,
      data: { stage: (said['stage'] ?? []) as readonly string[], cwd: String(said['cwd']), ...flags, jobs: Number(jobs) },
    };
  },
};

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
