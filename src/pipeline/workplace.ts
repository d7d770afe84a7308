// All that the verbs of a pipeline work with, opened together: the stages, their graph, and the stores they are compared with.

import { join } from 'node:path';

import { type Cache, openCache } from './cache.ts';
import { type Change, changesOf, type Present } from './decide.ts';
import { readPipeline } from './dvc-file.ts';
import { type Fingerprints, fingerprints } from './fingerprint.ts';
import { buildGraph, type Graph, placeOf } from './graph.ts';
import type { Fingerprint, LockEntry } from './lock-entry.ts';
import { lockReader } from './lock-file.ts';
import { currentParameters } from './parameters.ts';
import { openRepository, type Repository } from './repository.ts';
import type { Pipeline, Stage } from './stage.ts';

export type OpenPipeline = { readonly pipeline: Pipeline; readonly graph: Graph };

export type Workplace = OpenPipeline & {
  readonly repository: Repository;
  readonly prints: Fingerprints;
  readonly cache: Cache;
  /** dvc.lock as it is now. */
  readonly lock: () => ReadonlyMap<string, LockEntry>;
};

/** The stages of a folder's dvc.yaml, and how they hang together. */
export function openPipeline(folder: string): OpenPipeline {
  const pipeline = readPipeline(join(folder, 'dvc.yaml'));
  return { pipeline, graph: buildGraph(pipeline.stages, pipeline.folder) };
}

/**
 * Opens the pipeline of a folder with the stores its stages are compared with.
 *
 * @throws UserError `pipeline.*` when dvc.yaml, dvc.lock or the settings of DVC are broken, or ask for what is not supported
 */
export function openWorkplace(folder: string): Workplace {
  const opened = openPipeline(folder);
  const repository = openRepository(opened.pipeline.folder);
  const prints = fingerprints(repository);
  return {
    ...opened,
    repository,
    prints,
    cache: openCache(repository, prints),
    lock: lockReader(opened.pipeline.folder),
  };
}

export type Seen = { readonly entry: LockEntry | undefined; readonly present: Present; readonly changes: readonly Change[] };

/** Compares a stage with its last run, without changing anything. */
export async function compareStage({ lock, prints, cache }: Workplace, stage: Stage): Promise<Seen> {
  const entry = lock().get(stage.name);
  const outputs = await printsOf(
    prints,
    stage,
    stage.outputs.map(({ path }) => path),
  );
  const uncached = new Set<string>();
  for (const { path, cache: isCached } of stage.outputs) {
    const locked = entry?.outputs.find((one) => one.path === path);
    if (isCached && locked && outputs.get(path)?.md5 === locked.md5 && !(await cache.has(locked))) uncached.add(path);
  }
  const present: Present = {
    dependencies: stage.frozen ? new Map() : await printsOf(prints, stage, stage.dependencies),
    parameters: currentParameters(stage, { missing: 'leave out' }),
    outputs,
    uncached,
  };
  return { entry, present, changes: changesOf(stage, entry, present) };
}

async function printsOf(prints: Fingerprints, stage: Stage, paths: readonly string[]): Promise<ReadonlyMap<string, Fingerprint>> {
  const found = new Map<string, Fingerprint>();
  for (const path of paths) {
    const print = await prints.of(placeOf(stage, path));
    if (print) found.set(path, print);
  }
  return found;
}
