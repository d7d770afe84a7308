// Stages as a graph, by paths alone: an output feeds every dependency (or file of parameters) that equals it, lies inside it or holds it.
//
// For each path the folders above it are looked up in a table, so N paths of depth d cost O(N d), never N².
// Order: a stage comes after all that feed it; otherwise as dvc.yaml has them, so that the same file always gives the same order.
// Worked case: a writes data/, b reads data/x.csv and writes out/m, c reads out. Edges a -> b -> c.

import { dirname, relative, resolve } from 'node:path';

import { UserError } from '../base/errors.ts';
import { nearest } from '../base/text.ts';
import type { Stage } from './stage.ts';

export type Graph = {
  /** Sorted: every stage after those that feed it. */
  readonly stages: readonly Stage[];
  /** Stage name to the stages it reads from, in the order of the file; `downstream` the other way round. */
  readonly upstream: ReadonlyMap<string, readonly string[]>;
  readonly downstream: ReadonlyMap<string, readonly string[]>;
};

/** Where a path of a stage lies: absolute. */
export function placeOf(stage: Stage, path: string): string {
  return resolve(stage.workdir, path);
}

/**
 * Builds and checks the graph of a pipeline.
 *
 * @throws UserError `pipeline.output-twice`, `pipeline.output-overlap`, `pipeline.output-holds-pipeline`, `pipeline.cycle`: with both stages named
 */
export function buildGraph(stages: readonly Stage[], folder: string): Graph {
  const owners = outputOwners(stages, folder);
  const held = new Map<string, Set<string>>();
  for (const [place, owner] of owners)
    for (const above of foldersAbove(place)) {
      const inside = held.get(above);
      if (inside) inside.add(owner.name);
      else held.set(above, new Set([owner.name]));
    }
  const place = new Map(stages.map(({ name }, i) => [name, i]));
  const feeds = new Map<string, readonly Stage[]>();
  for (const stage of stages) {
    const from = new Set<string>();
    for (const path of [...stage.dependencies, ...stage.parameters.map(({ file }) => file)]) {
      const at = placeOf(stage, path);
      for (const above of [at, ...foldersAbove(at)]) {
        const owner = owners.get(above);
        if (owner) from.add(owner.name);
      }
      for (const name of held.get(at) ?? []) from.add(name);
    }
    if (from.has(stage.name))
      throw new UserError('pipeline.cycle', `dvc.yaml: stage reads its own output: ${stage.name}; name the parts it reads`);
    feeds.set(
      stage.name,
      [...from]
        .map((name) => place.get(name)!)
        .sort((a, b) => a - b)
        .map((i) => stages[i]!),
    );
  }
  const sorted = sortStages(stages, feeds);
  const upstream = new Map(sorted.map(({ name }) => [name, feeds.get(name)!.map((one) => one.name)]));
  const downstream = new Map(sorted.map(({ name }) => [name, [] as string[]]));
  for (const [name, from] of upstream) for (const one of from) downstream.get(one)!.push(name);
  return { stages: sorted, upstream, downstream };
}

function outputOwners(stages: readonly Stage[], folder: string): Map<string, Stage> {
  const owners = new Map<string, Stage>();
  for (const stage of stages)
    for (const { path } of stage.outputs) {
      const place = placeOf(stage, path);
      const other = owners.get(place);
      if (other) {
        const hint = other === stage ? 'name it once' : 'one of them should write elsewhere';
        throw new UserError('pipeline.output-twice', `dvc.yaml: output of two stages: ${path}: ${other.name} and ${stage.name}; ${hint}`);
      }
      if (place === folder || !relative(place, folder).startsWith('..')) {
        throw new UserError(
          'pipeline.output-holds-pipeline',
          `dvc.yaml: output holds dvc.yaml itself: ${stage.name}: ${path}; name a folder beside it`,
        );
      }
      owners.set(place, stage);
    }
  for (const [place, stage] of owners)
    for (const above of foldersAbove(place)) {
      const outer = owners.get(above);
      if (!outer) continue;
      const [inside, outside] = [relative(folder, place), relative(folder, above)];
      throw new UserError(
        'pipeline.output-overlap',
        `dvc.yaml: output inside another output: ${inside} of ${stage.name} in ${outside} of ${outer.name}; name paths that do not hold each other`,
      );
    }
  return owners;
}

function* foldersAbove(place: string): Generator<string> {
  for (let at = dirname(place), below = place; at !== below; below = at, at = dirname(at)) yield at;
}

/** Depth first along the feeds, in the order of the file; a stack of our own, as chains may be long. */
function sortStages(stages: readonly Stage[], feeds: ReadonlyMap<string, readonly Stage[]>): readonly Stage[] {
  const state = new Map<string, 'open' | 'done'>();
  const sorted: Stage[] = [];
  const visit = (start: Stage) => {
    const stack = [{ stage: start, next: [...feeds.get(start.name)!] }];
    state.set(start.name, 'open');
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const stage = top.next.shift();
      if (!stage) {
        stack.pop();
        state.set(top.stage.name, 'done');
        sorted.push(top.stage);
      } else if (state.get(stage.name) === 'open') {
        const circle = stack.slice(stack.findIndex((one) => one.stage === stage)).map((one) => one.stage.name);
        throw new UserError(
          'pipeline.cycle',
          `dvc.yaml: stages wait for each other: ${[...circle, stage.name].reverse().join(' -> ')}; break the circle`,
        );
      } else if (!state.has(stage.name)) {
        state.set(stage.name, 'open');
        stack.push({ stage, next: [...feeds.get(stage.name)!] });
      }
    }
  };
  for (const stage of stages) if (!state.has(stage.name)) visit(stage);
  return sorted;
}

export type Selection = {
  /** Stage names, `train` for all of a loop's `train@...`, or a path of an output (from where the user stands). */
  readonly targets?: readonly string[];
  /** From the targets onward, instead of all that leads to them. */
  readonly downstream?: boolean;
  /** The targets alone. */
  readonly singleItem?: boolean;
};

/**
 * The stages a command is about, in sorted order. A frozen stage does not pull in what it reads.
 *
 * @throws UserError `pipeline.unknown-target`
 */
export function selectStages(
  graph: Graph,
  folder: string,
  { targets = [], downstream = false, singleItem = false }: Selection,
): readonly Stage[] {
  const named = targets.flatMap((target) => stagesOf(graph, folder, target));
  if (named.length === 0 && (!singleItem || targets.length === 0)) return graph.stages;
  const chosen = new Set(named);
  const queue = singleItem ? [] : [...named];
  const frozen = new Set(graph.stages.filter((stage) => stage.frozen).map(({ name }) => name));
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const next = downstream
      ? graph.downstream.get(name)!.filter((one) => !frozen.has(one))
      : frozen.has(name)
        ? []
        : graph.upstream.get(name)!;
    for (const one of next)
      if (!chosen.has(one)) {
        chosen.add(one);
        queue.push(one);
      }
  }
  return graph.stages.filter(({ name }) => chosen.has(name));
}

function stagesOf(graph: Graph, folder: string, target: string): readonly string[] {
  const names = graph.stages.map(({ name }) => name);
  if (names.includes(target)) return [target];
  const ofLoop = names.filter((name) => name.startsWith(`${target}@`));
  if (ofLoop.length > 0) return ofLoop;
  const place = resolve(folder, target);
  const owner = graph.stages.find((stage) => stage.outputs.some(({ path }) => placeOf(stage, path) === place));
  if (owner) return [owner.name];
  if (/(^|\/)dvc\.yaml$/.test(target) && place === resolve(folder, 'dvc.yaml')) return names;
  if (/dvc\.yaml(:|$)|\.dvc$/.test(target)) {
    throw new UserError(
      'pipeline.unknown-target',
      `repro: only stages of one dvc.yaml are run: ${target}; use --cwd with the folder of that file`,
    );
  }
  const near = nearest(target, names);
  const hint = near ? `did you mean ${near}?` : `stages: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', ...' : ''}`;
  throw new UserError('pipeline.unknown-target', `repro: no such stage or output: ${target}; ${hint}`);
}
