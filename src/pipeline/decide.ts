// Why a stage runs, or does not: a comparison of three values, without a look at the disk.
//   what dvc.lock says of the last run   x   what the stage asks for now   x   what lies in the workspace
// A stage runs when its command differs, a dependency or a tracked parameter differs, or an output is missing or differs (an output that
// is whole but not in the cache is only put there); always when it has nothing to compare, or is `always_changed`. A frozen stage has no
// dependencies to look at. What dvc.lock records beyond what the stage lists is not looked at, as in DVC.

import { isDeepStrictEqual } from 'node:util';

import { printable } from '../base/text.ts';
import type { Fingerprint, LockEntry, ParameterKey, ParameterValue } from './lock-entry.ts';
import type { Stage } from './stage.ts';
import { isList, isMapping, sameValue, type ValueMap } from './values.ts';

/** What lies in the workspace, by the paths of the stage; what is not there is left out. */
export type Present = {
  readonly dependencies: ReadonlyMap<string, Fingerprint>;
  /** File to dotted key to value. */
  readonly parameters: Readonly<Record<string, Readonly<Record<string, ParameterValue>>>>;
  readonly outputs: ReadonlyMap<string, Fingerprint>;
  /** Outputs whose content, as dvc.lock names it, is not whole in the cache, though it should be. */
  readonly uncached: ReadonlySet<string>;
};

export type PathState = 'new' | 'modified' | 'deleted' | 'not in cache';

export type Change =
  | { readonly kind: 'never run' | 'command' | 'always' | 'forced' }
  | { readonly kind: 'dependency' | 'output'; readonly path: string; readonly state: PathState }
  | {
      readonly kind: 'parameter';
      readonly file: string;
      readonly key: string;
      readonly state: 'new' | 'modified' | 'deleted';
      readonly from?: ParameterValue;
      readonly to?: ParameterValue;
    };

export type Decision =
  /** `store`: outputs are right, but not whole in the cache. */
  | { readonly action: 'skip' | 'store'; readonly changes: readonly Change[] }
  /** `restore`: command, dependencies and parameters are those of dvc.lock, so its outputs are what a run would make. */
  | { readonly action: 'run' | 'restore'; readonly changes: readonly Change[] };

/** The command as dvc.lock keeps it: text, or a list where dvc.yaml has a list. */
export function commandOf({ commands, commandsAsList }: Stage): LockEntry['command'] {
  return commandsAsList ? commands : commands.join('\n');
}

/** All that differs between the last run and now, in the order in which it is told. */
export function changesOf(stage: Stage, entry: LockEntry | undefined, present: Present): readonly Change[] {
  const changes: Change[] = [];
  if (!entry) changes.push({ kind: 'never run' });
  if (!stage.frozen) {
    if (isAlways(stage)) changes.push({ kind: 'always' });
    changes.push(...parameterChanges(stage, entry, present));
    for (const path of stage.dependencies) {
      const state = stateOf(
        entry?.dependencies.find((one) => one.path === path),
        present.dependencies.get(path),
      );
      if (state) changes.push({ kind: 'dependency', path, state });
    }
  }
  // After the parameters: where one stands in the command, it is the reason.
  if (entry && !isDeepStrictEqual(entry.command, commandOf(stage))) changes.push({ kind: 'command' });
  for (const { path } of stage.outputs) {
    const state = stateOf(
      entry?.outputs.find((one) => one.path === path),
      present.outputs.get(path),
    );
    if (state) changes.push({ kind: 'output', path, state });
    else if (present.uncached.has(path)) changes.push({ kind: 'output', path, state: 'not in cache' });
  }
  return changes;
}

/** What is to be done about the changes. */
export function decide(stage: Stage, changes: readonly Change[], { force = false }: { readonly force?: boolean } = {}): Decision {
  if (force && !stage.frozen) return { action: 'run', changes: [{ kind: 'forced' }] };
  if (changes.length === 0) return { action: 'skip', changes };
  const onlyOutputs = changes.every(({ kind }) => kind === 'output');
  if (onlyOutputs && changes.every((change) => change.kind === 'output' && change.state === 'not in cache'))
    return { action: 'store', changes };
  const known = changes.every((change) => change.kind === 'output' && change.state !== 'new');
  return { action: known ? 'restore' : 'run', changes };
}

/** Whether a stage has nothing to compare, or says itself that it always runs. */
export function isAlways(stage: Stage): boolean {
  return stage.alwaysChanged || (stage.dependencies.length === 0 && stage.parameters.length === 0 && stage.outputs.length === 0);
}

/** The first reason in words: `parameter train.lr changed from 0.1 to 0.2`; how many more there are is added. */
export function reason(changes: readonly Change[]): string {
  // That a stage never ran is reason enough; its missing outputs say nothing more.
  const [first] = changes;
  if (!first) return 'up to date';
  const more = first.kind === 'never run' || first.kind === 'always' ? 0 : changes.length - 1;
  return `${changeText(first)}${more > 0 ? `, and ${more} more` : ''}`;
}

const pathWords: Readonly<Record<PathState, string>> = {
  new: 'is new',
  modified: 'changed',
  deleted: 'is missing',
  'not in cache': 'is not in the cache',
};

export function changeText(change: Change): string {
  switch (change.kind) {
    case 'never run':
      return 'never run';
    case 'command':
      return 'command changed';
    case 'always':
      return 'runs every time';
    case 'forced':
      return 'forced';
    case 'dependency':
    case 'output':
      return `${change.kind} ${change.path} ${pathWords[change.state]}`;
    case 'parameter': {
      const name = change.file === 'params.yaml' ? change.key : `${change.file}:${change.key}`;
      const [first, ...more] = innermost(name, change);
      return `${parameterText(first)}${more.length > 0 ? ` (and ${more.length} more in ${name})` : ''}`;
    }
  }
}

type ParameterDifference = { readonly name: string; readonly from?: ParameterValue; readonly to?: ParameterValue };

/** Of two maps only what differs in them, however deep: of a block of thirty settings the one that was changed. */
function innermost(
  name: string,
  { from, to }: Omit<ParameterDifference, 'name'>,
): readonly [ParameterDifference, ...ParameterDifference[]] {
  if (!isMapping(from) || !isMapping(to)) return [{ name, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }];
  const keys = [...new Set([...to.keys(), ...from.keys()])].filter((key) => !sameValue(from.get(key), to.get(key)));
  const [first, ...more] = keys.flatMap((key) => innermost(`${name}.${String(key)}`, inBoth(key, from, to)));
  return [first!, ...more];
}

const inBoth = (key: ParameterKey, from: ValueMap, to: ValueMap): Omit<ParameterDifference, 'name'> => ({
  ...(from.has(key) && { from: from.get(key)! }),
  ...(to.has(key) && { to: to.get(key)! }),
});

function parameterText({ name, from, to }: ParameterDifference): string {
  if (to === undefined) return `parameter ${name} is missing`;
  if (from === undefined) return `parameter ${name} is new: ${valueText(to)}`;
  return `parameter ${name} changed from ${valueText(from)} to ${valueText(to)}`;
}

/** On one line, as JSON has it but for text on its own; cut where it is long. */
function valueText(value: ParameterValue | undefined): string {
  const text = typeof value === 'string' ? printable(value) : typeof value === 'bigint' ? String(value) : JSON.stringify(plain(value));
  return text === undefined ? 'nothing' : text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** A value as JSON can hold it. */
export function plain(value: ParameterValue | undefined): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (isList(value)) return value.map(plain);
  if (isMapping(value)) return Object.fromEntries([...value].map(([key, one]) => [String(key), plain(one)]));
  return value;
}

function stateOf(then: Fingerprint | undefined, now: Fingerprint | undefined): 'new' | 'modified' | 'deleted' | undefined {
  if (!now) return 'deleted';
  if (!then) return 'new';
  // Whether a file may be executed is recorded, but no reason to run, as in DVC.
  return then.md5 === now.md5 ? undefined : 'modified';
}

function parameterChanges(stage: Stage, entry: LockEntry | undefined, present: Present): readonly Change[] {
  return stage.parameters.flatMap(({ file, keys }): readonly Change[] => {
    const then = entry?.parameters[file] ?? {};
    const now = present.parameters[file] ?? {};
    // A file tracked whole: whatever it holds, or held.
    const asked = keys.length > 0 ? keys : [...new Set([...Object.keys(then), ...Object.keys(now)])];
    return asked.flatMap((key): readonly Change[] => {
      const [from, to] = [then[key], now[key]];
      if (to === undefined) return [{ kind: 'parameter', file, key, state: 'deleted', ...(from === undefined ? {} : { from }) }];
      if (from === undefined) return [{ kind: 'parameter', file, key, state: 'new', to }];
      return sameValue(from, to) ? [] : [{ kind: 'parameter', file, key, state: 'modified', from, to }];
    });
  });
}
