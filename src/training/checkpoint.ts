// A checkpoint is a folder, there whole or not at all: it is filled beside its place, flushed to disk and renamed.
//
//   checkpoint-000050/adapter_model.safetensors   trained values, under the names of their parameters
//   checkpoint-000050/optimizer.safetensors       `mean.NAME` and `square.NAME`, f32 as they are in memory
//   checkpoint-000050/trainer_state.json          where the run is, its losses, its best, and what makes it this run
//
// Nothing else decides how training goes on: what is drawn at random is drawn by seed, epoch and number of the batch. So a run
// that is killed at any moment and resumed gives the same losses to the last digit. A folder that is removed is first renamed to a
// hidden name; what a killed run leaves under such names is cleared by the next one.

import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

import { UserError } from '../base/errors.ts';
import { writeFolder, writeJson, writeText } from '../base/files.ts';
import { openSafetensors, type Safetensors } from '../models/safetensors.ts';
import { type TensorGroup, writeSafetensors } from '../models/write-safetensors.ts';
import type { AdamWState } from './optimizer.ts';
import { numberFromJson } from './run-events.ts';
import type { Parameter } from './trainable.ts';

const trainerState = z.object({
  /** Steps taken. */
  step: z.int().min(0),
  /** Where the next batch is: number of the epoch (from 0) and index in it. */
  epoch: z.int().min(0),
  batch: z.int().min(0),
  /** Batches run since the start. */
  batches: z.int().min(0),
  tokens: z.number().min(0),
  /** Loss of every step. */
  losses: z.array(z.number()),
  evaluations: z.array(z.object({ step: z.int(), metrics: z.record(z.string(), numberFromJson) })),
  best: z.object({ step: z.int(), value: z.number() }).nullable(),
  /** Evaluations since the best one. */
  withoutBetter: z.int().min(0),
});

/** Where a run is. */
export type TrainerState = z.infer<typeof trainerState>;

/** What makes a run this run (`runIdentity`): a checkpoint of another is not resumed. */
export type RunIdentity = Readonly<Record<string, string>>;

const stateFile = z.object({ identity: z.record(z.string(), z.string()), state: trainerState });

const files = { parameters: 'adapter_model.safetensors', optimizer: 'optimizer.safetensors', state: 'trainer_state.json' } as const;

/** What is saved and restored; arrays are read from and written into where they are. */
export type Trained = { readonly parameters: readonly Parameter[]; readonly optimizer: AdamWState };

/** `checkpoint-000050` */
export const checkpointName = (step: number): string => `checkpoint-${String(step).padStart(6, '0')}`;

/**
 * Writes the checkpoint of `state.step` into a folder.
 *
 * @param options.extra more files to lay beside: name and text (`adapter_config.json`)
 * @returns its path
 * @throws UserError `output.disk-full`, `output.unwritable`; earlier checkpoints are as they were
 */
export async function writeCheckpoint(
  folder: string,
  {
    trained: { parameters, optimizer },
    state,
    identity,
    extra = {},
  }: {
    readonly trained: Trained;
    readonly state: TrainerState;
    readonly identity: RunIdentity;
    readonly extra?: Readonly<Record<string, string>>;
  },
): Promise<string> {
  const path = join(folder, checkpointName(state.step));
  try {
    await writeFolder(path, { names: [...Object.values(files), ...Object.keys(extra)] }, async (place) => {
      for (const [name, text] of Object.entries(extra)) await writeText(join(place, name), text);
      await writeSafetensors(join(place, files.parameters), [tensorsOf(parameters, '', ({ values }) => values)]);
      await writeSafetensors(join(place, files.optimizer), [
        tensorsOf(parameters, 'mean.', (_, i) => optimizer.moments[i]!.mean),
        tensorsOf(parameters, 'square.', (_, i) => optimizer.moments[i]!.square),
      ]);
      await writeJson(join(place, files.state), { identity, state: { ...state, evaluations: state.evaluations.map(asJson) } });
    });
    return path;
  } catch (cause) {
    if (!(cause instanceof UserError && cause.code === 'output.disk-full')) throw cause;
    const last = latestCheckpoint(folder);
    const kept = last ? `the last good one is ${checkpointName(last.step)}` : 'there is no earlier one';
    throw new UserError(cause.code, `output: disk full while writing ${path}; ${kept}: free space and resume`, { cause });
  }
}

/** The newest checkpoint of a folder. */
export function latestCheckpoint(folder: string): { readonly path: string; readonly step: number } | undefined {
  const step = checkpointSteps(folder).at(-1);
  return step === undefined ? undefined : { path: join(folder, checkpointName(step)), step };
}

/** @throws UserError `training.folder-used` where a folder holds checkpoints of a run that is not gone on with */
export function refuseUsed(folder: string): void {
  if (!latestCheckpoint(folder)) return;
  throw new UserError('training.folder-used', `training: folder holds checkpoints: ${folder}; resume, or name another folder`);
}

/**
 * Removes the checkpoints of a folder if they are of another run; a kill on the way leaves whole ones, still of that run.
 *
 * @returns whether there were some
 */
export function removeForeignCheckpoints(folder: string, identity: RunIdentity): boolean {
  const latest = latestCheckpoint(folder);
  if (!latest || differing(readState(latest.path).identity, identity).length === 0) return false;
  for (const step of checkpointSteps(folder)) removeCheckpoint(join(folder, checkpointName(step)));
  return true;
}

/** Removes all checkpoints but the newest `keep` and the best one. */
export function pruneCheckpoints(folder: string, { keep, best }: { readonly keep: number; readonly best?: number | undefined }): void {
  const old = checkpointSteps(folder).slice(0, -keep);
  for (const step of old) if (step !== best) removeCheckpoint(join(folder, checkpointName(step)));
}

/** Clears what a killed run left half-written or half-removed. */
export function clearLeftovers(folder: string): void {
  for (const name of namesIn(folder)) {
    if (/^\.checkpoint-\d+\./.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * Restores a run: values, moments and place.
 *
 * @throws UserError `training.checkpoint` when it is damaged or of other shapes, `training.resume` naming what differs from this run
 */
export async function readCheckpoint(
  path: string,
  { trained: { parameters, optimizer }, identity }: { readonly trained: Trained; readonly identity: RunIdentity },
): Promise<TrainerState> {
  const found = readState(path);
  refuseOther(path, found.identity, identity);
  await readParameters(path, parameters);
  const file = await openSafetensors(join(path, files.optimizer));
  try {
    for (const [i, parameter] of parameters.entries()) {
      await fill(file, `mean.${parameter.name}`, optimizer.moments[i]!.mean);
      await fill(file, `square.${parameter.name}`, optimizer.moments[i]!.square);
    }
  } finally {
    await file.close();
  }
  optimizer.steps = found.state.step;
  return found.state;
}

/** Restores only the trained values of a checkpoint: the best one, at the end of a run. */
export async function readParameters(path: string, parameters: readonly Parameter[]): Promise<void> {
  const file = await openSafetensors(join(path, files.parameters));
  try {
    if (file.tensors.size !== parameters.length) {
      throw broken(path, `holds ${file.tensors.size} trained arrays, the model has ${parameters.length}`);
    }
    for (const { name, values } of parameters) await fill(file, name, values);
  } finally {
    await file.close();
  }
}

async function fill(file: Safetensors, name: string, target: Float32Array): Promise<void> {
  const entry = file.tensors.get(name);
  if (!entry) throw broken(file.path, `tensor not found: ${name}`);
  const bytes = await file.readBytes(name);
  if (entry.type !== 'F32' || bytes.byteLength !== target.byteLength) {
    throw broken(file.path, `${name} is ${entry.type} [${entry.shape}], not F32 of ${target.length} values`);
  }
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(bytes);
}

function tensorsOf(parameters: readonly Parameter[], prefix: string, data: (of: Parameter, index: number) => Float32Array): TensorGroup {
  return {
    entries: parameters.map(({ name, shape }) => ({ name: `${prefix}${name}`, type: 'F32', shape })),
    read: () => parameters.map(data),
  };
}

function readState(path: string) {
  const file = join(path, files.state);
  try {
    return stateFile.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw broken(path, `${files.state} is missing or not one`, cause);
  }
}

function refuseOther(path: string, was: RunIdentity, is: RunIdentity): void {
  const names = differing(was, is);
  if (names.length === 0) return;
  const shown = names.slice(0, 3).map((name) => `${name} is ${is[name] ?? 'not set'}, was ${was[name] ?? 'not set'}`);
  const more = names.length > 3 ? `, and ${names.length - 3} more` : '';
  throw new UserError(
    'training.resume',
    `training: not the run of ${path}: ${shown.join(', ')}${more}; resume with the same, or start in another folder`,
  );
}

const differing = (was: RunIdentity, is: RunIdentity): readonly string[] =>
  [...new Set([...Object.keys(is), ...Object.keys(was)])].filter((name) => is[name] !== was[name]);

const asJson = ({ step, metrics }: TrainerState['evaluations'][number]) => ({
  step,
  metrics: Object.fromEntries(Object.entries(metrics).map(([key, value]) => [key, Number.isFinite(value) ? value : String(value)])),
});

function checkpointSteps(folder: string): number[] {
  const steps = namesIn(folder).flatMap((name) => (/^checkpoint-\d{6,}$/.test(name) ? [Number(name.slice('checkpoint-'.length))] : []));
  return steps.sort((a, b) => a - b);
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Out of sight in one step, then gone: a kill in between leaves no half checkpoint. */
function removeCheckpoint(path: string): void {
  const aside = path.replace(/checkpoint-\d+$/, (name) => `.${name}.old`);
  renameSync(path, aside);
  rmSync(aside, { recursive: true, force: true });
}

const broken = (path: string, fault: string, cause?: unknown) =>
  new UserError('training.checkpoint', `training: checkpoint cannot be used: ${path}: ${fault}; remove it to resume from the one before`, {
    cause,
  });
