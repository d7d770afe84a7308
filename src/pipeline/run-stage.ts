// One stage, from the look at it to its entry in dvc.lock. The order of writes is what makes a run safe to kill at any moment:
//
//   1. what is under way is put on file (repro-lock), with the content of persistent outputs
//   2. outputs are removed, the commands run
//   3. outputs go to the cache, whole
//   4. dvc.lock gets the entry, in one step
//   5. the run is remembered, and struck off the file of what is under way
//
// Killed before 4, the entry of dvc.lock is the earlier one, which names other dependencies (the stage runs again) or other outputs
// (they are restored, or the stage runs again). Killed after 4 the stage is done. A persistent output is not removed before a run, so
// what a killed run made of it is put aside by the next one, and its content from before comes back.

import { existsSync, rmSync } from 'node:fs';

import { UserError } from '../base/errors.ts';
import { explainWriteFault } from '../base/files.ts';
import { commandOf, decide, isAlways, reason } from './decide.ts';
import { placeOf } from './graph.ts';
import type { LockEntry, LockedPath } from './lock-entry.ts';
import { writeLock } from './lock-file.ts';
import { currentParameters } from './parameters.ts';
import type { StageUnderWay } from './repro-lock.ts';
import type { Environment, ProcessGroup } from './shell.ts';
import type { Stage } from './stage.ts';
import { lastLines, runCommands } from './stage-commands.ts';
import { compareStage, type Seen, type Workplace } from './workplace.ts';

/** How a stage ended. `restored`: its outputs came out of the cache; `stored`: they were right, and only put there. */
export type Outcome = 'ran' | 'restored' | 'stored' | 'up to date' | 'failed' | 'stopped' | 'would run' | 'may run' | 'not reached';

export type StageEnd = {
  readonly outcome: Outcome;
  /** Why it ran or did not, in words. */
  readonly reason: string;
  /** Of a failed stage: what went wrong, and the last lines it printed. */
  readonly fault?: string;
  readonly lastLines?: readonly string[];
};

export type StageRun = {
  readonly workplace: Workplace;
  readonly force: boolean;
  readonly environment: Environment;
  readonly signal: AbortSignal;
  /** Said once, before anything is changed. */
  readonly onBegin: (why: string) => void;
  readonly onOutput: (text: string) => void;
  /** Puts down what of this stage is under way; nothing when it is over. */
  readonly record: (underWay: StageUnderWay | undefined) => void;
};

/** Brings one stage up to date. What it reads must be up to date already. */
export async function runStage(stage: Stage, run: StageRun): Promise<StageEnd> {
  const seen = await compareStage(run.workplace, stage);
  const decision = decide(stage, seen.changes, { force: run.force });
  const why = reason(decision.changes);
  switch (decision.action) {
    case 'skip':
      return { outcome: 'up to date', reason: stage.frozen ? `frozen, ${why}` : why };
    case 'store':
      run.onBegin(`stored: ${why}`);
      await storeOutputs(stage, run);
      await remember(stage, seen.entry!, run.workplace);
      return { outcome: 'stored', reason: why };
    case 'restore':
    case 'run': {
      const known = decision.action === 'restore' ? seen.entry : undefined;
      if (stage.frozen) return settleFrozen(stage, { run, seen, why });
      const asked = askedFor(stage, seen);
      const restored = run.force ? undefined : await restore(stage, { run, asked, known, why });
      return restored ?? (await execute(stage, { run, asked, why }));
    }
  }
}

type Asked = Pick<LockEntry, 'command' | 'dependencies' | 'parameters'>;

/** The entry of dvc.lock but for the outputs. What the stage reads is fixed here, before it runs: a change meanwhile is one for the next run. */
function askedFor(stage: Stage, { present }: Seen): Asked {
  const dependencies = stage.dependencies.map((path): LockedPath => {
    const print = present.dependencies.get(path);
    if (print) return { path, ...print };
    throw new UserError(
      'pipeline.dependency-missing',
      `repro: dependency missing: ${path} of stage ${stage.name}; no stage makes it, so put it there`,
    );
  });
  return { command: commandOf(stage), dependencies, parameters: currentParameters(stage) };
}

/** Takes the outputs of an earlier run with the same command, dependencies and parameters out of the cache, if they are all there. */
async function restore(
  stage: Stage,
  {
    run,
    asked,
    known,
    why,
  }: { readonly run: StageRun; readonly asked: Asked; readonly known: LockEntry | undefined; readonly why: string },
): Promise<StageEnd | undefined> {
  const { cache } = run.workplace;
  if (!isRepeatable(stage)) return undefined;
  const entry = known ?? (await cache.findRun(stage, asked));
  if (!entry) return undefined;
  for (const output of entry.outputs) if (!(await cache.has(output))) return undefined;
  run.onBegin(`restored from an earlier run: ${why}`);
  for (const output of entry.outputs) {
    const place = placeOf(stage, output.path);
    await cache.checkout(output, place);
    // What git keeps is never a link into the cache.
    if (stage.outputs.some(({ path, cache: isCached }) => path === output.path && !isCached)) cache.unprotect(place);
  }
  const again = { ...asked, outputs: entry.outputs };
  lock(stage, again, run.workplace);
  // It may have come from dvc.lock alone.
  await remember(stage, again, run.workplace);
  return { outcome: 'restored', reason: why };
}

function lock(stage: Stage, entry: LockEntry, { pipeline, graph }: Workplace): void {
  const order = graph.stages.map(({ name }) => name);
  writeLock(pipeline.folder, stage.name, entry, order);
}

/** Whether the outputs of a run follow from what is compared, so that an earlier run stands for this one (as DVC has it). */
export function isRepeatable(stage: Stage): boolean {
  const reads = stage.dependencies.length > 0 || stage.parameters.length > 0;
  return reads && !isAlways(stage) && stage.outputs.length > 0 && !stage.outputs.some(({ persist }) => persist);
}

/** With an output whose content is nowhere but in the workspace, DVC does not remember a run; figures are small enough to keep. */
async function remember(stage: Stage, entry: LockEntry, { cache }: Workplace): Promise<void> {
  if (isRepeatable(stage) && stage.outputs.every((output) => output.cache || output.role !== 'out')) await cache.rememberRun(stage, entry);
}

/** A frozen stage never runs: its outputs come back from the cache, or are recorded as they are. */
async function settleFrozen(
  stage: Stage,
  { run, seen, why }: { readonly run: StageRun; readonly seen: Seen; readonly why: string },
): Promise<StageEnd> {
  const { cache } = run.workplace;
  for (const { path } of stage.outputs) {
    if (existsSync(placeOf(stage, path))) continue;
    const locked = seen.entry?.outputs.find((one) => one.path === path);
    if (!locked || !(await cache.has(locked))) {
      throw new UserError(
        'pipeline.frozen',
        `repro: output of a frozen stage missing: ${path} of ${stage.name}; put it there, or take \`frozen\` away`,
      );
    }
    run.onBegin(`restored from the cache: ${why}`);
    await cache.checkout(locked, placeOf(stage, path));
  }
  const outputs = await storeOutputs(stage, run);
  // As DVC: what is recorded are the dependencies of now, though nobody looked at whether they changed.
  const entry = { ...askedFor(stage, await compareStage(run.workplace, { ...stage, frozen: false })), outputs };
  lock(stage, entry, run.workplace);
  await remember(stage, entry, run.workplace);
  return { outcome: 'stored', reason: why };
}

async function execute(
  stage: Stage,
  { run, asked, why }: { readonly run: StageRun; readonly asked: Asked; readonly why: string },
): Promise<StageEnd> {
  const { workplace, signal } = run;
  run.onBegin(`runs: ${why}`);
  const persisted = await keepPersistent(stage, workplace);
  const groups: ProcessGroup[] = [];
  const record = () => run.record({ stage: stage.name, groups, persisted });
  record();
  try {
    removeOutputs(stage);
    const tail = lastLines();
    const onStart = (group: ProcessGroup) => {
      groups.push(group);
      record();
    };
    const onOutput = (text: string) => {
      tail.add(text);
      run.onOutput(text);
    };
    const fault =
      (await runCommands(stage, { root: workplace.repository.root, environment: run.environment, signal, onStart, onOutput })) ??
      missingOutput(stage);
    if (signal.aborted) return { outcome: 'stopped', reason: why };
    if (fault !== undefined) return { outcome: 'failed', reason: why, fault, lastLines: tail.lines() };
    const entry = { ...asked, outputs: await storeOutputs(stage, run) };
    lock(stage, entry, workplace);
    await remember(stage, entry, workplace);
    return { outcome: 'ran', reason: why };
  } finally {
    run.record(undefined);
  }
}

function missingOutput(stage: Stage): string | undefined {
  const missing = stage.outputs.find(({ path }) => !existsSync(placeOf(stage, path)));
  return missing && `output not made: ${missing.path}`;
}

function removeOutputs(stage: Stage): void {
  for (const { path, persist } of stage.outputs) {
    if (persist) continue;
    const place = placeOf(stage, path);
    try {
      rmSync(place, { recursive: true, force: true });
    } catch (cause) {
      throw explainWriteFault(cause, place);
    }
  }
}

/** Puts the content of persistent outputs into the cache, from where it comes back should the run be killed. */
async function keepPersistent(stage: Stage, { cache, prints }: Workplace): Promise<StageUnderWay['persisted']> {
  const kept: { place: string; before: StageUnderWay['persisted'][number]['before'] }[] = [];
  for (const { path } of stage.outputs.filter(({ persist }) => persist)) {
    const place = placeOf(stage, path);
    const before = (await prints.of(place)) ?? null;
    if (before) {
      await cache.keep(place);
      cache.unprotect(place);
    }
    kept.push({ place, before });
  }
  return kept;
}

async function storeOutputs(stage: Stage, { workplace: { cache, prints } }: StageRun): Promise<readonly LockedPath[]> {
  const outputs: LockedPath[] = [];
  for (const { path, cache: isCached } of stage.outputs) {
    const place = placeOf(stage, path);
    const print = isCached ? await cache.store(place) : await prints.of(place);
    outputs.push({ path, ...print! });
  }
  return outputs;
}
