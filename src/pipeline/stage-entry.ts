// One resolved entry of dvc.yaml as a stage: commands, paths, parameters and flags in the form the rest of the pipeline uses.

import { isAbsolute, relative } from 'node:path';

import { UserError } from '../base/errors.ts';
import type { ParameterKey, ParameterValue } from './lock-entry.ts';
import { pythonText } from './python-text.ts';
import type { Output, OutputRole, Stage, TrackedParameters } from './stage.ts';
import { isCollection, isList, isMapping, type ValueMap } from './values.ts';

type Fields = Readonly<Partial<Record<string, ParameterValue>>>;

/** `root` is the folder of the project, where `.dvc` lies. */
type Place = { readonly name: string; readonly workdir: string; readonly root: string; readonly file: string };

/** Properties of a plot that is an output, kept beside it as written. */
const plotKeys = ['template', 'x', 'y', 'x_label', 'y_label', 'title', 'header'];

/**
 * The stage of a resolved entry.
 *
 * @throws UserError `pipeline.schema` where a template gave a value that cannot stand there, `pipeline.unsupported` for remote places
 */
export function stageOf(fields: Fields, { name, workdir, root, file }: Place): Stage {
  const at = (key: string) => `${file}: stages.${name}.${key}`;
  const { cmd, deps, params, desc } = fields;
  const commands = (isList(cmd) ? cmd : [cmd]).map((one) => commandOf(one, at('cmd')));
  if (commands.length === 0) throw new UserError('pipeline.schema', `pipeline: no command: ${at('cmd')}`);
  return {
    name,
    workdir,
    commands,
    commandsAsList: isList(cmd),
    dependencies: ((deps ?? []) as readonly ParameterValue[]).map((path) => pathOf(path, { workdir, root, where: at('deps') })),
    parameters: parametersOf((params ?? []) as readonly ParameterValue[], { workdir, root, where: at('params') }),
    outputs: (['outs', 'metrics', 'plots'] as const).flatMap((key) =>
      outputsOf((fields[key] ?? []) as readonly ParameterValue[], { role: roles[key], workdir, root, where: at(key) }),
    ),
    frozen: fields.frozen === true,
    alwaysChanged: fields.always_changed === true,
    ...descriptionOf(desc),
  };
}

const roles: Readonly<Record<'outs' | 'metrics' | 'plots', OutputRole>> = { outs: 'out', metrics: 'metric', plots: 'plot' };

function commandOf(value: ParameterValue | undefined, where: string): string {
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw new UserError('pipeline.schema', `pipeline: a command expected: ${where}; write it as text`);
}

/** A template may have made it a number. */
function descriptionOf(value: ParameterValue | undefined): { readonly description?: string } {
  return value === undefined || value === null || isCollection(value) ? {} : { description: pythonText(value) };
}

type PathPlace = { readonly workdir: string; readonly root: string; readonly where: string };

/** Files with their keys; a file that is tracked whole anywhere is tracked whole. */
function parametersOf(entries: readonly ParameterValue[], place: PathPlace): readonly TrackedParameters[] {
  const { where } = place;
  const wanted = entries.flatMap((entry): (readonly [string, readonly ParameterValue[]])[] => {
    if (!isMapping(entry)) return [['params.yaml', [entry]]];
    return [...entry].map(([file, keys]) => [file as string, (keys ?? []) as readonly ParameterValue[]]);
  });
  const whole = new Set(wanted.filter(([, keys]) => keys.length === 0).map(([file]) => file));
  const tracked = new Map<string, string[]>();
  for (const [file, keys] of wanted) {
    const path = pathOf(file, place);
    if (/\.py$/i.test(path)) {
      throw new UserError(
        'pipeline.unsupported',
        `pipeline: not supported: parameters in a Python file: ${path} in ${where}; write them as YAML, JSON or TOML`,
      );
    }
    const texts = whole.has(file) ? [] : keys.map((key) => keyOf(key, where));
    tracked.set(path, [...(tracked.get(path) ?? []), ...texts]);
  }
  return [...tracked].map(([file, keys]) => ({ file, keys }));
}

function keyOf(key: ParameterValue, where: string): string {
  if (typeof key !== 'string') throw new UserError('pipeline.schema', `pipeline: the name of a parameter expected: ${where}`);
  if (/[*?[\]]/.test(key)) {
    throw new UserError(
      'pipeline.unsupported',
      `pipeline: not supported: patterns in names of parameters: ${key} in ${where}; name each one, or the map that holds them`,
    );
  }
  return key;
}

/** Outputs of one list; flags of a path named twice are taken together. */
function outputsOf(entries: readonly ParameterValue[], { role, ...place }: PathPlace & { readonly role: OutputRole }): readonly Output[] {
  const flags = new Map<ParameterKey, Map<string, ParameterValue>>();
  for (const entry of entries) {
    const named = isMapping(entry) ? entry : new Map([[entry as ParameterKey, new Map()]]);
    for (const [path, given] of named) {
      flags.set(path, new Map([...(flags.get(path) ?? []), ...([...(given as ValueMap)] as [string, ParameterValue][])]));
    }
  }
  return [...flags].map(([path, given]) => {
    const plot = Object.fromEntries([...given].filter(([key]) => plotKeys.includes(key)));
    return {
      path: pathOf(path, place),
      role,
      cache: given.get('cache') !== false,
      persist: given.get('persist') === true,
      ...descriptionOf(given.get('desc')),
      ...(role === 'plot' ? { plot } : {}),
    };
  });
}

/** A path as dvc.lock names it: as written, but relative to where the stage runs where an absolute one lies in the project. */
function pathOf(value: ParameterValue, { workdir, root, where }: PathPlace): string {
  if (typeof value !== 'string' || value === '') throw new UserError('pipeline.schema', `pipeline: a path expected: ${where}`);
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(value)) {
    throw new UserError('pipeline.unsupported', `pipeline: not supported: remote places: ${value} in ${where}; name a local file`);
  }
  const isInside = isAbsolute(value) && !relative(root, value).startsWith('..');
  return isInside ? relative(workdir, value) : value;
}
