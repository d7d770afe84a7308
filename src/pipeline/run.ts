// `repro`: brings stages up to date, each after all that feed it, up to `jobs` side by side.
//
// First the repository is taken (repro-lock), and what a killed run left is cleared away: processes that still write are stopped,
// persistent outputs get back the content they had before. Then every stage is looked at when all before it are done, since only then is
// known what it reads. A failed stage stops those that read from it, directly or through others, and nobody else.

import { join } from 'node:path';

import { UserError } from '../base/errors.ts';
import { clearAbandoned } from './abandoned.ts';
import { settleData } from './data-files.ts';
import { decide, reason } from './decide.ts';
import { type Selection, selectStages } from './graph.ts';
import { type ReproLock, type StageUnderWay, takeReproLock } from './repro-lock.ts';
import { type Outcome, runStage, type StageEnd } from './run-stage.ts';
import type { Environment } from './shell.ts';
import type { Stage } from './stage.ts';
import { compareStage, openWorkplace, type Workplace } from './workplace.ts';

export type { Outcome };

export type ReproEvent =
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'begin'; readonly stage: string; readonly position: number; readonly total: number; readonly why: string }
  | { readonly kind: 'output'; readonly stage: string; readonly text: string }
  | ({ readonly kind: 'end'; readonly position: number; readonly total: number } & StageReport);

export type StageReport = StageEnd & { readonly stage: string; readonly seconds: number };

export type ReproReport = {
  /** In the order of the graph. */
  readonly stages: readonly StageReport[];
  readonly failed: readonly string[];
  readonly isInterrupted: boolean;
};

export type ReproOptions = Selection & {
  /** Folder of dvc.yaml. */
  readonly folder: string;
  /** Runs stages though nothing changed, and takes no outputs from earlier runs. */
  readonly force?: boolean;
  /** Only says what would be done. */
  readonly dry?: boolean;
  /** Stages side by side, at most. */
  readonly jobs?: number;
  /** PATH, SHELL and the rest, for the commands. */
  readonly environment: Environment;
  /** The time, for whoever has to wait for this run. */
  readonly since: string;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: ReproEvent) => void;
};

/**
 * Runs what has changed, as `dvc repro`.
 *
 * @throws UserError `pipeline.*` before anything has run; what goes wrong in a stage is in the report
 */
export async function repro(options: ReproOptions): Promise<ReproReport> {
  const { folder, environment, dry = false, signal = new AbortController().signal, onEvent = () => {}, since } = options;
  let workplace = openWorkplace(folder);
  const { root, scratchFolder } = workplace.repository;
  if (environment['DVC_STAGE'] && environment['DVC_ROOT'] === root) {
    throw new UserError(
      'pipeline.nested',
      `repro: called by a stage of the same repository: ${environment['DVC_STAGE']}; it would wait for itself`,
    );
  }
  // Before anything is waited for: a name that is not known is said at once.
  let stages = selectStages(workplace.graph, workplace.pipeline.folder, options);
  if (dry) return rehearse(stages, options, workplace);
  let hasWaited = false;
  const lock = await takeReproLock(join(scratchFolder, 'runs'), {
    dvcTmp: join(root, '.dvc', 'tmp'),
    since,
    signal,
    onWait: (text) => {
      hasWaited = true;
      onEvent({ kind: 'note', text: `repro: ${text}` });
    },
  });
  try {
    if (hasWaited) {
      workplace = openWorkplace(folder);
      stages = selectStages(workplace.graph, workplace.pipeline.folder, options);
    }
    const onNote = (text: string) => onEvent({ kind: 'note', text });
    await clearAbandoned(lock, workplace, onNote);
    if (!options.singleItem) await settleData(stages, workplace, onNote);
    return await runAll(stages, { ...options, signal, onEvent }, { workplace, lock });
  } finally {
    workplace.prints.save();
    lock.release();
  }
}

type Told = ReproOptions & { readonly signal: AbortSignal; readonly onEvent: (event: ReproEvent) => void };

async function runAll(
  stages: readonly Stage[],
  { force = false, jobs = 1, environment, signal, onEvent }: Told,
  { workplace, lock }: { readonly workplace: Workplace; readonly lock: ReproLock },
): Promise<ReproReport> {
  const total = stages.length;
  const ends = new Map<string, StageReport>();
  const underWay = new Map<string, StageUnderWay>();
  const running = new Map<string, Promise<void>>();
  const waiting = new Set(stages);
  const end = (stage: Stage, seconds: number, how: StageEnd) => {
    const report = { stage: stage.name, seconds, ...how };
    ends.set(stage.name, report);
    onEvent({ kind: 'end', position: stages.indexOf(stage) + 1, total, ...report });
  };
  const start = async (stage: Stage) => {
    const began = performance.now();
    const at = { stage: stage.name, position: stages.indexOf(stage) + 1, total };
    const how = await runStage(stage, {
      workplace,
      force,
      environment,
      signal,
      onBegin: (why) => onEvent({ kind: 'begin', ...at, why }),
      onOutput: (text) => onEvent({ kind: 'output', stage: stage.name, text }),
      record: (one) => {
        if (one) underWay.set(stage.name, one);
        else underWay.delete(stage.name);
        lock.record([...underWay.values()]);
      },
    }).catch((error: unknown): StageEnd => {
      if (error instanceof UserError) return { outcome: 'failed', reason: '', fault: error.message };
      throw error;
    });
    end(stage, (performance.now() - began) / 1000, how);
  };
  try {
    while (waiting.size > 0 || running.size > 0) {
      for (const stage of waiting) {
        const before = feeding(stage, workplace, ends, stages);
        if (before === 'waits') continue;
        if (before !== 'ready' || signal.aborted) {
          waiting.delete(stage);
          end(stage, 0, { outcome: 'not reached', reason: before === 'ready' ? 'interrupted' : `needs ${before}` });
        } else if (running.size < jobs) {
          waiting.delete(stage);
          running.set(
            stage.name,
            start(stage).finally(() => running.delete(stage.name)),
          );
        }
      }
      if (running.size > 0) await Promise.race(running.values());
    }
  } finally {
    await Promise.allSettled(running.values());
  }
  const all = stages.map(({ name }) => ends.get(name)!);
  return {
    stages: all,
    failed: all.filter(({ outcome }) => outcome === 'failed').map(({ stage }) => stage),
    isInterrupted: signal.aborted,
  };
}

/** Whether a stage can start, or the name of one before it that did not end well. */
function feeding(stage: Stage, { graph }: Workplace, ends: ReadonlyMap<string, StageEnd>, stages: readonly Stage[]): string {
  if (stage.frozen) return 'ready';
  const chosen = new Set(stages.map(({ name }) => name));
  const before = graph.upstream.get(stage.name)!.filter((name) => chosen.has(name));
  const broken = before.find((name) => ['failed', 'stopped', 'not reached'].includes(ends.get(name)?.outcome ?? ''));
  if (broken !== undefined) return broken;
  return before.every((name) => ends.has(name)) ? 'ready' : 'waits';
}

/** What would be done, without doing it. What comes after a stage that would run is only known when it has. */
async function rehearse(
  stages: readonly Stage[],
  { force = false, onEvent = () => {} }: ReproOptions,
  workplace: Workplace,
): Promise<ReproReport> {
  const reports: StageReport[] = [];
  for (const [i, stage] of stages.entries()) {
    const decision = decide(stage, (await compareStage(workplace, stage)).changes, { force });
    const before = stage.frozen
      ? undefined
      : workplace.graph.upstream.get(stage.name)!.find((name) => reports.some((one) => one.stage === name && / run$/.test(one.outcome)));
    const outcome =
      decision.action === 'run' || decision.action === 'restore' ? 'would run' : before === undefined ? 'up to date' : 'may run';
    const why = outcome === 'may run' ? `${before} before it would` : reason(decision.changes);
    const report = { stage: stage.name, seconds: 0, outcome, reason: why } as const;
    reports.push(report);
    onEvent({ kind: 'end', position: i + 1, total: stages.length, ...report });
  }
  workplace.prints.save();
  return { stages: reports, failed: [], isInterrupted: false };
}
